// Cluster-by-context term of a logit: b_k + v_k . context. A warp a journey; gradients of the
// tables are summed over touches sorted by cluster.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/sort.cuh"

namespace alm::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kJourneys = kThreads / kWarp;  // of a block

__global__ void __launch_bounds__(kThreads) bilinear_forward_kernel(BilinearForward a) {
  const int64_t i = warp_in_grid();
  if (i >= a.context.rows) return;
  for (int64_t j = a.touches.begin.data()[i]; j < a.touches.begin.data()[i + 1]; ++j) {
    const int64_t k = a.cluster.data()[j];
    const float product = warp_dot(a.v.row(k), a.context.row(i), a.v.cols);
    if (lane() == 0) a.logit.data()[j] += a.bias.data()[k] + product;
  }
}

// d_context, and the journey of each touch for the tables' gradients.
__global__ void __launch_bounds__(kThreads)
    bilinear_backward_kernel(BilinearBackward a, int32_t* journeys) {
  const int64_t i = warp_in_grid();
  if (i >= a.context.rows) return;
  const int64_t first = a.touches.begin.data()[i];
  const int64_t last = a.touches.begin.data()[i + 1];
  for (int64_t j = first + lane(); j < last; j += kWarp) journeys[j] = static_cast<int32_t>(i);
  for (int64_t c = lane(); c < a.v.cols; c += kWarp) {
    float sum = a.d_context.row(i)[c];
    for (int64_t j = first; j < last; ++j) {
      sum += a.d_logit.data()[j] * a.v.row(a.cluster.data()[j])[c];
    }
    a.d_context.row(i)[c] = sum;
  }
}

// Columns of v, and after them that of the bias.
struct TouchOf {
  const float* d_logit;
  const int32_t* journeys;
  Matrix<const float> context;
  __device__ float operator()(int64_t j, int64_t c) const {
    return c == context.cols ? d_logit[j] : d_logit[j] * context.row(journeys[j])[c];
  }
};
struct TablesOf {
  Matrix<float> d_v;
  float* d_bias;
  __device__ float& operator()(int64_t k, int64_t c) const {
    return c == d_v.cols ? d_bias[k] : d_v.row(k)[c];
  }
};

}  // namespace

cudaError_t launch_bilinear_forward(CudaQueue& queue, const BilinearForward& a) {
  return Launches(queue)
      .run<bilinear_forward_kernel>(blocks_for(a.context.rows, kJourneys), kThreads, a)
      .error();
}

cudaError_t launch_bilinear_backward(CudaQueue& queue, const BilinearBackward& a) {
  const int64_t total = std::ssize(a.d_logit);
  const int64_t width = a.v.cols + 1;
  Pieces pieces;
  RowSort sort(pieces, total);
  float* partials = nullptr;
  int32_t* journeys = nullptr;
  pieces.add(&partials, row_sums_size(total, width)).add(&journeys, total).take(queue);
  Launches launches(queue);
  launches.run<bilinear_backward_kernel>(blocks_for(a.context.rows, kJourneys), kThreads, a,
                                         journeys);
  const Sorted sorted = sort.run(launches, a.cluster.data(), a.v.rows);
  add_row_sums(launches, sorted, width, TouchOf{a.d_logit.data(), journeys, a.context},
               TablesOf{a.d_v, a.d_bias.data()}, partials);
  return launches.error();
}

}  // namespace alm::cuda
