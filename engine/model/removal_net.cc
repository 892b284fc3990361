#include "engine/model/removal_net.h"

#include <algorithm>
#include <cmath>

namespace alm {
namespace {

// A cluster that training never met, or met in every journey, still has finite odds.
constexpr double kLeastShare = 1e-6;
constexpr double kMostShare = 0.999;

}  // namespace

struct RemovalNet::Activations {
  Matrix<float> touches;   // [touches of the sets, width]
  std::span<float> alpha;  // their pooling weights
  Matrix<float> pooled;    // [sets, width + 1]: means, log(1 + touches)
  Matrix<float> encoded;   // [pairs, width + 1 + width]
  TouchHead::Activations odds;
  TouchHead::Activations survival;
};

RemovalNet::RemovalNet(ParameterLayout& layout, const FeatureStats& stats,
                       const ModelOptions& options) {
  const int64_t clusters = stats.schema.clusters;
  const int64_t width = options.cluster_width;
  first_ = layout.size();
  touch_ = layout.add("removal/touch", clusters, width, Start::normal(0.1), false);
  cluster_ = layout.add("removal/cluster", clusters, width, Start::normal(0.1), false);
  odds_ = TouchHead::add(layout, "removal/odds", 2 * width + 1, options.context_width,
                         options.head_hidden, clusters, true, 0);
  if (stats.schema.outcome == io::OutcomeKind::binary) {
    survival_ = TouchHead::add(layout, "removal/survival", 2 * width + 1, options.context_width,
                               options.head_hidden, clusters, true, 0);
  }
  last_ = layout.size();
  for (const float share : stats.touch_share) {
    const double known = std::clamp(double{share}, kLeastShare, kMostShare);
    start_.push_back(static_cast<float>(std::log(known / (1 - known))));
  }
  start_.resize(static_cast<size_t>(clusters));
}

RemovalNet::Activations RemovalNet::forward(const Pass& pass, const RemovalView& pairs,
                                            Matrix<const float> context) const {
  const int64_t width = touch_.cols;
  const int64_t sets = pairs.sets.rows();
  Activations a;
  a.touches = pass.memory.matrix(static_cast<int64_t>(pairs.set_cluster.size()), width);
  a.alpha = pass.memory.floats(a.touches.rows);
  a.pooled = pass.memory.matrix(sets, width + 1);
  a.encoded = pass.memory.matrix(pairs.pairs(), 2 * width + 1);
  pass.ops.gather_rows(
      pass.queue,
      {.table = touch_.matrix(pass.weights), .rows = pairs.set_cluster, .out = a.touches});
  // Without scores the pool is the mean; times the number of touches it is the sum.
  pass.ops.pool_forward(pass.queue, {.touches = pairs.sets,
                                     .x = a.touches,
                                     .w = pass.zeros(width),
                                     .alpha = a.alpha,
                                     .out = a.pooled});
  const Matrix<float> sums = pass.memory.matrix(sets, width + 1);
  std::copy(flat(a.pooled).begin(), flat(a.pooled).end(), flat(sums).begin());
  multiply_by_touches(pairs.sets, sums.columns(0, width));
  pass.ops.gather_rows(pass.queue,
                       {.table = sums, .rows = pairs.set, .out = a.encoded.columns(0, width + 1)});
  pass.ops.gather_rows(pass.queue, {.table = cluster_.matrix(pass.weights),
                                    .rows = pairs.cluster,
                                    .out = a.encoded.columns(width + 1, width)});
  a.odds = odds_.forward(pass, pairs.by_journey, pairs.cluster, a.encoded, context);
  if (survival_)
    a.survival = survival_->forward(pass, pairs.by_journey, pairs.cluster, a.encoded, context);
  for (int64_t pair = 0; pair < pairs.pairs(); ++pair) {
    a.odds.logit(pair, 0) += start_[static_cast<size_t>(pairs.cluster[static_cast<size_t>(pair)])];
  }
  return a;
}

RemovalNet::Scores RemovalNet::score(const Pass& pass, const RemovalView& pairs,
                                     Matrix<const float> context) const {
  const Activations a = forward(pass, pairs, context);
  return {flat(a.odds.logit), flat(a.survival.logit)};
}

void RemovalNet::loss(const Pass& pass, const RemovalView& pairs, Matrix<const float> context,
                      std::span<const float> survival, double* sum) const {
  const int64_t count = pairs.pairs();
  const Activations a = forward(pass, pairs, context);
  const bool backward_too = pass.gradient != nullptr;
  const auto wanted = [&] { return backward_too ? pass.zero_matrix(count, 1) : Matrix<float>{}; };
  const Matrix<float> d_odds = wanted();
  const Matrix<float> d_survival = wanted();
  pass.ops.bce_loss(pass.queue, {.output = flat(a.odds.logit),
                                 .target = pairs.present,
                                 .weight = pairs.weight,
                                 .d_output = flat(d_odds),
                                 .sum = sum});
  if (survival_) {
    const std::span<float> target = pass.memory.floats(count);
    const std::span<float> weight = pass.memory.floats(count);
    const std::span<const int64_t> begin = pairs.by_journey.begin;
    for (size_t journey = 0; journey + 1 < begin.size(); ++journey) {
      for (int64_t pair = begin[journey]; pair < begin[journey + 1]; ++pair) {
        const size_t at = static_cast<size_t>(pair);
        target[at] = survival[journey];
        weight[at] = pairs.weight[at] * pairs.present[at];
      }
    }
    pass.ops.sigmoid_squared_loss(pass.queue, {.output = flat(a.survival.logit),
                                               .target = target,
                                               .weight = weight,
                                               .d_output = flat(d_survival),
                                               .sum = sum});
  }
  if (backward_too) backward(pass, pairs, context, a, d_odds, d_survival);
}

void RemovalNet::backward(const Pass& pass, const RemovalView& pairs, Matrix<const float> context,
                          const Activations& a, Matrix<float> d_odds,
                          Matrix<float> d_survival) const {
  const int64_t width = touch_.cols;
  const Matrix<float> d_encoded = pass.memory.matrix(pairs.pairs(), 2 * width + 1);
  const Matrix<float> frozen = pass.zero_matrix(context.rows, context.cols);
  odds_.backward(pass, pairs.by_journey, pairs.cluster, a.encoded, context, a.odds, d_odds,
                 d_encoded, frozen, {.accumulate_dx = false});
  if (survival_) {
    survival_->backward(pass, pairs.by_journey, pairs.cluster, a.encoded, context, a.survival,
                        d_survival, d_encoded, frozen, {.accumulate_dx = true});
  }
  pass.ops.scatter_rows(pass.queue, {.d_out = d_encoded.columns(width + 1, width),
                                     .rows = pairs.cluster,
                                     .gradient = cluster_.matrix(pass.gradient)});
  const Matrix<float> d_pooled = pass.zero_matrix(a.pooled.rows, width + 1);
  pass.ops.scatter_rows(
      pass.queue,
      {.d_out = d_encoded.columns(0, width + 1), .rows = pairs.set, .gradient = d_pooled});
  multiply_by_touches(pairs.sets, d_pooled.columns(0, width));
  const Matrix<float> d_touches = pass.zero_matrix(a.touches.rows, width);
  pass.ops.pool_backward(pass.queue, {.touches = pairs.sets,
                                      .x = a.touches,
                                      .w = pass.zeros(width),
                                      .alpha = a.alpha,
                                      .out = a.pooled,
                                      .d_out = d_pooled,
                                      .d_x = d_touches,
                                      .d_w = pass.zeros(width)});
  pass.ops.scatter_rows(
      pass.queue,
      {.d_out = d_touches, .rows = pairs.set_cluster, .gradient = touch_.matrix(pass.gradient)});
}

}  // namespace alm
