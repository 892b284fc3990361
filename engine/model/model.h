// What the trainer knows of a model: its parameters and the loss of a micro-block.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/model/critic.h"
#include "engine/model/embedding.h"
#include "engine/model/feature_stats.h"
#include "engine/model/inputs.h"
#include "engine/model/model_options.h"
#include "engine/model/parameters.h"
#include "engine/model/pass.h"

namespace alm {

// Weights as a pass reads them, in memory of the device. Tables without rows: the log has none.
struct WeightsView {
  const float* dense = nullptr;
  Matrix<const float> cats;
  Matrix<const float> items;
};

// Gradients of the rows that a micro-block used, one row a use, in the memory of the pass.
struct RowGradients {
  Matrix<const float> cats;   // [n * Fc, cat_width], of inputs.cat_rows
  Matrix<const float> items;  // [t, item_width], of inputs.item_rows
};

// One set of parameters of a model: the dense arena and the row tables (rows == 0: the log has
// none).
struct ModelWeights {
  std::vector<float> dense;
  RowTable cats;
  RowTable items;

  operator WeightsView() const { return {dense.data(), cats.view(), items.view()}; }
};

// The uses of both row tables in one micro-block.
struct BlockRows {
  RowUses cats;
  RowUses items;

  // Gradients in memory of the host, of the uses in `inputs`.
  void append(const ModelInputs& inputs, const RowGradients& gradients) {
    cats.append(inputs.cat_rows, gradients.cats);
    items.append(inputs.item_rows, gradients.items);
  }
  void clear() {
    cats.clear();
    items.clear();
  }
};

// Stateless but for its layout: thread-safe once built. Weights are handed in.
class Model {
 public:
  virtual ~Model() = default;
  const ParameterLayout& layout() const { return layout_; }
  const FeatureStats& stats() const { return *stats_; }
  const ModelOptions& options() const { return options_; }
  // Positions a touch can have: the position table's rows.
  int64_t positions() const { return positions_; }

  // Start values: a pure function of the seed.
  ModelWeights fresh_weights(uint64_t seed) const;
  // Named and sized row tables without values.
  ModelWeights empty_weights() const;

  // Adds the losses of a micro-block to `sums`, which lie in memory of the device: only their
  // addresses are taken. When the pass has a gradient, d(sum of weighted losses) is added to it,
  // and that of the rows used is left in `rows`. `pass.weights` must be weights.dense.
  void loss(const Pass& pass, const ModelInputs& inputs, const WeightsView& weights, LossSums& sums,
            RowGradients* rows) const;
  // Same for the second stage alone on frozen rest; only arena range [refit_first, refit_last) gets
  // a gradient.
  void refit_loss(const Pass& pass, const ModelInputs& inputs, const WeightsView& weights,
                  LossSums& sums) const;
  // Loss and gradient of the discriminator alone, and the weight, in arena range
  // [discriminator_first, discriminator_last); empty, and never called, without one.
  void discriminator_loss(const Pass& pass, const ModelInputs& inputs, const WeightsView& weights,
                          LossSums& sums) const;
  virtual int64_t discriminator_first() const { return layout_.size(); }
  virtual int64_t discriminator_last() const { return layout_.size(); }
  // Both sides of the critic on the frozen encoders; live in pass.memory. Never called without one.
  Critic::Activations critic_forward(const Pass& pass, const ModelInputs& inputs,
                                     const WeightsView& weights) const;
  // Null in arm logs, for continuous outcomes, in proxy mode, and where it is not wanted.
  virtual const Critic* critic() const { return nullptr; }
  // loss() gives a gradient to arena range [0, loss_last) alone.
  virtual int64_t loss_last() const { return layout_.size(); }
  // Where the gradient of loss() may be cut to be summed over ranks piece by piece while the rest
  // is still made: arena offsets at borders of modules, falling. Each is told, in this order, by
  // Pass::gradient_complete(); 0, the end of loss() itself, is not among them.
  virtual std::vector<int64_t> gradient_cuts() const = 0;
  // Arena range [0, trunk_last) is what the losses of the outcome and of the mediator share.
  virtual int64_t trunk_last() const { return 0; }
  // Empty when the model has no second stage.
  virtual int64_t refit_first() const { return 0; }
  virtual int64_t refit_last() const { return 0; }
  // Whether refit_loss() reads inputs.removal.
  virtual bool refit_reads_pairs() const { return false; }

 protected:
  Model(std::shared_ptr<const FeatureStats> stats, const ModelOptions& options, int64_t positions)
      : stats_(std::move(stats)), options_(options), positions_(positions) {}
  virtual void do_loss(const Pass& pass, const ModelInputs& inputs, const WeightsView& weights,
                       LossSums& sums, RowGradients* rows) const = 0;
  virtual void do_discriminator_loss(const Pass&, const ModelInputs&, const WeightsView&,
                                     LossSums&) const {}
  virtual void do_refit_loss(const Pass&, const ModelInputs&, const WeightsView&, LossSums&) const {
  }
  virtual Critic::Activations do_critic_forward(const Pass&, const ModelInputs&,
                                                const WeightsView&) const {
    return {};
  }

  ParameterLayout layout_;
  std::shared_ptr<const FeatureStats> stats_;
  ModelOptions options_;
  int64_t positions_;
};

// The model a log calls for: the general head for arm logs, else the separable one (binary outcome)
// or its additive form (continuous).
std::unique_ptr<Model> make_model(std::shared_ptr<const FeatureStats> stats,
                                  const ModelOptions& options, int64_t positions);

// `parameters sha256`: every dense tensor in name order, then every table row in virtual-shard and
// row order, as little-endian fp32 (contract 1). 64 hex digits.
std::string weights_digest(const Model& model, const ModelWeights& weights);

inline constexpr int64_t kVirtualShards = 4096;
// Virtual shard of a table row.
inline int64_t virtual_shard(int64_t row) {
  return row % kVirtualShards;
}

}  // namespace alm
