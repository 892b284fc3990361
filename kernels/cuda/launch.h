// The kernels as the host sees them: one function an op, in the file of the same name as in
// kernels/cpu. Each queues its kernels on the stream and returns; pointers are the device's. Shapes
// are checked by the caller (table.cc).
#pragma once

#include "kernels/cuda/queue.h"

namespace alm::cuda {

cudaError_t launch_dense_features(CudaQueue& queue, const DenseFeatures& a);
cudaError_t launch_gather_rows(CudaQueue& queue, const GatherRows& a);
cudaError_t launch_scatter_rows(CudaQueue& queue, const ScatterRows& a);
cudaError_t launch_linear_forward(CudaQueue& queue, const LinearForward& a);
cudaError_t launch_linear_backward(CudaQueue& queue, const LinearBackward& a);
cudaError_t launch_join_context_forward(CudaQueue& queue, const JoinContextForward& a);
cudaError_t launch_join_context_backward(CudaQueue& queue, const JoinContextBackward& a);
cudaError_t launch_attention_forward(CudaQueue& queue, const AttentionForward& a);
cudaError_t launch_attention_backward(CudaQueue& queue, const AttentionBackward& a);
cudaError_t launch_pool_forward(CudaQueue& queue, const PoolForward& a);
cudaError_t launch_pool_backward(CudaQueue& queue, const PoolBackward& a);
cudaError_t launch_weighted_sum_forward(CudaQueue& queue, const WeightedSumForward& a);
cudaError_t launch_weighted_sum_backward(CudaQueue& queue, const WeightedSumBackward& a);
cudaError_t launch_bilinear_forward(CudaQueue& queue, const BilinearForward& a);
cudaError_t launch_bilinear_backward(CudaQueue& queue, const BilinearBackward& a);
// Of heads that fit the fused kernels, in bf16.
bool fits_touch_head_kernel(const TouchHeadForward& a);
bool fits_touch_head_kernel(const TouchHeadBackward& a);
cudaError_t launch_touch_head_forward(CudaQueue& queue, const TouchHeadForward& a);
cudaError_t launch_touch_head_backward(CudaQueue& queue, const TouchHeadBackward& a);
cudaError_t launch_separable_loss(CudaQueue& queue, const SeparableLoss& a);
cudaError_t launch_additive_loss(CudaQueue& queue, const AdditiveLoss& a);
cudaError_t launch_bce_loss(CudaQueue& queue, const SupervisedLoss& a);
cudaError_t launch_squared_loss(CudaQueue& queue, const SupervisedLoss& a);
cudaError_t launch_sigmoid_squared_loss(CudaQueue& queue, const SigmoidSquaredLoss& a);
cudaError_t launch_softmax_loss(CudaQueue& queue, const SoftmaxLoss& a);
cudaError_t launch_infonce(CudaQueue& queue, const InfoNce& a);
cudaError_t launch_gradient_scale(CudaQueue& queue, const GradientScale& a);
cudaError_t launch_adamw(CudaQueue& queue, const AdamW& a);
cudaError_t launch_adagrad_rows(CudaQueue& queue, const AdagradRows& a);
cudaError_t launch_max_abs(CudaQueue& queue, const MaxAbs& a);
cudaError_t launch_quantise(CudaQueue& queue, const Quantise& a);
cudaError_t launch_dequantise(CudaQueue& queue, const Dequantise& a);
cudaError_t launch_sigmoid(CudaQueue& queue, const Sigmoid& a);
cudaError_t launch_expected_mediator_forward(CudaQueue& queue, const ExpectedMediatorForward& a);
cudaError_t launch_expected_mediator_backward(CudaQueue& queue, const ExpectedMediatorBackward& a);
cudaError_t launch_accumulate(CudaQueue& queue, const Accumulate& a);
cudaError_t launch_sum_squares(CudaQueue& queue, const SumSquares& a);

}  // namespace alm::cuda
