#include "engine/model/general_head.h"

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
  pass.ops.expected_mediator_forward(
      pass.queue, {.mediator = inputs.mediator, .logit = flat(mediator_logit), .share = a.share});
  a.sum = pass.memory.matrix(inputs.journeys, join_.w.rows);
  a.joined = pass.memory.matrix(inputs.journeys, join_.w.cols);
  a.engaged = pass.memory.matrix(inputs.journeys, 1);
  pass.ops.weighted_sum_forward(
      pass.queue, {.touches = inputs.csr, .x = potency.hidden, .weight = a.share, .out = a.sum});
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
  pass.ops.bce_loss(pass.queue, {.output = flat(mediator_logit),
                                 .target = inputs.law.mediator,
                                 .weight = inputs.law.weight,
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

MixedMatrix<float> GeneralHead::backward(const Pass& pass, const ModelInputs& inputs,
                                         const Activations& a,
                                         const TouchHead::Activations& potency,
                                         Matrix<float> d_joined, Matrix<const float> d_eta,
                                         Matrix<float> d_potency,
                                         Matrix<float> d_mediator_logit) const {
  const Matrix<float> d_sum = pass.memory.matrix(a.sum.rows, a.sum.cols);
  join_.backward(pass, a.sum, {}, d_joined, d_sum, {});
  const MixedMatrix<float> d_hidden =
      pass.memory.activations(potency.hidden.rows, potency.hidden.cols);
  const std::span<float> d_share = pass.zeros(inputs.touches);
  pass.ops.weighted_sum_backward(pass.queue, {.touches = inputs.csr,
                                              .x = potency.hidden,
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
  pass.ops.expected_mediator_backward(pass.queue, {.mediator = inputs.mediator,
                                                   .share = a.share,
                                                   .d_share = d_share,
                                                   .d_logit = flat(d_mediator_logit)});
  return d_hidden;
}

}  // namespace alm
