#include "engine/model/arm_model.h"

#include <algorithm>
#include <cmath>

namespace alm {
ArmModel::ArmModel(std::shared_ptr<const FeatureStats> stats, const ModelOptions& options,
                   int64_t positions)
    : Model(std::move(stats), options, positions), context_(layout_, *stats_, options_) {
  const int64_t arms = stats_->schema.clusters;
  cluster_ = layout_.add("arm/cluster", arms, options.cluster_width, Start::normal(0.1), true);
  mediator_ = TouchHead::add(layout_, "mediator", options.cluster_width, options.context_width,
                             options.head_hidden, arms, true, 0);
  outcome_ = TouchHead::add(layout_, "outcome", options.cluster_width + 1, options.context_width,
                            options.head_hidden, arms, true, 0);
  propensity_ = Linear::add(layout_, "propensity", options.context_width, arms, Start::zero());
}

Matrix<float> ArmModel::encode(const Pass& pass, std::span<const int64_t> cluster,
                               std::span<const float> mediator) const {
  const int64_t rows = static_cast<int64_t>(cluster.size());
  const int64_t extra = mediator.data() == nullptr ? 0 : 1;
  const Matrix<float> encoded = pass.memory.matrix(rows, cluster_.cols + extra);
  pass.ops.gather_rows(pass.queue, {.table = cluster_.matrix(pass.weights),
                                    .rows = cluster,
                                    .out = encoded.columns(0, cluster_.cols)});
  if (extra == 1) {
    pass.queue.copy({mediator.data(), rows, 1}, encoded.columns(cluster_.cols, 1));
  }
  return encoded;
}

void ArmModel::scatter(const Pass& pass, std::span<const int64_t> cluster,
                       Matrix<const float> d_encoded) const {
  pass.ops.scatter_rows(pass.queue, {.d_out = d_encoded.columns(0, cluster_.cols),
                                     .rows = cluster,
                                     .gradient = cluster_.matrix(pass.gradient)});
}

void ArmModel::do_loss(const Pass& pass, const ModelInputs& inputs, const WeightsView& weights,
                       LossSums& sums, RowGradients* rows) const {
  const int64_t n = inputs.journeys;
  const bool backward = pass.gradient != nullptr;
  const ContextEncoder::Activations context = context_.forward(pass, inputs, weights.cats);
  const Matrix<float> arm = encode(pass, inputs.cluster, {});
  const Matrix<float> arm_and_mediator = encode(pass, inputs.cluster, inputs.arm.mediator_input);
  const TouchHead::Activations p =
      mediator_.forward(pass, inputs.csr, inputs.cluster, arm, context.out);
  const TouchHead::Activations mu =
      outcome_.forward(pass, inputs.csr, inputs.cluster, arm_and_mediator, context.out);
  const Matrix<float> pi = pass.memory.matrix(n, arms());
  propensity_.forward(pass, context.out, pi, false);

  const auto wanted = [&](int64_t cols) {
    return backward ? pass.memory.matrix(n, cols) : Matrix<float>{};
  };
  const Matrix<float> d_p = wanted(1);
  const Matrix<float> d_mu = wanted(1);
  const Matrix<float> d_pi = wanted(arms());
  pass.ops.bce_loss(pass.queue, {.output = flat(p.logit),
                                 .target = inputs.arm.mediator,
                                 .weight = inputs.weight,
                                 .scale = static_cast<float>(options_.w_mediator),
                                 .d_output = flat(d_p),
                                 .sum = &sums.mediator});
  const auto outcome_loss = binary() ? pass.ops.bce_loss : pass.ops.squared_loss;
  outcome_loss(pass.queue, {.output = flat(mu.logit),
                            .target = inputs.arm.outcome,
                            .weight = inputs.weight,
                            .scale = static_cast<float>(options_.w_outcome),
                            .d_output = flat(d_mu),
                            .sum = &sums.outcome,
                            .weight_sum = &sums.weight});
  pass.ops.softmax_loss(pass.queue, {.logits = pi,
                                     .label = inputs.cluster,
                                     .weight = inputs.weight,
                                     .d_logits = d_pi,
                                     .sum = &sums.propensity});
  if (!backward) return;

  const Matrix<float> d_context = pass.zero_matrix(n, options_.context_width);
  const Matrix<float> d_arm = pass.memory.matrix(n, arm.cols);
  const Matrix<float> d_arm_and_mediator = pass.memory.matrix(n, arm_and_mediator.cols);
  propensity_.backward(pass, context.out, {}, d_pi, d_context, {.accumulate_dx = true});
  outcome_.backward(pass, inputs.csr, inputs.cluster, arm_and_mediator, context.out, mu, d_mu,
                    d_arm_and_mediator, d_context, {.accumulate_dx = false});
  mediator_.backward(pass, inputs.csr, inputs.cluster, arm, context.out, p, d_p, d_arm, d_context,
                     {.accumulate_dx = false});
  scatter(pass, inputs.cluster, d_arm);
  scatter(pass, inputs.cluster, d_arm_and_mediator);
  pass.gradient_complete(cluster_.offset);
  rows->cats = context_.backward(pass, inputs, context, d_context);
}

ArmModel::Nuisances ArmModel::nuisances(const Pass& pass, const ModelInputs& inputs,
                                        const WeightsView& weights) const {
  const int64_t n = inputs.journeys;
  const int64_t k = arms();
  // Every journey with every arm: a batch of n journeys with K touches each.
  std::vector<int64_t> cluster(static_cast<size_t>(n * k));
  std::vector<int64_t> begin(static_cast<size_t>(n) + 1);
  for (int64_t row = 0; row <= n; ++row) begin[static_cast<size_t>(row)] = row * k;
  for (int64_t at = 0; at < n * k; ++at) cluster[static_cast<size_t>(at)] = at % k;
  const Csr every_arm{begin};

  const ContextEncoder::Activations context = context_.forward(pass, inputs, weights.cats);
  Nuisances result;
  result.mediator = pass.memory.floats(n * k);
  const Matrix<float> p_logit =
      mediator_.forward(pass, every_arm, cluster, encode(pass, cluster, {}), context.out).logit;
  pass.ops.sigmoid(pass.queue, {.logit = flat(p_logit), .scale = 1, .out = result.mediator});
  for (int64_t m = 0; m < 2; ++m) {
    const std::span<float> mediator = pass.memory.floats(n * k);
    std::fill(mediator.begin(), mediator.end(), static_cast<float>(m));
    const Matrix<float> mu =
        outcome_.forward(pass, every_arm, cluster, encode(pass, cluster, mediator), context.out)
            .logit;
    result.outcome[m] = pass.memory.floats(n * k);
    if (binary()) {
      pass.ops.sigmoid(pass.queue, {.logit = flat(mu), .scale = 1, .out = result.outcome[m]});
    } else {
      for (size_t at = 0; at < result.outcome[m].size(); ++at) {
        result.outcome[m][at] =
            static_cast<float>(stats_->outcome_mean + stats_->outcome_sd * mu.data[at]);
      }
    }
  }
  const Matrix<float> pi = pass.memory.matrix(n, k);
  propensity_.forward(pass, context.out, pi, false);
  result.propensity = pass.memory.floats(n * k);
  for (int64_t row = 0; row < n; ++row) {
    const float largest = *std::max_element(pi.row(row), pi.row(row) + k);
    double sum = 0;
    for (int64_t arm = 0; arm < k; ++arm) sum += std::exp(double{pi(row, arm)} - largest);
    for (int64_t arm = 0; arm < k; ++arm) {
      result.propensity[static_cast<size_t>(row * k + arm)] =
          static_cast<float>(std::exp(double{pi(row, arm)} - largest) / sum);
    }
  }
  return result;
}

}  // namespace alm
