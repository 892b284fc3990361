// One training step: see step.cc, which reads top to bottom.
#pragma once

#include <array>

#include "engine/comm/communicator.h"
#include "engine/model/compute.h"
#include "engine/model/model.h"
#include "engine/train/optimizer.h"

namespace alm {

// Means over the weight of a batch (or of the validation rows).
struct Losses {
  double mediator = 0;
  double outcome = 0;
  double second_stage = 0;
  double propensity = 0;
  double weight = 0;  // the sum the others were divided by

  // What early stopping watches: L_M + L_Y (+ propensity of arm logs).
  double watched() const { return mediator + outcome + propensity; }
};

// Order-free sums of the losses of many micro-blocks.
class LossTotals {
 public:
  void add(const LossSums& block);
  // Blocks whose loss was not finite, left out of the sums.
  int64_t broken() const { return broken_; }
  // COLLECTIVE. `stop` is 1 on a rank that was asked to stop; afterwards *stop is their number.
  void reduce(Communicator& world, int64_t* stop);
  Losses means() const;

 private:
  std::array<FixedSum, 5> sums_;
  int64_t broken_ = 0;
};

// Seconds of this rank by phase, since the last report.
struct PhaseSeconds {
  double wait = 0;     // for the loader
  double compute = 0;  // forward and backward
  double reduce = 0;   // sums over threads and ranks
  double update = 0;   // optimiser
  double total() const { return wait + compute + reduce + update; }
};

// Everything a step reads and writes. Made once per fit; a step allocates nothing once the largest
// micro-block has been seen.
struct StepState {
  StepState(const Model& model, Compute& compute, Communicator& world, ModelWeights& weights,
            int64_t my_blocks, int64_t total_blocks, int64_t block_rows, bool deterministic);

  const Model& model;
  Compute& compute;
  Communicator& world;
  ModelWeights& weights;
  Optimizer optimizer;
  bool deterministic;
  bool refit = false;  // only the second stage learns
  DenseGradientSum dense;
  RowGradientSum cats;
  RowGradientSum items;
  std::vector<LossSums> block_losses;     // [my_blocks]
  std::vector<BlockRows> block_rows;      // [my_blocks]
  std::vector<const RowUses*> cat_uses;   // [my_blocks], into block_rows
  std::vector<const RowUses*> item_uses;  // [my_blocks], into block_rows
  PhaseSeconds phases;
  double clip_norm = 0;
};

struct StepResult {
  Losses losses;
  double gradient_norm = 0;     // of the mean gradient, before clipping
  bool skipped = false;         // a loss or gradient was not finite: nothing was updated
  std::string bad_tensor;       // first tensor with a non-finite gradient, when skipped and known
  bool stop_requested = false;  // by any rank
};

// COLLECTIVE. `blocks`: this rank's micro-blocks of the batch; `step` counts from 1.
StepResult train_step(StepState& state, std::span<const io::Journeys> blocks, int64_t step,
                      const OptimizerSettings& settings, bool stop);

}  // namespace alm
