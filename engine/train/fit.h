// One fit of one model: steps, validation, early stop, best weights, refit of the second stage.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/model/bundle.h"
#include "engine/train/critic_step.h"
#include "engine/train/device_step.h"
#include "engine/train/metrics_log.h"
#include "engine/train/step.h"
#include "engine/train/train_options.h"
#include "io/batch_stream.h"
#include "io/checkpoint_files.h"

namespace alm {

// What a fit is made of. References outlive the fit.
struct FitInputs {
  std::string name;  // "main", "half0", ...
  std::shared_ptr<const io::Log> log;
  const Model& model;
  const TrainOptions& options;
  Compute& compute;
  Communicator& world;
  MetricsLog& metrics;
  io::UserFilter training;
  io::UserFilter validation;
  std::vector<int64_t> training_rows;  // [blocks]
  uint64_t seed = 1;                   // of start values and order
  bool with_critic = false;            // where the model has one
  double deadline = 0;                 // now_seconds() at which to stop with a checkpoint; 0: none
  bool quiet = false;                  // one of many: whoever makes them tells how far they are
  // Where steps are taken, but those of the critic and of what refit_not_yet_on_device() has a
  // reason against; null: on `compute`, as all else. Only what not_yet_on_device() has no reason
  // against.
  Device* accelerator = nullptr;
  DeviceCommunicator* accelerators = nullptr;  // of all ranks; not null where there is one
  Timeline* timeline = nullptr;                // of the steps to come; null: none
};

class Fit {
 public:
  // COLLECTIVE (reads the validation rows). UserError when there are more ranks than micro-blocks.
  explicit Fit(FitInputs inputs);
  ~Fit();

  // COLLECTIVE. Goes on from where the fit stands until it is done (true) or was asked to stop
  // (false). `checkpoint` is called at the same steps on every rank.
  bool run(const std::function<void()>& checkpoint);
  // The best weights, second stage refitted. After run() gave true.
  ModelWeights take_weights();

  // Where the fit stands, for a checkpoint; equal on every rank.
  void save(io::CheckpointBlobs& checkpoint) const;
  void load(const io::CheckpointBlobs& checkpoint);

  // Warm start: the dense tensors and rows of another run's fit. UserError when the model differs.
  // Before run().
  void start_from(const Bundle& bundle, const std::string& fit);

  const std::string& name() const { return in_.name; }
  int64_t batch() const { return batch_; }
  int64_t epochs() const { return epochs_; }
  int64_t steps_per_epoch() const { return steps_per_epoch_; }
  // A short run must not end inside its warm-up: a tenth of the steps at most.
  int64_t warmup_of(int64_t wanted) const {
    return std::min(wanted, epochs_ * steps_per_epoch_ / 10);
  }
  // Steps taken, both phases.
  int64_t step() const { return progress_.step; }
  // Steps taken before the refit.
  int64_t training_steps() const { return refitting() ? progress_.refit_start : progress_.step; }
  // Of the host, without what reads ahead in the log; and of the accelerator, as its steps ended.
  MemoryUse memory() const;
  MemoryUse memory_of_accelerator() const { return of_accelerator_; }

 private:
  // Small state that a checkpoint keeps.
  struct Standing {
    int64_t step = 0;          // taken in all
    int64_t refit_start = -1;  // step at which the refit began; -1: not yet
    double best_loss = 1e308;  // validation
    int64_t best_step = -1;
    int64_t bad_validations = 0;
    int64_t skipped = 0;  // updates in all
  };
  enum class End { done, stopped, phase };

  bool any_rank(bool flag);
  void read_validation_rows();
  // Memory for the largest batch and validation.
  void reserve();
  LossTotals validation_totals();
  Losses validate();
  // Brings weights_ and the optimiser's state up to date with the accelerator's, in the refit those
  // of the second stage: the rest stands still there, and what a critic moves is the host's.
  void fetch();
  // After a validation: keeps the best, says whether patience is at its end.
  bool patience_over(const Losses& validation);
  End run_phase(const std::function<void()>& checkpoint);
  bool refits_on_device() const;
  void leave_device();
  void begin_refit();
  void report(const StepResult& result, const Losses* validation, double rate_seconds,
              int64_t rate_samples);
  int64_t phase_end() const;
  int64_t refit_steps() const;
  int64_t warmup_of_adversary(int64_t steps) const;
  bool refitting() const { return progress_.refit_start >= 0; }

  FitInputs in_;
  int64_t batch_ = 0;
  int64_t epochs_ = 0;
  int64_t steps_per_epoch_ = 0;
  std::shared_ptr<const io::SamplePlan> plan_;
  io::LaneRange lanes_;
  ModelWeights weights_;
  ModelWeights best_;
  std::unique_ptr<StepState> state_;
  std::unique_ptr<DeviceStep>
      on_device_;  // null without an accelerator, and when all its steps are taken
  MemoryUse of_accelerator_;
  std::unique_ptr<CriticStep> critic_;  // null without
  double critic_loss_ = NAN;            // of the step just taken
  std::vector<io::Journeys> validation_blocks_;
  Standing progress_;
  double lambda_ = 0;  // of the gradient reversal in the step just taken
};

// That its vectors hold.
MemoryUse memory_of(const ModelWeights& weights);

}  // namespace alm
