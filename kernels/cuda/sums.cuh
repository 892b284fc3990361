// Sums over many rows in a fixed order and without atomics: blocks leave partial sums, a second
// kernel adds them up. What is added to what depends on the shape alone.
#pragma once

#include "kernels/cuda/grid.cuh"

namespace alm::cuda {

// The sum over the threads of a block, in thread 0. Every thread of the block calls it.
template <int kThreads>
__device__ double block_sum(double value) {
  SIMT_SHARED(double, of_warps, [kThreads / kWarp]);
  value = warp_sum(value);
  if (lane() == 0) of_warps[threadIdx.x / kWarp] = value;
  __syncthreads();
  double total = 0;
  if (threadIdx.x == 0) {
    for (const double of_warp : of_warps) total += of_warp;
  }
  __syncthreads();  // it may be called again
  return total;
}

// Where sums go: sum s of partials [sums, blocks] is added to the one in place s; a null one is not
// wanted. (No array: an index that is not known at compile time would put it in local memory.)
struct SumTargets {
  double* first = nullptr;
  double* second = nullptr;
  double* third = nullptr;
  double* fourth = nullptr;
};
void add_sums(Launches& launches, const double* partials, int64_t blocks,
              const SumTargets& targets);

// to (flattened [count]) += sum over chunks of partials [chunks, count].
void add_partial_rows(Launches& launches, const float* partials, int64_t chunks, Matrix<float> to);

inline constexpr int64_t kChunkRows = 64;
inline constexpr int kColumnThreads = 64;

// partials[chunk, c] = sum over the chunk's rows r of value(r, c).
template <class Value>
__global__ void __launch_bounds__(kColumnThreads)
    column_partials(Value value, int64_t rows, int64_t columns, float* partials) {
  const int64_t first = blockIdx.x * kChunkRows;
  const int64_t last = first + kChunkRows < rows ? first + kChunkRows : rows;
  for (int64_t c = threadIdx.x; c < columns; c += kColumnThreads) {
    float sum = 0;
    for (int64_t r = first; r < last; ++r) sum += value(r, c);
    partials[blockIdx.x * columns + c] = sum;
  }
}
inline int64_t column_partials_size(int64_t rows, int64_t columns) {
  return blocks_for(rows, kChunkRows) * columns;
}
template <class Value>
void sum_columns(Launches& launches, const Value& value, int64_t rows, int64_t columns,
                 float* partials) {
  if (columns == 0) return;
  launches.run<column_partials<Value>>(blocks_for(rows, kChunkRows), kColumnThreads, value, rows,
                                       columns, partials);
}

}  // namespace alm::cuda
