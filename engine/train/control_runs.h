// The negative controls of a run: for each the scoring fits once more, on a log in which there is
// nothing to find, or in proxy mode with one choice changed.
#pragma once

#include <functional>
#include <memory>

#include "engine/estimate/control.h"
#include "engine/model/bundle.h"
#include "engine/train/fit_plan.h"
#include "engine/train/trainer.h"

namespace alm {

struct ControlJob {
  const TrainJob& job;
  const FitPlan& plan;
  Bundle& bundle;             // of the finished fits; receives the results
  const io::Json& estimates;  // of the run; rank 0
  // Fit number `at` of the plan by this name, of this model on this log, into bundle.fits; false:
  // stopped.
  std::function<bool(size_t at, const std::string& name, std::shared_ptr<const io::Log>,
                     const Model& model)>
      fit;
  std::function<void()> save;  // a checkpoint
};

// How often a control makes the scoring fits again; 0: it cannot be made of such a log.
int64_t control_repeats(Control control, const ModelOptions& options, const io::LogSchema& schema);

// COLLECTIVE. Makes those of job.options.controls that the bundle has no result of; false when
// stopped, with a checkpoint that goes on from there.
bool run_controls(const ControlJob& of);

}  // namespace alm
