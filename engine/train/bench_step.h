// How fast training steps are, without a log: journeys of a shape, made once and kept in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/model/feature_stats.h"
#include "engine/simulate/shape.h"
#include "engine/train/op_profile.h"
#include "engine/train/step.h"
#include "engine/train/train_options.h"

namespace alm {

struct StepBenchInputs {
  ModelOptions model;
  LogShape shape;
  int64_t batch = 8192;  // over all ranks
  int64_t steps = 20;
  bool deterministic = false;
  bool profile = false;  // costs of the single operations, which slows the step a little
  Compute& compute;
  Communicator& world;
};

struct StepBench {
  double median_seconds = 0;  // of a step on rank 0
  double best_seconds = 0;
  double processor_seconds = 0;  // of the median step, summed over threads and ranks
  Phases phases;                 // of the measured steps, rank 0
  double flops_per_sample = 0;   // of the matrix products, forward and backward
  int64_t dense_parameters = 0;
  ThreadLimits limits;                 // of one thread of rank 0, just before the steps
  double total_processor_seconds = 0;  // of the measured steps, rank 0
  double packing_seconds = 0;          // of a batch of rank 0, as for a GPU; 0: proxy mode has none
  std::vector<OpCost> costs;           // of the measured steps, rank 0; profile only
};

// Micro-blocks of this rank for a few different batches of level B journeys, and what a first pass
// would say of them: columns taken as standardised already, every item with a row of its own.
struct StepBenchData {
  std::vector<std::vector<io::Journeys>> batches;
  std::shared_ptr<const FeatureStats> stats;
  int64_t block_rows = 0;
  int64_t my_blocks = 0;
  int64_t total_blocks = 0;
};
StepBenchData make_step_bench_data(const StepBenchInputs& in, int64_t batches);

// COLLECTIVE. UserError when the batch does not divide into micro-blocks or ranks.
StepBench bench_steps(const StepBenchInputs& in);

}  // namespace alm
