#include "engine/model/layers.h"

#include <cmath>

namespace alm {
namespace {

std::span<const float> optional_bias(const Linear& layer, const float* weights) {
  return layer.has_bias() ? layer.b.vector(weights) : std::span<const float>{};
}

// Of the weights or, where T may change, of the gradient.
template <class T>
TouchHeadTensors<T> tensors_of(const TouchHead& head, T* arena) {
  return {.w_touch = head.touch.w.matrix(arena),
          .bias = head.touch.b.vector(arena),
          .w_context = head.context.w.matrix(arena),
          .w_out = head.out.w.matrix(arena),
          .out_bias = head.out.b.vector(arena),
          .cluster_bias = head.cluster_bias.vector(arena),
          .v = head.cluster_vector.matrix(arena)};
}

}  // namespace

Linear Linear::add(ParameterLayout& layout, const std::string& name, int64_t in, int64_t out,
                   Start start, double bias) {
  Linear layer = add_without_bias(layout, name, in, out, start);
  layer.b = layout.add(name + "/bias", 1, out, Start::constant(bias), false);
  return layer;
}

Linear Linear::add_without_bias(ParameterLayout& layout, const std::string& name, int64_t in,
                                int64_t out, Start start) {
  return {layout.add(name + "/weight", in, out, start, true), {}};
}

void Linear::forward(const Pass& pass, MixedMatrix<const float> x, MixedMatrix<float> y, bool relu,
                     MixedMatrix<const float> addend, MixedMatrix<float> before_relu) const {
  pass.ops.linear_forward(pass.queue, {.x = x,
                                       .w = w.matrix(pass.weights),
                                       .bias = optional_bias(*this, pass.weights),
                                       .addend = addend,
                                       .y = y,
                                       .before_relu = before_relu,
                                       .relu = relu});
}

void Linear::backward(const Pass& pass, MixedMatrix<const float> x, MixedMatrix<const float> y,
                      MixedMatrix<float> d_y, MixedMatrix<float> d_x, const Backward& how) const {
  pass.ops.linear_backward(pass.queue,
                           {.x = x,
                            .w = w.matrix(pass.weights),
                            .y = y,
                            .d_y = d_y,
                            .d_x = d_x,
                            .d_w = w.matrix(pass.gradient),
                            .d_bias = has_bias() ? b.vector(pass.gradient) : std::span<float>{},
                            .alpha = how.alpha,
                            .relu = how.relu,
                            .accumulate_dx = how.accumulate_dx,
                            .mask_dx = how.mask_dx});
}

TouchHead TouchHead::add(ParameterLayout& layout, const std::string& name, int64_t touch_width,
                         int64_t context_width, int64_t hidden, int64_t clusters, bool zero_out,
                         double bias) {
  TouchHead head;
  const Start start = Start::relu_layer(touch_width + context_width);
  head.touch = Linear::add(layout, name + "/touch", touch_width, hidden, start);
  head.context = Linear::add_without_bias(layout, name + "/context", context_width, hidden, start);
  head.out =
      Linear::add(layout, name + "/out", hidden, 1,
                  zero_out ? Start::zero() : Start::normal(1 / std::sqrt(double(hidden))), bias);
  head.cluster_bias = layout.add(name + "/cluster_bias", 1, clusters, Start::zero(), false);
  head.cluster_vector =
      layout.add(name + "/cluster_vector", clusters, context_width, Start::zero(), true);
  return head;
}

TouchHead::Activations TouchHead::forward(const Pass& pass, Csr touches,
                                          std::span<const int64_t> cluster,
                                          MixedMatrix<const float> encoded,
                                          Matrix<const float> journey_context,
                                          bool keep_hidden) const {
  const int64_t width = touch.w.cols;
  Activations activations;
  activations.hidden = pass.memory.activations(encoded.rows, width);
  const Matrix<float> of_context = pass.memory.matrix(journey_context.rows, width);
  activations.logit = pass.memory.matrix(encoded.rows, 1);
  pass.ops.touch_head_forward(pass.queue, {.touches = touches,
                                           .cluster = cluster,
                                           .x = encoded,
                                           .context = journey_context,
                                           .weights = tensors_of(*this, pass.weights),
                                           .logit = activations.logit,
                                           .hidden = activations.hidden,
                                           .of_context = of_context,
                                           .keep_hidden = keep_hidden});
  return activations;
}

Matrix<float> TouchHead::logit(const Pass& pass, Csr touches, std::span<const int64_t> of_clusters,
                               Matrix<const float> journey_context, Matrix<const float> of_context,
                               Matrix<float> hidden) const {
  const Matrix<float> logit = pass.memory.matrix(hidden.rows, 1);
  pass.ops.join_context_forward(pass.queue,
                                {.touches = touches, .context = of_context, .y = hidden});
  out.forward(pass, hidden, logit, false);
  pass.ops.bilinear_forward(pass.queue, {.touches = touches,
                                         .cluster = of_clusters,
                                         .bias = cluster_bias.vector(pass.weights),
                                         .v = cluster_vector.matrix(pass.weights),
                                         .context = journey_context,
                                         .logit = flat(logit)});
  return logit;
}

void TouchHead::backward(const Pass& pass, Csr touches, std::span<const int64_t> cluster,
                         MixedMatrix<const float> encoded, Matrix<const float> journey_context,
                         const Activations& activations, Matrix<float> d_logit,
                         MixedMatrix<float> d_encoded, Matrix<float> d_context,
                         const Backward& how) const {
  const int64_t width = touch.w.cols;
  pass.ops.touch_head_backward(pass.queue,
                               {.touches = touches,
                                .cluster = cluster,
                                .x = encoded,
                                .context = journey_context,
                                .weights = tensors_of(*this, pass.weights),
                                .hidden = activations.hidden,
                                .d_logit = d_logit,
                                .d_hidden = how.d_hidden,
                                .d_x = d_encoded,
                                .d_context = d_context,
                                .gradients = tensors_of(*this, pass.gradient),
                                .room_touches = pass.memory.activations(encoded.rows, width),
                                .room_journeys = pass.memory.matrix(journey_context.rows, width),
                                .accumulate_dx = how.accumulate_dx,
                                .mask_dx = how.mask_dx});
}

void multiply_by_touches(Csr touches, Matrix<float> of) {
  for (int64_t row = 0; row < of.rows; ++row) {
    const size_t at = static_cast<size_t>(row);
    const float count = static_cast<float>(touches.begin[at + 1] - touches.begin[at]);
    for (int64_t col = 0; col < of.cols; ++col) of(row, col) *= count;
  }
}

}  // namespace alm
