// One training step: see step.cc, which reads top to bottom.
#pragma once

#include <array>
#include <cmath>
#include <optional>

#include "engine/comm/communicator.h"
#include "engine/model/compute.h"
#include "engine/model/model.h"
#include "engine/train/memory_use.h"
#include "engine/train/optimizer.h"
#include "engine/train/phases.h"
#include "engine/train/timed_communicator.h"
#include "io/json.h"

namespace alm {

// Means over the weight of a batch (or of the validation rows).
struct Losses {
  double mediator = 0;
  double outcome = 0;
  double second_stage = 0;
  double propensity = 0;
  double weight = 0;  // the sum the others were divided by
  // Proxy mode. Each over its own weight, but the law, which is per journey like the mediator.
  double law = 0;
  double proxy = 0;          // per touch with a defined match
  double adversary = 0;      // of the discriminator, per journey with touches
  double entropy_floor = 0;  // H(Y) of the same journeys: a discriminator that knows nothing
  double contrastive = 0;    // per upload with a match

  // What early stopping watches: L_M + L_Y (+ propensity of arm logs, + L_proxy of proxy mode).
  // Never the adversary, which the code is to raise, nor the law, whose target moves.
  double watched() const { return mediator + outcome + propensity + proxy; }
};

// By name, those of proxy mode where asked.
io::Json to_json(const Losses& losses, bool proxy);

// Order-free sums of the losses of many micro-blocks.
class LossTotals {
 public:
  void add(const LossSums& block);
  void add(const LossTotals& other);
  // Blocks whose loss was not finite, left out of the sums.
  int64_t broken() const { return broken_; }
  // COLLECTIVE. `stop` is 1 on a rank that was asked to stop; afterwards *stop is their number.
  void reduce(Communicator& world, int64_t* stop);
  LossSums sums() const;
  Losses means() const;

 private:
  static constexpr size_t kLosses = 13;  // numbers of LossSums
  std::array<FixedSum, kLosses> sums_;
  int64_t broken_ = 0;
};

// Journeys that go through the model together: enough rows for its products, few enough that what
// one layer leaves is still in the second cache for the next.
inline constexpr int64_t kJourneysAtOnce = 64;

// What a thread takes at a time: where each micro-block has a sum of its own, and in proxy mode,
// where it is the group of a loss, one of them; else kJourneysAtOnce journeys, be it a part of one
// or several.
struct Unit {
  int64_t parts_of_block = 1;  // units of one micro-block, or
  int64_t blocks_at_once = 1;  // micro-blocks of one unit; one of the two is 1
  int64_t count(int64_t blocks) const {
    return (blocks * parts_of_block + blocks_at_once - 1) / blocks_at_once;
  }
};
Unit unit_of(int64_t my_blocks, int64_t rows_per_block, int64_t threads, bool whole_blocks);

// Everything a step reads and writes. Made once per fit; a step allocates nothing once the largest
// micro-block has been seen.
struct StepState {
  struct Options {
    bool deterministic = false;
    // The outcome's and the mediator's gradients of the trunk are freed of what of each works
    // against the other (PCGrad) before they are added.
    bool pcgrad = false;
    int64_t discriminator_steps = 1;  // that the discriminator takes in a step; proxy mode
  };
  StepState(const Model& model, Compute& compute, Communicator& world, ModelWeights& weights,
            int64_t my_blocks, int64_t total_blocks, int64_t rows_per_block, Options options);

  const Model& model;
  Compute& compute;
  Phases phases;
  TimedCommunicator world;
  ModelWeights& weights;
  Optimizer optimizer;
  Options options;
  Unit unit;
  bool refit = false;  // only the second stage learns
  float reversal = 0;  // what the code receives of the discriminator's gradient, negated
  DenseGradientSum dense;
  std::optional<DenseGradientSum> of_mediator;  // PCGrad: `dense` is then the outcome's alone
  RowGradientSum cats;
  RowGradientSum items;
  std::vector<float> largest_of_rows;     // [my_blocks] absolute row gradient; deterministic
  std::vector<double> squares;            // of pieces of a gradient
  std::vector<LossSums> losses;           // [units]
  std::vector<BlockRows> rows;            // [units]
  std::vector<const RowUses*> cat_uses;   // [units], into rows
  std::vector<const RowUses*> item_uses;  // [units], into rows
  double clip_norm = 0;

  // That it and the threads of `compute` hold, the weights aside.
  MemoryUse memory() const;

  // Whether a unit is a micro-block.
  static bool whole_blocks(const Model& model, bool deterministic) {
    return deterministic || model.options().proxy_mode();
  }
};

struct StepResult {
  Losses losses;
  double gradient_norm = 0;     // of the mean gradient, before clipping
  bool skipped = false;         // a loss or gradient was not finite: nothing was updated
  double trunk_cosine = NAN;    // of the outcome's and the mediator's gradients; PCGrad only
  std::string bad_tensor;       // first tensor with a non-finite gradient, when skipped and known
  bool stop_requested = false;  // by any rank
};

// COLLECTIVE. `blocks`: this rank's micro-blocks of the batch; `step` counts from 1.
StepResult train_step(StepState& state, std::span<const io::Journeys> blocks, int64_t step,
                      const OptimizerSettings& settings, bool stop);

}  // namespace alm
