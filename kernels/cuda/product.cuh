// Matrix products in fp32 from tiles in shared memory: a block makes 64 x 64 numbers of the result,
// each thread 4 x 4 of them, 16 deep at a time. FLOPs: 2 rows cols depth. Sums run in increasing
// depth.
#pragma once

#include "kernels/cuda/grid.cuh"

namespace alm::cuda {

inline constexpr int kTile = 64;
inline constexpr int kDepth = 16;
inline constexpr int kTileThreads = 256;

// How the numbers (i, k) of a factor lie: i counts rows of the left one or columns of the right
// one, k the depth. plain: row i holds all depths; transposed: row k holds all i.
enum class Layout { plain, transposed };

struct Factor {
  const float* data;
  int64_t stride_i;
  int64_t stride_k;
};
template <Layout kLayout>
Factor factor(Matrix<const float> m) {
  return kLayout == Layout::plain ? Factor{m.data, m.stride, 1} : Factor{m.data, 1, m.stride};
}

// Columns of a tile in shared memory; one more than is used, so that neither order of filling it
// meets a bank twice.
inline constexpr int kTileStride = kTile + 1;

// tile[k][i] for i from `first_i`, k from `first_k`, 0 outside. Neighbouring threads read
// neighbouring numbers of whichever index lies close together.
__device__ inline void load_tile(const Factor& from, int64_t first_i, int64_t last_i,
                                 int64_t first_k, int64_t last_k,
                                 float (&tile)[kDepth][kTileStride]) {
  const bool depth_is_close = from.stride_k == 1;
  for (int at = static_cast<int>(threadIdx.x); at < kTile * kDepth; at += kTileThreads) {
    const int i = depth_is_close ? at / kDepth : at % kTile;
    const int k = depth_is_close ? at % kDepth : at / kTile;
    const bool inside = first_i + i < last_i && first_k + k < last_k;
    tile[k][i] =
        inside ? from.data[(first_i + i) * from.stride_i + (first_k + k) * from.stride_k] : 0.0f;
  }
}

// store(row, column, chunk, sum over the chunk's depth of left(row, k) right(column, k)).
// Grid: row tiles, column tiles, chunks of the depth.
template <class Store>
__global__ void __launch_bounds__(kTileThreads)
    product_kernel(Factor left, Factor right, int64_t rows, int64_t cols, int64_t depth,
                   int64_t chunk_depth, Store store) {
  SIMT_SHARED(float, a, [kDepth][kTileStride]);
  SIMT_SHARED(float, b, [kDepth][kTileStride]);
  const int64_t first_row = int64_t{blockIdx.x} * kTile;
  const int64_t first_col = int64_t{blockIdx.y} * kTile;
  const int64_t first_k = blockIdx.z * chunk_depth;
  const int64_t last_k = first_k + chunk_depth < depth ? first_k + chunk_depth : depth;
  // Rows ty + 16 i and columns tx + 16 j of the tile are this thread's.
  const int tx = static_cast<int>(threadIdx.x) % 16;
  const int ty = static_cast<int>(threadIdx.x) / 16;
  float sums[4][4] = {};
  for (int64_t k = first_k; k < last_k; k += kDepth) {
    load_tile(left, first_row, rows, k, last_k, a);
    load_tile(right, first_col, cols, k, last_k, b);
    __syncthreads();
#pragma unroll
    for (int deep = 0; deep < kDepth; ++deep) {
      float of_a[4];
      float of_b[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        of_a[i] = a[deep][ty + 16 * i];
        of_b[i] = b[deep][tx + 16 * i];
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) sums[i][j] += of_a[i] * of_b[j];
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int64_t row = first_row + ty + 16 * i;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int64_t col = first_col + tx + 16 * j;
      if (row < rows && col < cols) store(row, col, blockIdx.z, sums[i][j]);
    }
  }
}

// left [rows, depth], right as its columns [cols, depth]; the depth in `chunks` of `chunk_depth`.
template <class Store>
void product(Launches& launches, const Factor& left, const Factor& right, int64_t rows,
             int64_t cols, int64_t depth, int64_t chunks, int64_t chunk_depth, const Store& store) {
  // Rows are many: the grid is longest in x.
  launches.run_grid<product_kernel<Store>>(blocks_for(rows, kTile), blocks_for(cols, kTile), chunks,
                                           kTileThreads, left, right, rows, cols, depth,
                                           chunk_depth, store);
}

}  // namespace alm::cuda
