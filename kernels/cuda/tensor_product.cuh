// Matrix products on the tensor cores: operands rounded to bf16 (to nearest, ties to even), sums in
// fp32. A block of four warps makes 64 x 64 numbers of the result, each warp 32 x 32 of them, 16
// deep at a time; the next 16 are on their way to shared memory meanwhile.
// FLOPs: 2 rows cols depth.
//
// Either operand is fp32 in memory, and then rounded between shared memory and the tensor cores, or
// bf16, as activations of touches are. Weights stay fp32: those of a layer come from L2 for every
// row tile but the first, so that a bf16 copy of them would save nothing of the traffic of the
// memory itself (64 x 64 weights: 16 KB, beside 10 MB of activations in and out of a step).
#pragma once

#include <cstring>

#include "kernels/cuda/product.cuh"

namespace alm::cuda::tensor {

inline constexpr int kSide = 64;      // of a block's tile
inline constexpr int kWarpSide = 32;  // of a warp's
inline constexpr int kDepth = 16;     // of a stage, and of one product of the tensor cores
inline constexpr int kThreads = 128;
inline constexpr int kBlocks = 6;  // that a multiprocessor has room for: 80 registers a thread
template <class Number>
inline constexpr int kVector = 16 / sizeof(Number);  // numbers of the widest asynchronous copy

// Numbers from one row of a staged tile to the next: as many more than it holds that the lanes that
// load a fragment together meet no bank twice.
template <Layout kLayout, class Number>
inline constexpr int kStride = kLayout == Layout::plain ? kDepth + 8 : kSide + kVector<Number>;
template <Layout kLayout, class Number>
inline constexpr int kTileBytes =
    (kLayout == Layout::plain ? kSide : kDepth) * kStride<kLayout, Number>* int{sizeof(Number)};
inline constexpr int kOutStride = kWarpSide + 8;

template <class Number>
struct Operand {
  const Number* data;
  int64_t stride;
  bool wide;  // as many numbers may be copied at once as the kernel copies
};
template <int kAtOnce, class Number>
Operand<Number> operand(Matrix<const Number> m) {
  const bool wide = reinterpret_cast<uintptr_t>(m.data) % (kAtOnce * sizeof(Number)) == 0 &&
                    m.stride % kAtOnce == 0;
  return {m.data, m.stride, wide};
}

// Starts to copy kNumbers numbers, of which `inside` are there; the others are 0.
template <int kNumbers, class Number>
__device__ inline void copy_numbers(Number* to, const Number* from, int inside, bool wide) {
  if (wide && inside >= kNumbers) {
    simt::cp_async<kNumbers * sizeof(Number)>(to, from);
    return;
  }
#pragma unroll
  for (int v = 0; v < kNumbers; ++v) {
    if (v >= inside) {
      put(to[v], 0.0f);
    } else if constexpr (sizeof(Number) == sizeof(float)) {
      simt::cp_async<sizeof(float)>(to + v, from + v);
    } else {
      to[v] = from[v];  // too narrow for an asynchronous copy
    }
  }
}

// Numbers (i, k) from (first_i, first_k), 0 from last_i or last_k on.
template <Layout kLayout, class Number>
__device__ void copy_tile(const Operand<Number>& from, int first_i, int last_i, int first_k,
                          int last_k, Number* tile) {
  constexpr bool kPlain = kLayout == Layout::plain;
  constexpr int kAtOnce = kVector<Number>;
  constexpr int kInRow = (kPlain ? kDepth : kSide) / kAtOnce;
  const int first_row = kPlain ? first_i : first_k;
  const int first_col = kPlain ? first_k : first_i;
  const int rows = (kPlain ? last_i : last_k) - first_row;
  const int cols = (kPlain ? last_k : last_i) - first_col;
  const Number* const corner = from.data + first_row * from.stride + first_col;
#pragma unroll 1  // unrolled, it takes more registers than there are
  for (int turn = 0; turn < kSide * kDepth / kAtOnce / kThreads; ++turn) {
    const int at = static_cast<int>(threadIdx.x) + turn * kThreads;
    const int r = at / kInRow;
    const int c = at % kInRow * kAtOnce;
    copy_numbers<kAtOnce>(tile + r * kStride<kLayout, Number> + c, corner + r * from.stride + c,
                          r < rows ? cols - c : 0, from.wide);
  }
}

// Two numbers as a register of a fragment holds them: the first in the lower half.
__device__ inline uint32_t bits_of(__nv_bfloat162 pair) {
  uint32_t bits;
  std::memcpy(&bits, &pair, sizeof bits);
  return bits;
}
__device__ inline uint32_t rounded(float first, float second) {
  return bits_of(__floats2bfloat162_rn(first, second));
}

// Numbers (i, k) and (i, k + 1) of a staged tile.
template <Layout kLayout>
__device__ inline uint32_t pair_at(const float* tile, int i, int k) {
  constexpr int kRow = kStride<kLayout, float>;
  if constexpr (kLayout == Layout::plain) {
    const float2 pair = simt::load<float2>(tile + i * kRow + k);
    return rounded(pair.x, pair.y);
  } else {
    return rounded(tile[k * kRow + i], tile[(k + 1) * kRow + i]);
  }
}
template <Layout kLayout>
__device__ inline uint32_t pair_at(const Bf16* tile, int i, int k) {
  constexpr int kRow = kStride<kLayout, Bf16>;
  if constexpr (kLayout == Layout::plain) {
    return bits_of(simt::load<__nv_bfloat162>(tile + i * kRow + k));
  } else {
    return bits_of(__halves2bfloat162(tile[k * kRow + i], tile[(k + 1) * kRow + i]));
  }
}

// Of a warp: 2 x 4 products of 16 x 8.
using Sums = float[2][4][4];

template <Layout kLeft, Layout kRight, class Left, class Right>
__device__ void multiply_stage(const Left* left, const Right* right, Sums& sums) {
  const int group = lane() / 4;
  const int k = lane() % 4 * 2;
  uint32_t b[4][2];
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    b[j][0] = pair_at<kRight>(right, 8 * j + group, k);
    b[j][1] = pair_at<kRight>(right, 8 * j + group, k + 8);
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int row = 16 * i + group;
    const uint32_t a[4] = {pair_at<kLeft>(left, row, k), pair_at<kLeft>(left, row + 8, k),
                           pair_at<kLeft>(left, row, k + 8), pair_at<kLeft>(left, row + 8, k + 8)};
#pragma unroll
    for (int j = 0; j < 4; ++j) simt::mma_m16n8k16(sums[i][j], a, b[j]);
  }
}

// store(row, column, chunk, sum over the chunk's depth of left(row, k) right(column, k)); and where
// Store::kOfColumns, store.of_column(column, chunk, sum over the chunk's depth of right(column,
// k)), of numbers as they are. Grid: row tiles, column tiles, chunks of the depth.
template <Layout kLeft, Layout kRight, class Left, class Right, class Store>
__global__ void __launch_bounds__(kThreads, kBlocks)
    tensor_product_kernel(Operand<Left> left, Operand<Right> right, int rows, int cols, int depth,
                          int chunk_depth, Store store) {
  constexpr int kLeftBytes = kTileBytes<kLeft, Left>;
  constexpr int kStage = kLeftBytes + kTileBytes<kRight, Right>;
  constexpr int kWarpOut = 16 * kOutStride * int{sizeof(float)};
  constexpr int kOut = kThreads / kWarp * kWarpOut;
  constexpr int kPool = kOut < 2 * kStage ? 2 * kStage : kOut;
  SIMT_SHARED(float4, pool, [kPool / sizeof(float4)]);
  char* const stages = reinterpret_cast<char*>(&pool[0]);
  const auto left_of = [](char* stage) { return reinterpret_cast<Left*>(stage); };
  const auto right_of = [](char* stage) { return reinterpret_cast<Right*>(stage + kLeftBytes); };
  const int first_row = static_cast<int>(blockIdx.x) * kSide;
  const int first_col = static_cast<int>(blockIdx.y) * kSide;
  const int first_k = static_cast<int>(blockIdx.z) * chunk_depth;
  const int last_k = depth - first_k > chunk_depth ? first_k + chunk_depth : depth;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int warp_row = warp / 2 * kWarpSide;
  const int warp_col = warp % 2 * kWarpSide;
  const auto copy_stage = [&](int k, char* stage) {
    copy_tile<kLeft>(left, first_row, rows, k, last_k, left_of(stage));
    copy_tile<kRight>(right, first_col, cols, k, last_k, right_of(stage));
  };
  // Of this warp in a stage.
  constexpr int kRowStep = kLeft == Layout::plain ? kStride<kLeft, Left> : 1;
  constexpr int kColStep = kRight == Layout::plain ? kStride<kRight, Right> : 1;

  Sums sums = {};
  float of_column = 0;  // of column threadIdx.x
  const bool sums_columns =
      Store::kOfColumns && blockIdx.x == 0 && static_cast<int>(threadIdx.x) < kSide;
  int now = 0;
  if (first_k < last_k) copy_stage(first_k, stages);
  simt::cp_async_commit();
  for (int k = first_k; k < last_k; k += kDepth) {
    if (k + kDepth < last_k) copy_stage(k + kDepth, stages + (1 - now) * kStage);
    simt::cp_async_commit();
    simt::cp_async_wait<1>();
    __syncthreads();
    char* const stage = stages + now * kStage;
    multiply_stage<kLeft, kRight>(left_of(stage) + warp_row * kRowStep,
                                  right_of(stage) + warp_col * kColStep, sums);
    if constexpr (Store::kOfColumns) {
      static_assert(kRight == Layout::transposed);
      const Right* const column = right_of(stage) + threadIdx.x;
      for (int deep = 0; sums_columns && deep < kDepth; ++deep) {
        of_column += to_float(column[deep * kStride<kRight, Right>]);
      }
    }
    __syncthreads();
    now = 1 - now;
  }

  if constexpr (Store::kOfColumns) {
    const int col = first_col + static_cast<int>(threadIdx.x);
    if (sums_columns && col < cols) store.of_column(col, blockIdx.z, of_column);
  }

  // By way of shared memory, so that neighbouring lanes store neighbouring numbers.
  float* const out = reinterpret_cast<float*>(stages + warp * kWarpOut);
  const int col = first_col + warp_col + lane();
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    float* const mine = out + lane() / 4 * kOutStride + lane() % 4 * 2;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const float(&of)[4] = sums[i][j];
      simt::store(mine + 8 * j, make_float2(of[0], of[1]));
      simt::store(mine + 8 * kOutStride + 8 * j, make_float2(of[2], of[3]));
    }
    __syncwarp();
#pragma unroll 2
    for (int r = 0; r < 16; ++r) {
      const int row = first_row + warp_row + 16 * i + r;
      if (row < rows && col < cols) store(row, col, blockIdx.z, out[r * kOutStride + lane()]);
    }
    __syncwarp();
  }
}

// left [rows, depth], right as its columns [cols, depth], each as its layout says; the depth in
// `chunks` of `chunk_depth`.
template <Layout kLeft, Layout kRight, class Left, class Right, class Store>
void product(Launches& launches, Matrix<const Left> left, Matrix<const Right> right, int64_t rows,
             int64_t cols, int64_t depth, int64_t chunks, int64_t chunk_depth, const Store& store) {
  launches.run_grid<tensor_product_kernel<kLeft, kRight, Left, Right, Store>>(
      blocks_for(rows, kSide), blocks_for(cols, kSide), chunks, kThreads,
      operand<kVector<Left>>(left), operand<kVector<Right>>(right), narrow<int>(rows),
      narrow<int>(cols), narrow<int>(depth), narrow<int>(chunk_depth), store);
}

}  // namespace alm::cuda::tensor
