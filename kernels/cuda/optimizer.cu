// Weight updates. Memory-bound: AdamW moves 28 bytes a weight, Adagrad rows 12 (4 of state a row).
#include <cmath>

#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/launch.h"

namespace alm::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads) adamw_kernel(AdamW a, float unbias1, float unbias2) {
  const int64_t i = thread_in_grid();
  if (i >= static_cast<int64_t>(a.weights.size())) return;
  const float g = a.gradient.data()[i] * a.gradient_scale;
  const float m = a.beta1 * a.first_moment.data()[i] + (1.0f - a.beta1) * g;
  const float v = a.beta2 * a.second_moment.data()[i] + (1.0f - a.beta2) * g * g;
  a.first_moment.data()[i] = m;
  a.second_moment.data()[i] = v;
  const float update = m * unbias1 / (sqrtf(v * unbias2) + a.epsilon);
  const float weight = a.weights.data()[i];
  a.weights.data()[i] =
      weight - a.learning_rate * (update + a.weight_decay * a.decay_mask.data()[i] * weight);
}

// A warp a row.
__global__ void __launch_bounds__(kThreads) adagrad_rows_kernel(AdagradRows a) {
  const int64_t i = warp_in_grid();
  if (i >= static_cast<int64_t>(a.rows.size())) return;
  const int64_t width = a.table.cols;
  const float* const gradient = a.gradient.row(i);
  const int64_t r = a.rows.data()[i];
  const float square = warp_dot(gradient, gradient, width) * a.gradient_scale * a.gradient_scale;
  float state = 0;
  if (lane() == 0) {
    state = a.state.data()[r] + square / static_cast<float>(width);
    a.state.data()[r] = state;
  }
  state = __shfl_sync(kAllLanes, state, 0);
  const float step = a.learning_rate * a.gradient_scale / (sqrtf(state) + a.epsilon);
  for (int64_t c = lane(); c < width; c += kWarp) a.table.row(r)[c] -= step * gradient[c];
}

}  // namespace

cudaError_t launch_adamw(CudaQueue& queue, const AdamW& a) {
  const double step = static_cast<double>(a.step);
  const auto unbias1 = static_cast<float>(1.0 / (1.0 - std::pow(double{a.beta1}, step)));
  const auto unbias2 = static_cast<float>(1.0 / (1.0 - std::pow(double{a.beta2}, step)));
  const int64_t blocks = blocks_for(std::ssize(a.weights), kThreads);
  return Launches(queue).run<adamw_kernel>(blocks, kThreads, a, unbias1, unbias2).error();
}

cudaError_t launch_adagrad_rows(CudaQueue& queue, const AdagradRows& a) {
  if (a.table.cols == 0) return cudaSuccess;
  const int64_t blocks = blocks_for(std::ssize(a.rows), kThreads / kWarp);
  return Launches(queue).run<adagrad_rows_kernel>(blocks, kThreads, a).error();
}

}  // namespace alm::cuda
