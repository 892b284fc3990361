#include "engine/model/removal_net.h"

#include <cmath>

namespace alm {

struct RemovalNet::Activations {
  Matrix<float> touches;  // [t, width]
  Matrix<float> parts;    // [2 pairs, width]: sum over the journey's touches, touch of the cluster
  Matrix<float> encoded;  // [pairs, width + 1 + width]
  TouchHead::Activations odds;
  TouchHead::Activations survival;
};

namespace {

// The same rows, both parts of a pair side by side.
Matrix<float> by_pair(Matrix<float> parts) {
  return {parts.data, parts.rows / 2, 2 * parts.cols};
}

// Weights of some of the inputs of a head.
Matrix<const float> weights_of(const Pass& pass, const TouchHead& head, int64_t first,
                               int64_t inputs) {
  const Matrix<const float> all = head.touch.w.matrix(pass.weights);
  return {all.row(first), inputs, all.cols};
}

}  // namespace

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
}

RemovalNet::Activations RemovalNet::forward(const Pass& pass, const ModelInputs& inputs,
                                            Matrix<const float> context) const {
  const RemovalView& pairs = inputs.removal;
  const int64_t width = touch_.cols;
  const int64_t count = pairs.pairs();
  Activations a;
  a.touches = pass.memory.matrix(inputs.touches, width);
  a.parts = pass.memory.matrix(2 * count, width);
  a.encoded = pass.memory.matrix(count, 2 * width + 1);
  const auto gather = [&](Matrix<const float> table, std::span<const int64_t> rows,
                          Matrix<float> out) {
    pass.ops.gather_rows(pass.queue, {.table = table, .rows = rows, .out = out});
  };
  gather(touch_.matrix(pass.weights), inputs.cluster, a.touches);
  const Matrix<float> sums = pass.memory.matrix(inputs.journeys, width);
  pass.ops.weighted_sum_forward(
      pass.queue,
      {.touches = inputs.csr, .x = a.touches, .weight = pairs.touch_weight, .out = sums});
  gather(sums, pairs.journey, by_pair(a.parts).columns(0, width));
  gather(touch_.matrix(pass.weights), pairs.cluster, by_pair(a.parts).columns(width, width));
  pass.ops.weighted_sum_forward(pass.queue, {.touches = pairs.parts,
                                             .x = a.parts,
                                             .weight = pairs.part_weight,
                                             .out = a.encoded.columns(0, width)});
  pass.queue.copy(Matrix<const float>(pairs.log_left.data(), count, 1),
                  a.encoded.columns(width, 1));
  gather(cluster_.matrix(pass.weights), pairs.cluster, a.encoded.columns(width + 1, width));
  a.odds = odds_.forward(pass, pairs.by_journey, pairs.cluster, a.encoded, context);
  if (survival_)
    a.survival = survival_->forward(pass, pairs.by_journey, pairs.cluster, a.encoded, context);
  pass.ops.accumulate(pass.queue, {.x = pairs.start, .y = flat(a.odds.logit)});
  return a;
}

RemovalNet::Scores RemovalNet::score(const Pass& pass, const ModelInputs& inputs,
                                     Matrix<const float> context) const {
  const Activations a = forward(pass, inputs, context);
  return {flat(a.odds.logit), flat(a.survival.logit)};
}

RemovalNet::ByCluster RemovalNet::by_cluster(const Pass& pass) const {
  const auto of = [&](const TouchHead& head) {
    const Matrix<float> out = pass.memory.matrix(cluster_.rows, head.touch.w.cols);
    pass.ops.linear_forward(pass.queue,
                            {.x = cluster_.matrix(pass.weights),
                             .w = weights_of(pass, head, touch_.cols + 1, cluster_.cols),
                             .bias = {},
                             .y = out});
    return std::vector<float>(out.data, out.data + out.rows * out.cols);
  };
  return {of(odds_), survival_ ? of(*survival_) : std::vector<float>()};
}

RemovalNet::Scores RemovalNet::score_absent(const Pass& pass, const ModelInputs& inputs,
                                            Matrix<const float> context,
                                            const ByCluster& by_cluster) const {
  const int64_t width = touch_.cols;
  const Matrix<float> touches = pass.memory.matrix(inputs.touches, width);
  pass.ops.gather_rows(
      pass.queue, {.table = touch_.matrix(pass.weights), .rows = inputs.cluster, .out = touches});
  const Matrix<float> left = pass.memory.matrix(inputs.journeys, width + 1);
  pass.ops.weighted_sum_forward(pass.queue, {.touches = inputs.csr,
                                             .x = touches,
                                             .weight = inputs.removal.touch_weight,
                                             .out = left.columns(0, width)});
  for (int64_t row = 0; row < left.rows; ++row) {
    const size_t at = static_cast<size_t>(row);
    left(row, width) =
        std::log1p(static_cast<float>(inputs.csr.begin[at + 1] - inputs.csr.begin[at]));
  }
  Scores scores;
  scores.odds_logit = absent_logit(pass, inputs, odds_, left, context, by_cluster.odds);
  pass.ops.accumulate(pass.queue, {.x = inputs.removal.start, .y = scores.odds_logit});
  if (survival_) {
    scores.survival_logit =
        absent_logit(pass, inputs, *survival_, left, context, by_cluster.survival);
  }
  return scores;
}

// `left` [n, width + 1]: of the whole journey.
std::span<float> RemovalNet::absent_logit(const Pass& pass, const ModelInputs& inputs,
                                          const TouchHead& head, Matrix<const float> left,
                                          Matrix<const float> context,
                                          const std::vector<float>& by_cluster) const {
  const RemovalView& pairs = inputs.removal;
  const int64_t width = head.touch.w.cols;
  const Matrix<float> of_journey = pass.memory.matrix(left.rows, width);
  pass.ops.linear_forward(pass.queue, {.x = left,
                                       .w = weights_of(pass, head, 0, left.cols),
                                       .bias = head.touch.b.vector(pass.weights),
                                       .y = of_journey});
  head.context.forward(pass, context, of_journey, false, of_journey);
  const Matrix<float> hidden = pass.memory.matrix(pairs.pairs(), width);
  pass.ops.gather_rows(
      pass.queue,
      {.table = {by_cluster.data(), cluster_.rows, width}, .rows = pairs.cluster, .out = hidden});
  return flat(head.logit(pass, pairs.by_journey, pairs.cluster, context, of_journey, hidden));
}

void RemovalNet::loss(const Pass& pass, const ModelInputs& inputs, Matrix<const float> context,
                      std::span<const float> survival, double* sum) const {
  const RemovalView& pairs = inputs.removal;
  const int64_t count = pairs.pairs();
  const Activations a = forward(pass, inputs, context);
  const bool backward_too = pass.gradient != nullptr;
  const auto wanted = [&] { return backward_too ? pass.memory.matrix(count, 1) : Matrix<float>{}; };
  const Matrix<float> d_odds = wanted();
  pass.ops.bce_loss(pass.queue, {.output = flat(a.odds.logit),
                                 .target = pairs.present,
                                 .weight = pairs.weight,
                                 .d_output = flat(d_odds),
                                 .sum = sum});
  Matrix<float> d_survival;
  if (survival_) {
    d_survival = wanted();
    const Matrix<float> target = pass.memory.matrix(count, 1);
    pass.ops.gather_rows(pass.queue,
                         {.table = Matrix<const float>(survival.data(), inputs.journeys, 1),
                          .rows = pairs.journey,
                          .out = target});
    pass.ops.sigmoid_squared_loss(pass.queue, {.output = flat(a.survival.logit),
                                               .target = flat(target),
                                               .weight = pairs.weight_of_presence,
                                               .d_output = flat(d_survival),
                                               .sum = sum});
  }
  if (backward_too) backward(pass, inputs, context, a, d_odds, d_survival);
}

void RemovalNet::backward(const Pass& pass, const ModelInputs& inputs, Matrix<const float> context,
                          const Activations& a, Matrix<float> d_odds,
                          Matrix<float> d_survival) const {
  const RemovalView& pairs = inputs.removal;
  const int64_t width = touch_.cols;
  const Matrix<float> d_encoded = pass.memory.matrix(a.encoded.rows, a.encoded.cols);
  const Matrix<float> frozen = pass.zero_matrix(context.rows, context.cols);
  odds_.backward(pass, pairs.by_journey, pairs.cluster, a.encoded, context, a.odds, d_odds,
                 d_encoded, frozen, {.accumulate_dx = false});
  if (survival_) {
    survival_->backward(pass, pairs.by_journey, pairs.cluster, a.encoded, context, a.survival,
                        d_survival, d_encoded, frozen, {.accumulate_dx = true});
  }
  const auto scatter = [&](Matrix<const float> d_out, std::span<const int64_t> rows,
                           Matrix<float> gradient) {
    pass.ops.scatter_rows(pass.queue, {.d_out = d_out, .rows = rows, .gradient = gradient});
  };
  scatter(d_encoded.columns(width + 1, width), pairs.cluster, cluster_.matrix(pass.gradient));
  const Matrix<float> d_parts = pass.memory.matrix(a.parts.rows, width);
  pass.ops.weighted_sum_backward(pass.queue, {.touches = pairs.parts,
                                              .x = a.parts,
                                              .weight = pairs.part_weight,
                                              .d_out = d_encoded.columns(0, width),
                                              .d_x = d_parts,
                                              .d_weight = pass.zeros(a.parts.rows)});
  scatter(by_pair(d_parts).columns(width, width), pairs.cluster, touch_.matrix(pass.gradient));
  const Matrix<float> d_sums = pass.zero_matrix(inputs.journeys, width);
  scatter(by_pair(d_parts).columns(0, width), pairs.journey, d_sums);
  const Matrix<float> d_touches = pass.memory.matrix(a.touches.rows, width);
  pass.ops.weighted_sum_backward(pass.queue, {.touches = inputs.csr,
                                              .x = a.touches,
                                              .weight = pairs.touch_weight,
                                              .d_out = d_sums,
                                              .d_x = d_touches,
                                              .d_weight = pass.zeros(a.touches.rows)});
  scatter(d_touches, inputs.cluster, touch_.matrix(pass.gradient));
}

}  // namespace alm
