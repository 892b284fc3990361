// Passes over whole ranges: sizes, exact integer sums, sums of squares. Memory-bound: each number
// is read once, neighbours by neighbours.
#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/maths.cuh"
#include "kernels/cuda/sums.cuh"

namespace alm::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kBlockNumbers = 8 * kThreads;  // of a reduction

// |x| as an integer has the order of |x|, with every NaN above infinity. A maximum does not depend
// on order, so the blocks may meet in an atomic one.
__global__ void __launch_bounds__(kThreads) max_abs_kernel(MaxAbs a) {
  constexpr int kInfinity = 0x7f800000;
  const int64_t first = blockIdx.x * kBlockNumbers + threadIdx.x;
  const int64_t count = static_cast<int64_t>(a.x.size());
  int most = 0;
  for (int64_t i = first; i < first + kBlockNumbers && i < count; i += kThreads) {
    const int size = __float_as_int(a.x.data()[i]) & 0x7fffffff;
    most = size > most ? size : most;
  }
#pragma unroll
  for (int flip = kWarp / 2; flip > 0; flip /= 2) {
    const int other = __shfl_xor_sync(kAllLanes, most, flip);
    most = other > most ? other : most;
  }
  if (lane() == 0)
    atomicMax(reinterpret_cast<int*>(a.largest), most > kInfinity ? kInfinity : most);
}

__global__ void __launch_bounds__(kThreads) quantise_kernel(Quantise a, double scale) {
  const int64_t i = thread_in_grid();
  if (i >= static_cast<int64_t>(a.x.size())) return;
  a.sum.data()[i] += llrint(static_cast<double>(a.x.data()[i]) * scale);
}

// Integer to float rounds once (by way of double it would twice); the power of two is exact.
__global__ void __launch_bounds__(kThreads) dequantise_kernel(Dequantise a, double scale) {
  const int64_t i = thread_in_grid();
  if (i >= static_cast<int64_t>(a.x.size())) return;
  const float rounded = static_cast<float>(a.sum.data()[i]);
  a.x.data()[i] = static_cast<float>(static_cast<double>(rounded) * scale);
}

__global__ void __launch_bounds__(kThreads) sigmoid_kernel(Sigmoid a) {
  const int64_t i = thread_in_grid();
  if (i >= static_cast<int64_t>(a.out.size())) return;
  a.out.data()[i] = sigmoid_parts(a.scale * a.logit.data()[i]).p;
}

__global__ void __launch_bounds__(kThreads)
    expected_mediator_forward_kernel(ExpectedMediatorForward a) {
  const int64_t j = thread_in_grid();
  if (j >= static_cast<int64_t>(a.share.size())) return;
  const uint8_t mediator = a.mediator.data()[j];
  a.share.data()[j] = mediator == kMediatorMissing ? sigmoid_parts(a.logit.data()[j]).p
                                                   : static_cast<float>(mediator);
}

__global__ void __launch_bounds__(kThreads)
    expected_mediator_backward_kernel(ExpectedMediatorBackward a) {
  const int64_t j = thread_in_grid();
  if (j >= static_cast<int64_t>(a.share.size())) return;
  if (a.mediator.data()[j] != kMediatorMissing) return;
  const float share = a.share.data()[j];
  a.d_logit.data()[j] += share * (1 - share) * a.d_share.data()[j];
}

__global__ void __launch_bounds__(kThreads) accumulate_kernel(Accumulate a) {
  const int64_t i = thread_in_grid();
  if (i < static_cast<int64_t>(a.y.size())) a.y.data()[i] += a.x.data()[i];
}

__global__ void __launch_bounds__(kThreads) sum_squares_kernel(SumSquares a, double* partials) {
  const int64_t first = blockIdx.x * kBlockNumbers + threadIdx.x;
  const int64_t count = static_cast<int64_t>(a.x.size());
  double mine = 0;
  for (int64_t i = first; i < first + kBlockNumbers && i < count; i += kThreads) {
    const double value = a.x.data()[i];
    mine += value * value;
  }
  const double total = block_sum<kThreads>(mine);
  if (threadIdx.x == 0) partials[blockIdx.x] = total;
}

}  // namespace

cudaError_t launch_max_abs(CudaQueue& queue, const MaxAbs& a) {
  const int64_t blocks = blocks_for(std::ssize(a.x), kBlockNumbers);
  return Launches(queue).run<max_abs_kernel>(blocks, kThreads, a).error();
}

cudaError_t launch_quantise(CudaQueue& queue, const Quantise& a) {
  const int64_t blocks = blocks_for(std::ssize(a.x), kThreads);
  return Launches(queue)
      .run<quantise_kernel>(blocks, kThreads, a, std::ldexp(1.0, a.shift))
      .error();
}

cudaError_t launch_dequantise(CudaQueue& queue, const Dequantise& a) {
  const int64_t blocks = blocks_for(std::ssize(a.x), kThreads);
  return Launches(queue)
      .run<dequantise_kernel>(blocks, kThreads, a, std::ldexp(1.0, -a.shift))
      .error();
}

cudaError_t launch_sigmoid(CudaQueue& queue, const Sigmoid& a) {
  const int64_t blocks = blocks_for(std::ssize(a.out), kThreads);
  return Launches(queue).run<sigmoid_kernel>(blocks, kThreads, a).error();
}

cudaError_t launch_expected_mediator_forward(CudaQueue& queue, const ExpectedMediatorForward& a) {
  const int64_t blocks = blocks_for(std::ssize(a.share), kThreads);
  return Launches(queue).run<expected_mediator_forward_kernel>(blocks, kThreads, a).error();
}

cudaError_t launch_expected_mediator_backward(CudaQueue& queue, const ExpectedMediatorBackward& a) {
  const int64_t blocks = blocks_for(std::ssize(a.share), kThreads);
  return Launches(queue).run<expected_mediator_backward_kernel>(blocks, kThreads, a).error();
}

cudaError_t launch_accumulate(CudaQueue& queue, const Accumulate& a) {
  const int64_t blocks = blocks_for(std::ssize(a.y), kThreads);
  return Launches(queue).run<accumulate_kernel>(blocks, kThreads, a).error();
}

cudaError_t launch_sum_squares(CudaQueue& queue, const SumSquares& a) {
  const int64_t blocks = blocks_for(std::ssize(a.x), kBlockNumbers);
  double* partials = nullptr;
  Pieces().add(&partials, blocks).take(queue);
  Launches launches(queue);
  launches.run<sum_squares_kernel>(blocks, kThreads, a, partials);
  add_sums(launches, partials, blocks, {a.sum});
  return launches.error();
}

}  // namespace alm::cuda
