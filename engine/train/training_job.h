// The job of trainer.h while it runs, for the files that hold its parts.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/train/fit.h"
#include "engine/train/fit_plan.h"
#include "engine/train/run_checkpoint.h"
#include "engine/train/trainer.h"

namespace alm {

// Makes the result of one TrainJob, once.
class Trainer {
 public:
  explicit Trainer(TrainJob job)
      : job_(std::move(job)), store_(job_.run_dir, job_.world), plan_(plan_fits(job_.options)) {}
  // COLLECTIVE.
  TrainResult run();

 private:
  TrainResult run_claimed();

  // --- training_begin.cc

  void first_pass_and_bundle();
  // COLLECTIVE. UserError where a column is damaged that no fit reads and the estimates do: that is
  // not to be told when the training is done.
  void check_columns_of_estimates();
  void report_first_pass(const FirstPass& pass);
  // COLLECTIVE.
  void write_config();

  // --- training_fits.cc: false when stopped

  bool run_fits();
  bool run_fit(const PlannedFit& planned, const std::shared_ptr<const io::Log>& log,
               const Model& model, const std::vector<int64_t>& training_rows, bool first);
  // What rank 0 held in the fit, beside which `alm plan` can be laid.
  void note_memory(const Fit& fit);
  // When stopped the replicates done so far are in the checkpoint, the one begun is not.
  bool run_replicates();
  size_t wanted_replicates() const { return static_cast<size_t>(job_.options.bootstrap_fits); }
  // A scoring fit once more, for a negative control.
  bool run_control_fit(size_t at, const std::string& name,
                       const std::shared_ptr<const io::Log>& log, const Model& model);

  // --- trainer.cc

  // COLLECTIVE.
  void save(const Fit* fit);
  TrainResult stopped(const std::string& where);
  TrainResult finish();
  // COLLECTIVE.
  void write(const Estimates& estimates);

  TrainJob job_;
  TrainOptions fit_options_;  // of every fit: the options with the batch resolved
  RunCheckpoints store_;
  FitPlan plan_;
  std::unique_ptr<MetricsLog> metrics_;
  std::unique_ptr<Model> model_;
  Bundle bundle_;
  std::vector<std::vector<int64_t>> fit_rows_;  // [planned fits][blocks] training rows
  int64_t steps_before_ = 0;
  bool has_checkpoint_ = false;
  bool fits_done_ = false;  // all that estimates need, negative controls aside
  double validation_thinning_ = 1;
  double deadline_ = 0;
  std::optional<io::CheckpointBlobs> resume_from_;
};

}  // namespace alm
