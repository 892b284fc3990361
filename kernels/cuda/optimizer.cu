// Weight updates. Memory-bound: AdamW moves 28 bytes a weight, Adagrad rows 12 (4 of state a row).
#include <limits>

#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/maths.cuh"

namespace alm::cuda {
namespace {

constexpr int kThreads = 256;

// A handful of numbers, one after another.
__global__ void __launch_bounds__(kWarp) gradient_scale_kernel(GradientScale a) {
  if (threadIdx.x > 0) return;
  constexpr int kLosses = sizeof(LossSums) / sizeof(double);
  const double* const losses = &a.losses->mediator;
  bool finite = true;
  for (int i = 0; i < kLosses; ++i) finite = finite && fabs(losses[i]) <= kLargestLoss;
  double squares = 0;
  for (size_t i = 0; i < a.squares.size(); ++i) squares += a.squares.data()[i];
  const double weight = a.losses->weight;
  const double mean = weight > 0 ? 1 / weight : 0;
  const double norm = sqrt(squares) * mean;
  const double clip_norm = a.settings->clip_norm;
  const bool clip = clip_norm > 0 && norm > clip_norm;
  finite = finite && norm < std::numeric_limits<double>::infinity();
  *a.scale = finite ? static_cast<float>(clip ? mean * clip_norm / norm : mean)
                    : std::numeric_limits<float>::quiet_NaN();
}

__global__ void __launch_bounds__(kThreads) adamw_kernel(AdamW a) {
  const int64_t i = thread_in_grid();
  if (i >= static_cast<int64_t>(a.weights.size())) return;
  const float scale = *a.gradient_scale;
  if (is_nan(scale)) return;
  const StepSettings& settings = *a.settings;
  const float g = a.gradient.data()[i] * scale;
  const float m = a.beta1 * a.first_moment.data()[i] + (1.0f - a.beta1) * g;
  const float v = a.beta2 * a.second_moment.data()[i] + (1.0f - a.beta2) * g * g;
  a.first_moment.data()[i] = m;
  a.second_moment.data()[i] = v;
  const float update = m * settings.unbias1 / (sqrtf(v * settings.unbias2) + a.epsilon);
  const float weight = a.weights.data()[i];
  const float decay = settings.weight_decay * a.decay_mask.data()[i] * weight;
  a.weights.data()[i] = weight - settings.learning_rate * (update + decay);
}

// A warp a row.
__global__ void __launch_bounds__(kThreads) adagrad_rows_kernel(AdagradRows a) {
  const int64_t i = warp_in_grid();
  if (i >= static_cast<int64_t>(a.rows.size())) return;
  const float scale = *a.gradient_scale;
  if (is_nan(scale)) return;
  const int64_t width = a.table.cols;
  const float* const gradient = a.gradient.row(i);
  const int64_t r = a.rows.data()[i];
  const float square = warp_dot(gradient, gradient, width) * scale * scale;
  float state = 0;
  if (lane() == 0) {
    state = a.state.data()[r] + square / static_cast<float>(width);
    a.state.data()[r] = state;
  }
  state = __shfl_sync(kAllLanes, state, 0);
  const float step = a.settings->row_learning_rate * scale / (sqrtf(state) + a.epsilon);
  for (int64_t c = lane(); c < width; c += kWarp) a.table.row(r)[c] -= step * gradient[c];
}

}  // namespace

cudaError_t launch_gradient_scale(CudaQueue& queue, const GradientScale& a) {
  return Launches(queue).run<gradient_scale_kernel>(1, kWarp, a).error();
}

cudaError_t launch_adamw(CudaQueue& queue, const AdamW& a) {
  const int64_t blocks = blocks_for(std::ssize(a.weights), kThreads);
  return Launches(queue).run<adamw_kernel>(blocks, kThreads, a).error();
}

cudaError_t launch_adagrad_rows(CudaQueue& queue, const AdagradRows& a) {
  if (a.table.cols == 0) return cudaSuccess;
  const int64_t blocks = blocks_for(std::ssize(a.rows), kThreads / kWarp);
  return Launches(queue).run<adagrad_rows_kernel>(blocks, kThreads, a).error();
}

}  // namespace alm::cuda
