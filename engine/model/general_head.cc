#include "engine/model/general_head.h"

#include <limits>

namespace alm {

GeneralHead::GeneralHead(ParameterLayout& layout, const ModelOptions& options)
    : join_(Linear::add_without_bias(layout, "general/join", options.head_hidden,
                                     options.confounding_hidden,
                                     Start::relu_layer(options.head_hidden))) {}

GeneralHead::Activations GeneralHead::forward(const Pass& pass, const ModelInputs& inputs,
                                              Matrix<const float> mediator_logit,
                                              const TouchHead::Activations& potency) const {
  Activations a;
  a.share = pass.memory.floats(inputs.touches);
  pass.ops.sigmoid(pass.queue, {.logit = flat(mediator_logit), .scale = 1, .out = a.share});
  for (size_t touch = 0; touch < a.share.size(); ++touch) {
    if (inputs.mediator[touch] != kMediatorMissing) a.share[touch] = inputs.mediator[touch];
  }
  a.sum = pass.memory.matrix(inputs.journeys, join_.w.rows);
  a.joined = pass.memory.matrix(inputs.journeys, join_.w.cols);
  a.engaged = pass.memory.matrix(inputs.journeys, 1);
  pass.ops.weighted_sum_forward(
      pass.queue,
      {.touches = inputs.csr, .x = potency.hidden.floats(), .weight = a.share, .out = a.sum});
  pass.ops.weighted_sum_forward(
      pass.queue, {.touches = inputs.csr, .x = potency.logit, .weight = a.share, .out = a.engaged});
  join_.forward(pass, a.sum, a.joined, false);
  return a;
}

Matrix<float> GeneralHead::steps(const Pass& pass, const TouchHead::Activations& potency) const {
  const Matrix<float> steps = pass.memory.matrix(potency.hidden.rows, join_.w.cols);
  join_.forward(pass, potency.hidden, steps, false);
  return steps;
}

void GeneralHead::loss(const Pass& pass, const ModelInputs& inputs, bool binary, float w_mediator,
                       float w_outcome, const Activations& activations,
                       Matrix<const float> mediator_logit, Matrix<float> eta, LossSums& sums,
                       Matrix<float> d_mediator_logit, Matrix<float> d_eta) const {
  // An unobserved mediator teaches the law nothing: NaN targets are left out.
  const std::span<float> target = pass.memory.floats(inputs.touches);
  const std::span<float> weight = pass.memory.floats(inputs.touches);
  for (int64_t row = 0; row < inputs.journeys; ++row) {
    for (int64_t touch = inputs.csr.begin[static_cast<size_t>(row)];
         touch < inputs.csr.begin[static_cast<size_t>(row) + 1]; ++touch) {
      const size_t j = static_cast<size_t>(touch);
      const bool missing = inputs.mediator[j] == kMediatorMissing;
      target[j] = missing ? std::numeric_limits<float>::quiet_NaN() : activations.share[j];
      weight[j] = inputs.weight[static_cast<size_t>(row)];
    }
  }
  pass.ops.bce_loss(pass.queue, {.output = flat(mediator_logit),
                                 .target = target,
                                 .weight = weight,
                                 .scale = w_mediator,
                                 .d_output = flat(d_mediator_logit),
                                 .sum = &sums.mediator});
  pass.ops.accumulate(pass.queue, {.x = flat(activations.engaged), .y = flat(eta)});
  const auto outcome_loss = binary ? pass.ops.bce_loss : pass.ops.squared_loss;
  outcome_loss(pass.queue, {.output = flat(eta),
                            .target = inputs.outcome,
                            .weight = inputs.weight,
                            .scale = w_outcome,
                            .d_output = flat(d_eta),
                            .sum = &sums.outcome,
                            .weight_sum = &sums.weight});
}

Matrix<float> GeneralHead::backward(const Pass& pass, const ModelInputs& inputs,
                                    const Activations& a, const TouchHead::Activations& potency,
                                    Matrix<float> d_joined, Matrix<const float> d_eta,
                                    Matrix<float> d_potency, Matrix<float> d_mediator_logit) const {
  const Matrix<float> d_sum = pass.memory.matrix(a.sum.rows, a.sum.cols);
  join_.backward(pass, a.sum, {}, d_joined, d_sum, {});
  const Matrix<float> d_hidden = pass.memory.matrix(potency.hidden.rows, potency.hidden.cols);
  const std::span<float> d_share = pass.zeros(inputs.touches);
  pass.ops.weighted_sum_backward(pass.queue, {.touches = inputs.csr,
                                              .x = potency.hidden.floats(),
                                              .weight = a.share,
                                              .d_out = d_sum,
                                              .d_x = d_hidden,
                                              .d_weight = d_share});
  pass.ops.weighted_sum_backward(pass.queue, {.touches = inputs.csr,
                                              .x = potency.logit,
                                              .weight = a.share,
                                              .d_out = d_eta,
                                              .d_x = d_potency,
                                              .d_weight = d_share});
  for (size_t touch = 0; touch < d_share.size(); ++touch) {
    if (inputs.mediator[touch] != kMediatorMissing) continue;
    d_mediator_logit.data[touch] += a.share[touch] * (1 - a.share[touch]) * d_share[touch];
  }
  return d_hidden;
}

}  // namespace alm
