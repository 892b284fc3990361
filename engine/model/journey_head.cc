#include "engine/model/journey_head.h"

#include <algorithm>

namespace alm {

ConfoundingHead::ConfoundingHead(ParameterLayout& layout, const ModelOptions& options,
                                 double bias) {
  const int64_t hidden = options.confounding_hidden;
  const Start start = Start::relu_layer(options.touch_width + 1 + options.context_width);
  pool_ = layout.add("confounding/pool", 1, options.touch_width, Start::zero(), false);
  from_pool_ = Linear::add(layout, "confounding/touches", options.touch_width + 1, hidden, start);
  from_context_ =
      Linear::add_without_bias(layout, "confounding/context", options.context_width, hidden, start);
  out_ = Linear::add(layout, "confounding/out", hidden, 1, Start::zero(), bias);
}

ConfoundingHead::Activations ConfoundingHead::forward(const Pass& pass, Csr touches,
                                                      MixedMatrix<const float> encoded,
                                                      Matrix<const float> context,
                                                      Matrix<float> joined) const {
  const bool joins = joined.data != nullptr;
  Activations activations;
  activations.alpha = pass.memory.floats(encoded.rows);
  activations.pooled = pass.memory.matrix(context.rows, encoded.cols + 1);
  activations.hidden = joins ? joined : pass.memory.matrix(context.rows, out_.w.rows);
  activations.logit = pass.memory.matrix(context.rows, 1);
  pass.ops.pool_forward(pass.queue, {.touches = touches,
                                     .x = encoded,
                                     .w = pool_.vector(pass.weights),
                                     .alpha = activations.alpha,
                                     .out = activations.pooled});
  from_pool_.forward(pass, activations.pooled, activations.hidden, false, joined);
  from_context_.forward(pass, context, activations.hidden, true, activations.hidden);
  out_.forward(pass, activations.hidden, activations.logit, false);
  return activations;
}

ConfoundingHead::Gradients ConfoundingHead::backward(const Pass& pass, Matrix<const float> context,
                                                     const Activations& activations,
                                                     Matrix<float> d_logit,
                                                     Matrix<float> d_context) const {
  const Gradients gradients{pass.memory.matrix(context.rows, out_.w.rows),
                            pass.memory.matrix(context.rows, activations.pooled.cols)};
  out_.backward(pass, activations.hidden, {}, d_logit, gradients.joined, {.mask_dx = true});
  from_context_.backward(pass, context, {}, gradients.joined, d_context, {.accumulate_dx = true});
  from_pool_.backward(pass, activations.pooled, {}, gradients.joined, gradients.pooled, {});
  return gradients;
}

void ConfoundingHead::backward_to_touches(const Pass& pass, Csr touches,
                                          MixedMatrix<const float> encoded,
                                          const Activations& activations,
                                          Matrix<const float> d_pooled,
                                          MixedMatrix<float> d_encoded) const {
  pass.ops.pool_backward(pass.queue, {.touches = touches,
                                      .x = encoded,
                                      .w = pool_.vector(pass.weights),
                                      .alpha = activations.alpha,
                                      .out = activations.pooled,
                                      .d_out = d_pooled,
                                      .d_x = d_encoded,
                                      .d_w = pool_.vector(pass.gradient),
                                      .mask_dx = true});
}

ConfoundingHead::Halves ConfoundingHead::halves(const Pass& pass, Csr touches,
                                                MixedMatrix<const float> encoded,
                                                Matrix<const float> context) const {
  const Halves halves{pass.memory.matrix(context.rows, out_.w.rows),
                      pass.memory.matrix(context.rows, out_.w.rows)};
  const Matrix<float> pooled = pass.memory.matrix(context.rows, encoded.cols + 1);
  pass.ops.pool_forward(pass.queue, {.touches = touches,
                                     .x = encoded,
                                     .w = pool_.vector(pass.weights),
                                     .alpha = pass.memory.floats(encoded.rows),
                                     .out = pooled});
  from_pool_.forward(pass, pooled, halves.touches, false);
  from_context_.forward(pass, context, halves.context, false);
  return halves;
}

double ConfoundingHead::logit_of_pair(const float* weights, const float* touches,
                                      const float* context) const {
  const std::span<const float> out = out_.w.vector(weights);
  // Pairs are many: sums side by side, in a fixed order.
  constexpr size_t kSums = 16;
  float sums[kSums] = {};
  const size_t whole = out.size() / kSums * kSums;
  for (size_t first = 0; first < whole; first += kSums) {
    for (size_t at = 0; at < kSums; ++at) {
      const float hidden = touches[first + at] + context[first + at];
      sums[at] += out[first + at] * (hidden > 0 ? hidden : 0.0f);
    }
  }
  double logit = double{out_.b.vector(weights)[0]};
  for (const float sum : sums) logit += double{sum};
  for (size_t at = whole; at < out.size(); ++at) {
    logit += double{out[at]} * double{std::max(touches[at] + context[at], 0.0f)};
  }
  return logit;
}

SecondStage::SecondStage(ParameterLayout& layout, const ModelOptions& options) {
  hidden_ = Linear::add(layout, "second_stage/hidden", options.context_width, options.head_hidden,
                        Start::relu_layer(options.context_width));
  out_ = Linear::add(layout, "second_stage/out", options.head_hidden, 1, Start::zero());
}

SecondStage::Activations SecondStage::forward(const Pass& pass, Matrix<const float> context) const {
  Activations activations;
  activations.hidden = pass.memory.matrix(context.rows, out_.w.rows);
  activations.logit = pass.memory.matrix(context.rows, 1);
  hidden_.forward(pass, context, activations.hidden, true);
  out_.forward(pass, activations.hidden, activations.logit, false);
  return activations;
}

void SecondStage::backward(const Pass& pass, Matrix<const float> context,
                           const Activations& activations, Matrix<float> d_logit,
                           Matrix<float> d_context) const {
  const Matrix<float> d_hidden = pass.memory.matrix(context.rows, out_.w.rows);
  out_.backward(pass, activations.hidden, {}, d_logit, d_hidden, {.mask_dx = true});
  hidden_.backward(pass, context, {}, d_hidden, d_context, {.accumulate_dx = true});
}

}  // namespace alm
