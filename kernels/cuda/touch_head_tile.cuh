// Hidden layers of touch heads on the tensor cores: a warp makes those of 16 touches, up to kWidth
// units, and keeps them in registers. Weights stand in shared memory in bf16; touches and the
// contexts of their journeys come 16 numbers at a time, the next 16 while the last are multiplied.
#pragma once

#include "kernels/cuda/tensor_product.cuh"

namespace alm::cuda::touch_head {

inline constexpr int kThreads = 128;
inline constexpr int kWarps = kThreads / kWarp;
inline constexpr int kRows = 16;  // touches of a warp
inline constexpr int kTouches = kWarps * kRows;
inline constexpr int kSlice = 16;
inline constexpr int kVector = 4;                    // numbers that a lane copies at once
inline constexpr int kStageStride = kSlice + 8;      // loads of fragments meet no bank twice
inline constexpr int kStage = kRows * kStageStride;  // numbers, of which fp32 take most room

// pairs[k / 2][n]: weights (k, n) and (k + 1, n), as a fragment wants them; loads of fragments meet
// no bank twice.
template <int kWidth>
using Pairs = uint32_t[kWidth / 2][kWidth + 8];

// What a tile needs of the arguments of either pass.
template <class Number>
struct Inputs {
  Csr touches;
  tensor::Operand<Number> x;
  tensor::Operand<float> context;
  int64_t rows;  // t
  int width;     // of a touch
  int context_width;
};

// Of w [rows, cols], 0 beyond.
template <int kWidth>
__device__ void load_pairs(Matrix<const float> w, Pairs<kWidth>& pairs) {
  const auto at = [&](int k, int n) { return k < w.rows && n < w.cols ? w.row(k)[n] : 0.0f; };
  for (int i = static_cast<int>(threadIdx.x); i < kWidth / 2 * kWidth; i += kThreads) {
    const int k = i / kWidth * 2;
    const int n = i % kWidth;
    pairs[k / 2][n] = tensor::rounded(at(k, n), at(k + 1, n));
  }
}

// What stands in shared memory for the whole block, there when it returns.
template <int kWidth>
__device__ void load_weights(const TouchHeadTensors<const float>& w, Pairs<kWidth>& of_touch,
                             Pairs<kWidth>& of_context, float (&bias)[kWidth],
                             float (&w_out)[kWidth]) {
  load_pairs<kWidth>(w.w_touch, of_touch);
  load_pairs<kWidth>(w.w_context, of_context);
  for (int c = static_cast<int>(threadIdx.x); c < kWidth; c += kThreads) {
    const bool inside = c < w.w_out.rows;
    bias[c] = inside ? w.bias.data()[c] : 0.0f;
    w_out[c] = inside ? w.w_out.row(c)[0] : 0.0f;
  }
  __syncthreads();
}

// As of w transposed. Neighbouring lanes read neighbouring weights and every other stores a pair.
template <int kWidth>
__device__ void load_pairs_transposed(Matrix<const float> w, Pairs<kWidth>& pairs) {
  for (int i = static_cast<int>(threadIdx.x); i < kWidth * kWidth; i += kThreads) {
    const int n = i / kWidth;
    const int k = i % kWidth;
    const float mine = n < w.rows && k < w.cols ? w.row(n)[k] : 0.0f;
    const float next = __shfl_xor_sync(kAllLanes, mine, 1);
    if (k % 2 == 0) pairs[k / 2][n] = tensor::rounded(mine, next);
  }
}

// The 16 touches of a warp. Lane l copies rows l / 4 and l / 4 + 8 of a stage, which are also those
// of its fragments.
struct Rows {
  int64_t first;
  int journeys[2];  // of those two rows; -1 where there is none
};

template <class Number>
__device__ inline Rows rows_of_warp(const Inputs<Number>& in) {
  const int64_t first = int64_t{blockIdx.x} * kTouches + threadIdx.x / kWarp * kRows;
  const int64_t mine = first + lane() % kRows;
  const int journey = mine < in.rows ? static_cast<int>(row_of(in.touches, mine)) : -1;
  return {first,
          {__shfl_sync(kAllLanes, journey, lane() / 4),
           __shfl_sync(kAllLanes, journey, lane() / 4 + 8)}};
}

// Two numbers of a stage's row as a fragment holds them.
__device__ inline uint32_t staged_pair(const float* stage, int row, int column) {
  const float2 two = simt::load<float2>(stage + row * kStageStride + column);
  return tensor::rounded(two.x, two.y);
}
__device__ inline uint32_t staged_pair(const Bf16* stage, int row, int column) {
  return tensor::bits_of(simt::load<__nv_bfloat162>(stage + row * kStageStride + column));
}

// Hands `with_context(stage, first column)` each slice of the rows' contexts while it is there.
template <int kWidth, class Number, class WithContext>
__device__ void hidden_sums(const Inputs<Number>& in, const Rows& rows,
                            const Pairs<kWidth>& of_touch, const Pairs<kWidth>& of_context,
                            float* stages, float (&sums)[kWidth / 8][4],
                            const WithContext& with_context) {
  constexpr int kSlices = kWidth / kSlice;  // of either half
  const int close = lane() % 4 * kVector;
  // Row i of the two that this lane copies.
  const auto copy_row = [&](int i, const auto* row, auto* stage, int inside, bool wide) {
    const bool there = rows.first + lane() / 4 + 8 * i < in.rows;
    tensor::copy_numbers<kVector>(stage + (lane() / 4 + 8 * i) * kStageStride + close, row,
                                  there ? inside : 0, wide);
  };
  const auto copy_slice = [&](int slice, float* stage) {
    const int column = slice % kSlices * kSlice + close;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (slice < kSlices) {
        const int64_t row = rows.first + lane() / 4 + 8 * i;
        copy_row(i, in.x.data + row * in.x.stride + column, reinterpret_cast<Number*>(stage),
                 in.width - column, in.x.wide);
      } else {
        const int64_t row = rows.journeys[i];
        copy_row(i, in.context.data + row * in.context.stride + column, stage,
                 in.context_width - column, in.context.wide);
      }
    }
    simt::cp_async_commit();
  };
  const int group = lane() / 4;
  const int k = lane() % 4;
  copy_slice(0, stages);
#pragma unroll 1
  for (int slice = 0; slice < 2 * kSlices; ++slice) {
    if (slice + 1 < 2 * kSlices) {
      copy_slice(slice + 1, stages + (slice + 1) % 2 * kStage);
      simt::cp_async_wait<1>();
    } else {
      simt::cp_async_wait<0>();
    }
    __syncwarp();
    const float* const stage = stages + slice % 2 * kStage;
    const bool of_journey = slice >= kSlices;
    const auto pair = [&](int row, int column) {
      return of_journey ? staged_pair(stage, row, column)
                        : staged_pair(reinterpret_cast<const Number*>(stage), row, column);
    };
    const uint32_t a[4] = {pair(group, 2 * k), pair(group + 8, 2 * k), pair(group, 2 * k + 8),
                           pair(group + 8, 2 * k + 8)};
    const Pairs<kWidth>& pairs = of_journey ? of_context : of_touch;
    const int first_pair = slice % kSlices * (kSlice / 2) + k;
#pragma unroll
    for (int j = 0; j < kWidth / 8; ++j) {
      const uint32_t b[2] = {pairs[first_pair][8 * j + group],
                             pairs[first_pair + 4][8 * j + group]};
      simt::mma_m16n8k16(sums[j], a, b);
    }
    if (of_journey) with_context(stage, slice % kSlices * kSlice);
    __syncwarp();
  }
}

// value of either row of a lane, summed over the four lanes that share it.
__device__ inline float row_sum(float value) {
  value += __shfl_xor_sync(kAllLanes, value, 1);
  return value + __shfl_xor_sync(kAllLanes, value, 2);
}
// Over the eight lanes that hold the same column.
__device__ inline float column_sum(float value) {
  value += __shfl_xor_sync(kAllLanes, value, 4);
  value += __shfl_xor_sync(kAllLanes, value, 8);
  return value + __shfl_xor_sync(kAllLanes, value, 16);
}

}  // namespace alm::cuda::touch_head
