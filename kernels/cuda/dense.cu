// Inputs of the encoders: standardised dense features, rows of tables and their gradients. All of
// it moves memory; a warp takes a row, lanes its columns.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/maths.cuh"
#include "kernels/cuda/sort.cuh"

namespace alm::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kRows = kThreads / kWarp;  // of a block

__global__ void __launch_bounds__(kThreads) dense_features_kernel(DenseFeatures a) {
  const int64_t i = warp_in_grid();
  if (i >= a.x.rows) return;
  for (int64_t f = lane(); f < a.x.cols; f += kWarp) {
    const float x = a.x.row(i)[f];
    const bool missing = is_nan(x);
    a.out.row(i)[f] = missing ? 0.0f : (x - a.mean.data()[f]) * a.inverse_sd.data()[f];
    const int64_t slot = a.missing_slot.data()[f];
    if (slot >= 0) a.out.row(i)[a.x.cols + slot] = missing ? 1.0f : 0.0f;
  }
}

__global__ void __launch_bounds__(kThreads) gather_rows_kernel(GatherRows a) {
  const int64_t i = warp_in_grid();
  if (i >= a.out.rows) return;
  const float* const from = a.table.row(a.rows.data()[i]);
  for (int64_t c = lane(); c < a.out.cols; c += kWarp) a.out.row(i)[c] = from[c];
}

struct RowOf {
  Matrix<const float> d_out;
  __device__ float operator()(int64_t entry, int64_t c) const { return d_out.row(entry)[c]; }
};
struct GradientOf {
  Matrix<float> gradient;
  __device__ float& operator()(int64_t row, int64_t c) const { return gradient.row(row)[c]; }
};

}  // namespace

cudaError_t launch_dense_features(CudaQueue& queue, const DenseFeatures& a) {
  return Launches(queue)
      .run<dense_features_kernel>(blocks_for(a.x.rows, kRows), kThreads, a)
      .error();
}

cudaError_t launch_gather_rows(CudaQueue& queue, const GatherRows& a) {
  return Launches(queue)
      .run<gather_rows_kernel>(blocks_for(a.out.rows, kRows), kThreads, a)
      .error();
}

cudaError_t launch_scatter_rows(CudaQueue& queue, const ScatterRows& a) {
  const int64_t count = std::ssize(a.rows);
  const int64_t width = a.gradient.cols;
  Pieces pieces;
  RowSort sort(pieces, count);
  float* partials = nullptr;
  pieces.add(&partials, row_sums_size(count, width)).take(queue);
  Launches launches(queue);
  const Sorted sorted = sort.run(launches, a.rows.data(), a.gradient.rows);
  add_row_sums(launches, sorted, width, RowOf{a.d_out}, GradientOf{a.gradient}, partials);
  return launches.error();
}

}  // namespace alm::cuda
