#include "kernels/touch_head.h"

#include "kernels/device.h"

namespace alm {
namespace {

template <class Rows>
bool has_shape(const Rows& matrix, int64_t rows, int64_t cols) {
  return matrix.rows == rows && matrix.cols == cols;
}

template <class T>
bool fits(const TouchHeadTensors<T>& tensors, int64_t touch, int64_t context, int64_t hidden,
          int64_t clusters) {
  return has_shape(tensors.w_touch, touch, hidden) && std::ssize(tensors.bias) == hidden &&
         has_shape(tensors.w_context, context, hidden) && has_shape(tensors.w_out, hidden, 1) &&
         std::ssize(tensors.out_bias) == 1 && std::ssize(tensors.cluster_bias) == clusters &&
         has_shape(tensors.v, clusters, context);
}

// As many numbers as rows, next to each other.
std::span<float> column(Matrix<float> matrix) {
  return {matrix.data, static_cast<size_t>(matrix.rows)};
}

}  // namespace

void check_touch_head(const TouchHeadForward& a) {
  const int64_t hidden = a.weights.w_touch.cols;
  ALM_CHECK(fits(a.weights, a.x.cols, a.context.cols, hidden, a.weights.v.rows));
  ALM_CHECK(a.touches.rows() == a.context.rows && std::ssize(a.cluster) == a.x.rows &&
            has_shape(a.logit, a.x.rows, 1) && a.logit.stride == 1 &&
            has_shape(a.hidden, a.x.rows, hidden) &&
            has_shape(a.of_context, a.context.rows, hidden));
}

void check_touch_head(const TouchHeadBackward& a) {
  const int64_t hidden = a.weights.w_touch.cols;
  ALM_CHECK(fits(a.weights, a.x.cols, a.context.cols, hidden, a.weights.v.rows) &&
            fits(a.gradients, a.x.cols, a.context.cols, hidden, a.weights.v.rows));
  ALM_CHECK(a.touches.rows() == a.context.rows && std::ssize(a.cluster) == a.x.rows &&
            has_shape(a.d_logit, a.x.rows, 1) && a.d_logit.stride == 1 &&
            has_shape(a.hidden, a.x.rows, hidden) &&
            has_shape(a.d_context, a.context.rows, a.context.cols) &&
            has_shape(a.room_touches, a.x.rows, hidden) &&
            has_shape(a.room_journeys, a.context.rows, hidden));
  ALM_CHECK((a.d_x.data == nullptr || has_shape(a.d_x, a.x.rows, a.x.cols)) &&
            (a.d_hidden.data == nullptr || has_shape(a.d_hidden, a.x.rows, hidden)));
}

void touch_head_forward_by_parts(const Ops& ops, Queue& queue, const TouchHeadForward& a) {
  check_touch_head(a);
  const TouchHeadTensors<const float>& w = a.weights;
  ops.linear_forward(queue, {.x = a.x, .w = w.w_touch, .bias = w.bias, .y = a.hidden});
  // The context half runs once a journey.
  ops.linear_forward(queue, {.x = a.context, .w = w.w_context, .bias = {}, .y = a.of_context});
  ops.join_context_forward(queue, {.touches = a.touches, .context = a.of_context, .y = a.hidden});
  ops.linear_forward(queue, {.x = a.hidden, .w = w.w_out, .bias = w.out_bias, .y = a.logit});
  ops.bilinear_forward(queue, {.touches = a.touches,
                               .cluster = a.cluster,
                               .bias = w.cluster_bias,
                               .v = w.v,
                               .context = a.context,
                               .logit = column(a.logit)});
}

void touch_head_backward_by_parts(const Ops& ops, Queue& queue, const TouchHeadBackward& a) {
  check_touch_head(a);
  const TouchHeadTensors<const float>& w = a.weights;
  const TouchHeadTensors<float>& g = a.gradients;
  const MixedMatrix<float> d_hidden = a.room_touches;
  const bool beside = a.d_hidden.data != nullptr;
  ops.bilinear_backward(queue, {.touches = a.touches,
                                .cluster = a.cluster,
                                .v = w.v,
                                .context = a.context,
                                .d_logit = column(a.d_logit),
                                .d_bias = g.cluster_bias,
                                .d_v = g.v,
                                .d_context = a.d_context});
  if (beside) queue.copy(a.d_hidden, d_hidden);
  ops.linear_backward(queue, {.x = a.hidden,
                              .w = w.w_out,
                              .y = {},
                              .d_y = a.d_logit,
                              .d_x = d_hidden,
                              .d_w = g.w_out,
                              .d_bias = g.out_bias,
                              .accumulate_dx = beside});
  ops.join_context_backward(
      queue, {.touches = a.touches, .y = a.hidden, .d_y = d_hidden, .d_context = a.room_journeys});
  ops.linear_backward(queue, {.x = a.x,
                              .w = w.w_touch,
                              .y = {},
                              .d_y = d_hidden,
                              .d_x = a.d_x,
                              .d_w = g.w_touch,
                              .d_bias = g.bias,
                              .accumulate_dx = a.accumulate_dx,
                              .mask_dx = a.mask_dx});
  ops.linear_backward(queue, {.x = a.context,
                              .w = w.w_context,
                              .y = {},
                              .d_y = a.room_journeys,
                              .d_x = a.d_context,
                              .d_w = g.w_context,
                              .d_bias = {},
                              .accumulate_dx = true});
}

}  // namespace alm
