// The functions of one SIMD level. Every op file is compiled once per level, each time in a
// namespace named after it (ALM_SIMD), so that code for a newer processor can never be mixed in by
// the linker.
#pragma once

#include "kernels/device.h"

namespace alm::ALM_SIMD {

void dense_features(Queue& queue, const DenseFeatures& a);
void gather_rows(Queue& queue, const GatherRows& a);
void scatter_rows(Queue& queue, const ScatterRows& a);
void linear_forward(Queue& queue, const LinearForward& a);
void linear_backward(Queue& queue, const LinearBackward& a);
void join_context_forward(Queue& queue, const JoinContextForward& a);
void join_context_backward(Queue& queue, const JoinContextBackward& a);
void attention_forward(Queue& queue, const AttentionForward& a);
void attention_backward(Queue& queue, const AttentionBackward& a);
void pool_forward(Queue& queue, const PoolForward& a);
void pool_backward(Queue& queue, const PoolBackward& a);
void weighted_sum_forward(Queue& queue, const WeightedSumForward& a);
void weighted_sum_backward(Queue& queue, const WeightedSumBackward& a);
void bilinear_forward(Queue& queue, const BilinearForward& a);
void bilinear_backward(Queue& queue, const BilinearBackward& a);
void touch_head_forward(Queue& queue, const TouchHeadForward& a);
void touch_head_backward(Queue& queue, const TouchHeadBackward& a);
void separable_loss(Queue& queue, const SeparableLoss& a);
void additive_loss(Queue& queue, const AdditiveLoss& a);
void bce_loss(Queue& queue, const SupervisedLoss& a);
void squared_loss(Queue& queue, const SupervisedLoss& a);
void sigmoid_squared_loss(Queue& queue, const SigmoidSquaredLoss& a);
void softmax_loss(Queue& queue, const SoftmaxLoss& a);
void infonce(Queue& queue, const InfoNce& a);
void gradient_scale(Queue& queue, const GradientScale& a);
void adamw(Queue& queue, const AdamW& a);
void adagrad_rows(Queue& queue, const AdagradRows& a);
void max_abs(Queue& queue, const MaxAbs& a);
void quantise(Queue& queue, const Quantise& a);
void dequantise(Queue& queue, const Dequantise& a);
void sigmoid(Queue& queue, const Sigmoid& a);
void expected_mediator_forward(Queue& queue, const ExpectedMediatorForward& a);
void expected_mediator_backward(Queue& queue, const ExpectedMediatorBackward& a);
void accumulate(Queue& queue, const Accumulate& a);
void sum_squares(Queue& queue, const SumSquares& a);

}  // namespace alm::ALM_SIMD
