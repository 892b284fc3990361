// What a run will take, known before it is started: memory of a rank, steps, checkpoints.
#pragma once

#include <string>
#include <vector>

#include "engine/train/log_survey.h"
#include "engine/train/memory_use.h"

namespace alm {

struct PlanInputs {
  const io::Log& log;
  const LogSurvey& survey;
  const TrainOptions& options;
  const Model& model;      // of survey.stats
  const Device& computes;  // what the host computes with
  const Device* trains;    // takes the steps; null: the host
  int64_t ranks = 1;
  int64_t threads = 1;  // of a rank
};

struct PlannedSteps {
  int64_t batch = 0;
  int64_t epochs = 0;
  int64_t steps_per_epoch = 0;
  int64_t refit = 0;  // of the second stage, after epochs * steps_per_epoch
  int64_t total() const { return epochs * steps_per_epoch + refit; }
};

// Fits that a run makes one after the other, those of one name.
struct FitSteps {
  std::string name;
  int64_t fits = 0;
  int64_t steps = 0;  // of all of them, at most
};

struct MemoryPlan {
  PlannedSteps main;                // of the first fit
  int64_t fits = 0;                 // whose weights are kept to the end
  std::vector<FitSteps> fit_steps;  // those first, then bootstrap and negative controls
  MemoryUse device;                 // of the accelerator, in training; zero without one
  MemoryUse host;                   // of a rank, in the last fit
  int64_t checkpoint_copy = 0;      // more on rank 0 while it writes a checkpoint, readers aside
  int64_t estimates = 0;            // more than weights while it estimates, at most
  int64_t peak = 0;                 // of the host of rank 0, the largest of the three
  int64_t peak_of_others = 0;       // of the host of any other rank
  int64_t checkpoint = 0;           // bytes on disk of the last, and
  int64_t checkpoint_in_fit = 0;    // of one within the last fit
};

// UserError when there are more ranks than micro-blocks, or the batch does not divide.
MemoryPlan plan_memory(const PlanInputs& in);
// Of a host with so many ranks, rank 0 among them.
inline int64_t bytes_of_host(const MemoryPlan& plan, int64_t ranks) {
  return plan.peak + (ranks - 1) * plan.peak_of_others;
}
// Bytes of a rank that --memory bounds: of the accelerator, else of rank 0's host.
int64_t bounded_bytes(const MemoryPlan& plan, const PlanInputs& in);
// The largest batch, a multiple of what a batch must be one of, and at most the training rows or
// the batch that is asked for, of which bounded_bytes() is no more than `memory`; 0: none.
int64_t largest_fitting_batch(const PlanInputs& in, int64_t memory);

}  // namespace alm
