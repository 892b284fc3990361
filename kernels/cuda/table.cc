// Host side of each op: shapes are checked, kernels queued. Pointers are the device's, so nothing
// is read here.
#include <iterator>

#include "kernels/cuda/launch.h"
#include "kernels/touch_head.h"

namespace alm::cuda {
namespace {

CudaQueue& queue_of(Queue& queue) {
  return static_cast<CudaQueue&>(queue);
}

template <class Left, class Right>
bool same_shape(const Left& left, const Right& right) {
  return left.rows == right.rows && left.cols == right.cols;
}
template <class Rows>
bool has_shape(const Rows& matrix, int64_t rows, int64_t cols) {
  return matrix.rows == rows && matrix.cols == cols;
}

// Whether all that are there are held alike, and the queue's products take them.
template <class First, class... Others>
bool held_alike(Queue& queue, const First& first, const Others&... others) {
  const bool taken = first.precision == Precision::fp32 ||
                     static_cast<CudaQueue&>(queue).precision() == Precision::bf16;
  return taken && ((others.data == nullptr || others.precision == first.precision) && ...);
}

void dense_features(Queue& queue, const DenseFeatures& a) {
  const int64_t features = a.x.cols;
  ALM_CHECK(a.out.rows == a.x.rows && std::ssize(a.mean) == features &&
            std::ssize(a.inverse_sd) == features && std::ssize(a.missing_slot) == features);
  check(launch_dense_features(queue_of(queue), a), "dense_features");
}

void gather_rows(Queue& queue, const GatherRows& a) {
  ALM_CHECK(has_shape(a.out, std::ssize(a.rows), a.table.cols));
  check(launch_gather_rows(queue_of(queue), a), "gather_rows");
}

void scatter_rows(Queue& queue, const ScatterRows& a) {
  ALM_CHECK(has_shape(a.d_out, std::ssize(a.rows), a.gradient.cols));
  check(launch_scatter_rows(queue_of(queue), a), "scatter_rows");
}

void linear_forward(Queue& queue, const LinearForward& a) {
  ALM_CHECK(a.x.rows == a.y.rows && a.x.cols == a.w.rows && a.y.cols == a.w.cols);
  ALM_CHECK(a.bias.empty() || std::ssize(a.bias) == a.y.cols);
  ALM_CHECK((a.addend.data == nullptr || same_shape(a.addend, a.y)) &&
            (a.before_relu.data == nullptr || same_shape(a.before_relu, a.y)));
  ALM_CHECK(held_alike(queue, a.x) && held_alike(queue, a.y, a.addend, a.before_relu));
  check(launch_linear_forward(queue_of(queue), a), "linear_forward");
}

void linear_backward(Queue& queue, const LinearBackward& a) {
  ALM_CHECK(held_alike(queue, a.x, a.d_x) && held_alike(queue, a.d_y, a.y));
  ALM_CHECK(!a.relu || same_shape(a.y, a.d_y));
  ALM_CHECK(a.d_bias.empty() || std::ssize(a.d_bias) == a.d_y.cols);
  ALM_CHECK(a.d_w.data == nullptr ||
            (a.x.rows == a.d_y.rows && has_shape(a.d_w, a.x.cols, a.d_y.cols)));
  ALM_CHECK(a.d_x.data == nullptr ||
            (a.w.cols == a.d_y.cols && has_shape(a.d_x, a.d_y.rows, a.w.rows)));
  check(launch_linear_backward(queue_of(queue), a), "linear_backward");
}

void join_context_forward(Queue& queue, const JoinContextForward& a) {
  ALM_CHECK(held_alike(queue, a.y) && a.touches.rows() == a.context.rows &&
            a.y.cols == a.context.cols);
  check(launch_join_context_forward(queue_of(queue), a), "join_context_forward");
}

void join_context_backward(Queue& queue, const JoinContextBackward& a) {
  ALM_CHECK(held_alike(queue, a.d_y, a.y));
  ALM_CHECK(a.touches.rows() == a.d_context.rows && same_shape(a.y, a.d_y) &&
            a.y.cols == a.d_context.cols);
  check(launch_join_context_backward(queue_of(queue), a), "join_context_backward");
}

void attention_forward(Queue& queue, const AttentionForward& a) {
  const int64_t width = a.start.cols;
  ALM_CHECK(held_alike(queue, a.qkv, a.out));
  ALM_CHECK(width % a.heads == 0 && a.start.rows == 2 && a.qkv.cols == 3 * width &&
            has_shape(a.out, a.qkv.rows, width) && has_shape(a.log_sum, a.qkv.rows, a.heads));
  check(launch_attention_forward(queue_of(queue), a), "attention_forward");
}

void attention_backward(Queue& queue, const AttentionBackward& a) {
  const int64_t width = a.start.cols;
  ALM_CHECK(held_alike(queue, a.qkv, a.out, a.d_out, a.d_qkv));
  ALM_CHECK(width % a.heads == 0 && a.qkv.cols == 3 * width && same_shape(a.d_qkv, a.qkv) &&
            has_shape(a.out, a.qkv.rows, width) && same_shape(a.d_out, a.out) &&
            has_shape(a.log_sum, a.qkv.rows, a.heads) && same_shape(a.d_start, a.start));
  check(launch_attention_backward(queue_of(queue), a), "attention_backward");
}

void pool_forward(Queue& queue, const PoolForward& a) {
  ALM_CHECK(held_alike(queue, a.x) && std::ssize(a.w) == a.x.cols &&
            std::ssize(a.alpha) == a.x.rows && has_shape(a.out, a.touches.rows(), a.x.cols + 1));
  check(launch_pool_forward(queue_of(queue), a), "pool_forward");
}

void pool_backward(Queue& queue, const PoolBackward& a) {
  ALM_CHECK(held_alike(queue, a.x, a.d_x));
  ALM_CHECK(std::ssize(a.w) == a.x.cols && std::ssize(a.alpha) == a.x.rows &&
            has_shape(a.out, a.touches.rows(), a.x.cols + 1) && same_shape(a.d_out, a.out) &&
            same_shape(a.d_x, a.x) && a.d_w.size() == a.w.size());
  check(launch_pool_backward(queue_of(queue), a), "pool_backward");
}

void weighted_sum_forward(Queue& queue, const WeightedSumForward& a) {
  ALM_CHECK(held_alike(queue, a.x) && std::ssize(a.weight) == a.x.rows &&
            has_shape(a.out, a.touches.rows(), a.x.cols));
  check(launch_weighted_sum_forward(queue_of(queue), a), "weighted_sum_forward");
}

void weighted_sum_backward(Queue& queue, const WeightedSumBackward& a) {
  ALM_CHECK(held_alike(queue, a.x, a.d_x));
  ALM_CHECK(std::ssize(a.weight) == a.x.rows && a.d_weight.size() == a.weight.size() &&
            has_shape(a.d_out, a.touches.rows(), a.x.cols) && same_shape(a.d_x, a.x));
  check(launch_weighted_sum_backward(queue_of(queue), a), "weighted_sum_backward");
}

void bilinear_forward(Queue& queue, const BilinearForward& a) {
  ALM_CHECK(a.touches.rows() == a.context.rows && a.cluster.size() == a.logit.size() &&
            a.v.cols == a.context.cols && a.v.rows == std::ssize(a.bias));
  check(launch_bilinear_forward(queue_of(queue), a), "bilinear_forward");
}

void bilinear_backward(Queue& queue, const BilinearBackward& a) {
  ALM_CHECK(a.touches.rows() == a.context.rows && a.cluster.size() == a.d_logit.size() &&
            a.v.cols == a.context.cols && same_shape(a.d_v, a.v) &&
            std::ssize(a.d_bias) == a.v.rows && same_shape(a.d_context, a.context));
  check(launch_bilinear_backward(queue_of(queue), a), "bilinear_backward");
}

// In bf16 by the fused kernels where the head fits them; else by parts.
bool fused(Queue& queue, bool fits) {
  return fits && queue_of(queue).precision() == Precision::bf16;
}

void touch_head_forward(Queue& queue, const TouchHeadForward& a) {
  if (!fused(queue, fits_touch_head_kernel(a))) {
    return touch_head_forward_by_parts(kOps, queue, a);
  }
  check_touch_head(a);
  ALM_CHECK(a.hidden.precision == Precision::bf16);
  check(launch_touch_head_forward(queue_of(queue), a), "touch_head_forward");
}

void touch_head_backward(Queue& queue, const TouchHeadBackward& a) {
  if (!fused(queue, fits_touch_head_kernel(a))) {
    return touch_head_backward_by_parts(kOps, queue, a);
  }
  check_touch_head(a);
  ALM_CHECK(a.room_touches.precision == Precision::bf16 && held_alike(queue, a.x, a.d_x) &&
            held_alike(queue, a.room_touches, a.d_hidden));
  check(launch_touch_head_backward(queue_of(queue), a), "touch_head_backward");
}

void separable_loss(Queue& queue, const SeparableLoss& a) {
  const int64_t journeys = a.touches.rows();
  const size_t touches = a.mediator_logit.size();
  ALM_CHECK(a.potency.size() == touches && a.mediator.size() == touches &&
            std::ssize(a.confounding) == journeys && std::ssize(a.second_stage) == journeys &&
            std::ssize(a.outcome) == journeys && std::ssize(a.weight) == journeys &&
            a.sums != nullptr);
  ALM_CHECK(a.d_confounding.data() == nullptr ||
            (a.d_mediator_logit.size() == touches && a.d_potency.size() == touches &&
             std::ssize(a.d_confounding) == journeys && std::ssize(a.d_second_stage) == journeys));
  check(launch_separable_loss(queue_of(queue), a), "separable_loss");
}

void additive_loss(Queue& queue, const AdditiveLoss& a) {
  const int64_t journeys = a.touches.rows();
  const size_t touches = a.mediator_logit.size();
  ALM_CHECK(a.potency.size() == touches && a.mediator.size() == touches &&
            std::ssize(a.confounding) == journeys && std::ssize(a.outcome) == journeys &&
            std::ssize(a.weight) == journeys && a.sums != nullptr);
  ALM_CHECK(a.d_confounding.data() == nullptr ||
            (a.d_mediator_logit.size() == touches && a.d_potency.size() == touches &&
             std::ssize(a.d_confounding) == journeys));
  check(launch_additive_loss(queue_of(queue), a), "additive_loss");
}

void check_supervised(const SupervisedLoss& a) {
  ALM_CHECK(a.target.size() == a.output.size() && a.weight.size() == a.output.size() &&
            (a.d_output.data() == nullptr || a.d_output.size() == a.output.size()));
}

void bce_loss(Queue& queue, const SupervisedLoss& a) {
  check_supervised(a);
  check(launch_bce_loss(queue_of(queue), a), "bce_loss");
}

void squared_loss(Queue& queue, const SupervisedLoss& a) {
  check_supervised(a);
  check(launch_squared_loss(queue_of(queue), a), "squared_loss");
}

void sigmoid_squared_loss(Queue& queue, const SigmoidSquaredLoss& a) {
  check_supervised(a);
  check(launch_sigmoid_squared_loss(queue_of(queue), a), "sigmoid_squared_loss");
}

void softmax_loss(Queue& queue, const SoftmaxLoss& a) {
  ALM_CHECK(std::ssize(a.label) == a.logits.rows && std::ssize(a.weight) == a.logits.rows &&
            (a.logits.rows == 0 || a.logits.cols > 0) &&
            (a.d_logits.data == nullptr || same_shape(a.d_logits, a.logits)));
  check(launch_softmax_loss(queue_of(queue), a), "softmax_loss");
}

void infonce(Queue& queue, const InfoNce& a) {
  ALM_CHECK(a.columns.rows() == a.rows.rows() && a.y.cols == a.x.cols &&
            std::ssize(a.weight) == a.x.rows && std::ssize(a.positive) == a.x.rows &&
            a.row_ids.cols == a.column_ids.cols && a.temperature > 0);
  ALM_CHECK(a.log_frequency.empty() || std::ssize(a.log_frequency) == a.y.rows);
  ALM_CHECK(a.d_y.data == nullptr || (same_shape(a.d_x, a.x) && same_shape(a.d_y, a.y)));
  check(launch_infonce(queue_of(queue), a), "infonce");
}

void gradient_scale(Queue& queue, const GradientScale& a) {
  check(launch_gradient_scale(queue_of(queue), a), "gradient_scale");
}

void adamw(Queue& queue, const AdamW& a) {
  const size_t count = a.weights.size();
  ALM_CHECK(a.gradient.size() == count && a.first_moment.size() == count &&
            a.second_moment.size() == count && a.decay_mask.size() == count);
  check(launch_adamw(queue_of(queue), a), "adamw");
}

void adagrad_rows(Queue& queue, const AdagradRows& a) {
  ALM_CHECK(has_shape(a.gradient, std::ssize(a.rows), a.table.cols) &&
            std::ssize(a.state) == a.table.rows);
  check(launch_adagrad_rows(queue_of(queue), a), "adagrad_rows");
}

void max_abs(Queue& queue, const MaxAbs& a) {
  check(launch_max_abs(queue_of(queue), a), "max_abs");
}

void quantise(Queue& queue, const Quantise& a) {
  ALM_CHECK(a.x.size() == a.sum.size());
  check(launch_quantise(queue_of(queue), a), "quantise");
}

void dequantise(Queue& queue, const Dequantise& a) {
  ALM_CHECK(a.x.size() == a.sum.size());
  check(launch_dequantise(queue_of(queue), a), "dequantise");
}

void sigmoid(Queue& queue, const Sigmoid& a) {
  ALM_CHECK(a.logit.size() == a.out.size());
  check(launch_sigmoid(queue_of(queue), a), "sigmoid");
}

void expected_mediator_forward(Queue& queue, const ExpectedMediatorForward& a) {
  ALM_CHECK(a.mediator.size() == a.share.size() && a.logit.size() == a.share.size());
  check(launch_expected_mediator_forward(queue_of(queue), a), "expected_mediator_forward");
}

void expected_mediator_backward(Queue& queue, const ExpectedMediatorBackward& a) {
  ALM_CHECK(a.mediator.size() == a.share.size() && a.d_share.size() == a.share.size() &&
            a.d_logit.size() == a.share.size());
  check(launch_expected_mediator_backward(queue_of(queue), a), "expected_mediator_backward");
}

void accumulate(Queue& queue, const Accumulate& a) {
  ALM_CHECK(a.x.size() == a.y.size());
  check(launch_accumulate(queue_of(queue), a), "accumulate");
}

void sum_squares(Queue& queue, const SumSquares& a) {
  check(launch_sum_squares(queue_of(queue), a), "sum_squares");
}

}  // namespace

const Ops kOps = {
    .name = "cuda",
    .dense_features = dense_features,
    .gather_rows = gather_rows,
    .scatter_rows = scatter_rows,
    .linear_forward = linear_forward,
    .linear_backward = linear_backward,
    .join_context_forward = join_context_forward,
    .join_context_backward = join_context_backward,
    .attention_forward = attention_forward,
    .attention_backward = attention_backward,
    .pool_forward = pool_forward,
    .pool_backward = pool_backward,
    .weighted_sum_forward = weighted_sum_forward,
    .weighted_sum_backward = weighted_sum_backward,
    .bilinear_forward = bilinear_forward,
    .bilinear_backward = bilinear_backward,
    .touch_head_forward = touch_head_forward,
    .touch_head_backward = touch_head_backward,
    .separable_loss = separable_loss,
    .additive_loss = additive_loss,
    .bce_loss = bce_loss,
    .squared_loss = squared_loss,
    .sigmoid_squared_loss = sigmoid_squared_loss,
    .softmax_loss = softmax_loss,
    .infonce = infonce,
    .gradient_scale = gradient_scale,
    .adamw = adamw,
    .adagrad_rows = adagrad_rows,
    .max_abs = max_abs,
    .quantise = quantise,
    .dequantise = dequantise,
    .sigmoid = sigmoid,
    .expected_mediator_forward = expected_mediator_forward,
    .expected_mediator_backward = expected_mediator_backward,
    .accumulate = accumulate,
    .sum_squares = sum_squares,
};

}  // namespace alm::cuda
