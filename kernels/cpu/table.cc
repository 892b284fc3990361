// The filled table of this SIMD level.
#include "kernels/cpu/level.h"

#define ALM_TEXT_OF(name) #name
#define ALM_TEXT(name) ALM_TEXT_OF(name)

namespace alm::ALM_SIMD {

extern const Ops kOps;
const Ops kOps = {
    .name = ALM_TEXT(ALM_SIMD),
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

}  // namespace alm::ALM_SIMD
