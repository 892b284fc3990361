// Pools of a journey's touches, by softmax or by weights that are given, a warp a journey. Softmax
// scores are clamped, so exp needs no maximum taken out. Sums over touches in increasing order.
#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/sums.cuh"

namespace alm::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kJourneys = kThreads / kWarp;  // of a block

template <class Number>
__global__ void __launch_bounds__(kThreads) pool_forward_kernel(PoolForward a) {
  const int64_t i = warp_in_grid();
  if (i >= a.out.rows) return;
  const int64_t width = a.x.cols;
  const int64_t first = a.touches.begin.data()[i];
  const int64_t last = a.touches.begin.data()[i + 1];
  float total = 0;
  for (int64_t j = first; j < last; ++j) {
    const float score = warp_dot(a.x.row<Number>(j), a.w.data(), width);
    const float e = expf(score < -kPoolClamp  ? -kPoolClamp
                         : score > kPoolClamp ? kPoolClamp
                                              : score);
    if (lane() == 0) a.alpha.data()[j] = e;
    total += e;
  }
  __syncwarp();
  for (int64_t c = lane(); c < width; c += kWarp) {
    float sum = 0;
    for (int64_t j = first; j < last; ++j)
      sum += a.alpha.data()[j] / total * to_float(a.x.row<Number>(j)[c]);
    a.out.row(i)[c] = sum;
  }
  __syncwarp();
  for (int64_t j = first + lane(); j < last; j += kWarp) a.alpha.data()[j] /= total;
  if (lane() == 0) a.out.row(i)[width] = log1pf(static_cast<float>(last - first));
}

// Leaves d loss / d score of each touch for the gradient of w.
template <class Number>
__global__ void __launch_bounds__(kThreads) pool_backward_kernel(PoolBackward a, float* d_scores) {
  const int64_t i = warp_in_grid();
  if (i >= a.out.rows) return;
  const int64_t width = a.x.cols;
  const float* const d_out = a.d_out.row(i);
  const float mean_slope = warp_dot(a.out.row(i), d_out, width);
  for (int64_t j = a.touches.begin.data()[i]; j < a.touches.begin.data()[i + 1]; ++j) {
    const float score = warp_dot(a.x.row<Number>(j), a.w.data(), width);
    const float alpha = a.alpha.data()[j];
    const float slope = alpha * (warp_dot(a.x.row<Number>(j), d_out, width) - mean_slope);
    const float d_score = fabsf(score) > kPoolClamp ? 0.0f : slope;
    for (int64_t c = lane(); c < width; c += kWarp) {
      Number& d_x = a.d_x.row<Number>(j)[c];
      const float total = to_float(d_x) + (alpha * d_out[c] + d_score * a.w.data()[c]);
      put(d_x, a.mask_dx && !(to_float(a.x.row<Number>(j)[c]) > 0.0f) ? 0.0f : total);
    }
    if (lane() == 0) d_scores[j] = d_score;
  }
}

template <class Number>
__global__ void __launch_bounds__(kThreads) weighted_sum_forward_kernel(WeightedSumForward a) {
  const int64_t i = warp_in_grid();
  if (i >= a.out.rows) return;
  const int64_t first = a.touches.begin.data()[i];
  const int64_t last = a.touches.begin.data()[i + 1];
  for (int64_t c = lane(); c < a.x.cols; c += kWarp) {
    float sum = 0;
    for (int64_t j = first; j < last; ++j) {
      sum += a.weight.data()[j] * to_float(a.x.row<Number>(j)[c]);
    }
    a.out.row(i)[c] = sum;
  }
}

template <class Number>
__global__ void __launch_bounds__(kThreads) weighted_sum_backward_kernel(WeightedSumBackward a) {
  const int64_t i = warp_in_grid();
  if (i >= a.d_out.rows) return;
  const int64_t width = a.x.cols;
  const float* const d_out = a.d_out.row(i);
  for (int64_t j = a.touches.begin.data()[i]; j < a.touches.begin.data()[i + 1]; ++j) {
    const float weight = a.weight.data()[j];
    const float d_weight = warp_dot(a.x.row<Number>(j), d_out, width);
    for (int64_t c = lane(); c < width; c += kWarp) {
      put(a.d_x.row<Number>(j)[c], weight * d_out[c]);
    }
    if (lane() == 0) a.d_weight.data()[j] += d_weight;
  }
}

template <class Number>
struct ScoredRow {
  const float* d_scores;
  Matrix<const Number> x;
  __device__ float operator()(int64_t j, int64_t c) const {
    return d_scores[j] * to_float(x.row(j)[c]);
  }
};

}  // namespace

cudaError_t launch_pool_forward(CudaQueue& queue, const PoolForward& a) {
  Launches launches(queue);
  for_numbers_of(a.x.precision, [&]<class Number>() {
    launches.run<pool_forward_kernel<Number>>(blocks_for(a.out.rows, kJourneys), kThreads, a);
  });
  return launches.error();
}

cudaError_t launch_pool_backward(CudaQueue& queue, const PoolBackward& a) {
  const int64_t total = a.x.rows;
  const int64_t width = a.x.cols;
  float* d_scores = nullptr;
  float* partials = nullptr;
  Pieces().add(&d_scores, total).add(&partials, column_partials_size(total, width)).take(queue);
  Launches launches(queue);
  for_numbers_of(a.x.precision, [&]<class Number>() {
    launches.run<pool_backward_kernel<Number>>(blocks_for(a.out.rows, kJourneys), kThreads, a,
                                               d_scores);
    sum_columns(launches, ScoredRow<Number>{d_scores, a.x.as<Number>()}, total, width, partials);
  });
  add_partial_rows(launches, partials, blocks_for(total, kChunkRows),
                   Matrix<float>(a.d_w.data(), 1, width));
  return launches.error();
}

cudaError_t launch_weighted_sum_forward(CudaQueue& queue, const WeightedSumForward& a) {
  Launches launches(queue);
  for_numbers_of(a.x.precision, [&]<class Number>() {
    launches.run<weighted_sum_forward_kernel<Number>>(blocks_for(a.out.rows, kJourneys), kThreads,
                                                      a);
  });
  return launches.error();
}

cudaError_t launch_weighted_sum_backward(CudaQueue& queue, const WeightedSumBackward& a) {
  Launches launches(queue);
  for_numbers_of(a.x.precision, [&]<class Number>() {
    launches.run<weighted_sum_backward_kernel<Number>>(blocks_for(a.d_out.rows, kJourneys),
                                                       kThreads, a);
  });
  return launches.error();
}

}  // namespace alm::cuda
