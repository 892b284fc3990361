// The removal net (neural.md 6): for what is left of a journey and a cluster k that it might have
// touched besides, one small net for all clusters gives
//   odds = P(k touched | rest, X) / P(k not touched | rest, X),
//   S    = E[exp(-h(T, X)) | k touched, rest, X]   (binary outcomes).
//
//   rest -> sum of cluster embeddings, log(1 + touches) --+
//   k    -> embedding ------------------------------------+-> two heads, on the frozen context
//
// Fitted beside the second stage, when all else is frozen; the logit of the odds begins at that of
// the cluster's share of journeys.
#pragma once

#include <optional>
#include <vector>

#include "engine/model/feature_stats.h"
#include "engine/model/layers.h"
#include "engine/model/model_inputs.h"
#include "engine/model/model_options.h"

namespace alm {

// In logs of more clusters there is no net: an effect of theirs rests on the journeys that touch
// them alone, and the sums of an absent cluster would take memory for each (cluster, user group).
inline constexpr int64_t kRemovalClusters = 8192;

class RemovalNet {
 public:
  RemovalNet(ParameterLayout& layout, const FeatureStats& stats, const ModelOptions& options);

  // Of all pairs of inputs.removal; live in pass.memory. `context` [n, context_width].
  struct Scores {
    std::span<float> odds_logit;      // [pairs]
    std::span<float> survival_logit;  // [pairs] of S; empty for continuous outcomes
  };
  Scores score(const Pass& pass, const ModelInputs& inputs, Matrix<const float> context) const;

  // What the embeddings of the clusters asked for bring to the hidden layers, [clusters, hidden]
  // each, under one set of weights; of the host.
  struct ByCluster {
    std::vector<float> odds;
    std::vector<float> survival;  // empty for continuous outcomes
  };
  ByCluster by_cluster(const Pass& pass) const;
  // The same as score(), but for rounding, of pairs that are all absent: what is left is then the
  // whole journey, so that a hidden layer is a sum of what the journey and the cluster bring to it.
  Scores score_absent(const Pass& pass, const ModelInputs& inputs, Matrix<const float> context,
                      const ByCluster& by_cluster) const;

  // Adds the loss of the pairs to *sum and, in a pass with a gradient, d(loss) to it: cross entropy
  // of `present`, and for binary outcomes the squared error of S against `survival` [n] = exp(-h)
  // on the pairs that are present.
  void loss(const Pass& pass, const ModelInputs& inputs, Matrix<const float> context,
            std::span<const float> survival, double* sum) const;

  // Arena range of its tensors.
  int64_t first() const { return first_; }
  int64_t last() const { return last_; }

 private:
  struct Activations;
  Activations forward(const Pass& pass, const ModelInputs& inputs,
                      Matrix<const float> context) const;
  std::span<float> absent_logit(const Pass& pass, const ModelInputs& inputs, const TouchHead& head,
                                Matrix<const float> left, Matrix<const float> context,
                                const std::vector<float>& by_cluster) const;
  void backward(const Pass& pass, const ModelInputs& inputs, Matrix<const float> context,
                const Activations& a, Matrix<float> d_odds, Matrix<float> d_survival) const;

  int64_t first_ = 0;
  int64_t last_ = 0;
  Tensor touch_;    // [clusters, width] of the touches that are left
  Tensor cluster_;  // [clusters, width] of the cluster that is asked for
  TouchHead odds_;
  std::optional<TouchHead> survival_;  // binary outcomes
};

}  // namespace alm
