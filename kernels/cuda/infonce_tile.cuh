// Tiles of contrastive scores, 32 x 32 of a block of 128 threads: four threads share a row of the
// tile.
#pragma once

#include <cmath>

#include "kernels/cuda/grid.cuh"

namespace alm::cuda::contrastive {

inline constexpr int kSide = 32;
inline constexpr int kThreads = 128;
inline constexpr int kSharers = kThreads / kSide;  // threads that share a row
inline constexpr int kScores = kSide / kSharers;   // scores of a thread in a tile
// Blocks that a multiprocessor has room for: 128 registers a thread.
inline constexpr int kBlocks = 4;
inline constexpr float kNone = -INFINITY;

struct Range {
  int64_t first;
  int64_t last;
};

// What the kernels leave for each other, in scratch.
struct Working {
  float* x;         // [R, w] as scored: of length one where asked
  float* y;         // [C, w]
  float* x_factor;  // [R] 1 / length
  float* y_factor;  // [C]
  Range* columns;   // [R] of the row's group
  Range* rows;      // [C] of the column's group
  float* most;      // [R] largest score
  float* others;    // [R] sum of exp(score - most) without the positive
  float* slope;     // [R] weight scale / temperature / total
};

// A number more than a row holds: rows begin at different banks.
inline constexpr int kPad = 1;

// kWidth >= w numbers of 32 rows from `first`; 0 beyond.
template <int kWidth>
using Tile = float[kSide][kWidth + kPad];

template <int kWidth>
__device__ void load_tile(const float* from, int64_t rows, int64_t width, int64_t first,
                          Tile<kWidth>& tile) {
  for (int at = static_cast<int>(threadIdx.x); at < kSide * kWidth; at += kThreads) {
    const int r = at / kWidth;
    const int c = at % kWidth;
    const bool inside = first + r < rows && c < width;
    tile[r][c] = inside ? from[(first + r) * width + c] : 0.0f;
  }
}

// log_frequency of 32 columns from `first`; 0 where it is not given.
using Frequencies = float[kSide];
__device__ inline void load_frequencies(const InfoNce& a, int64_t first, Frequencies& frequencies) {
  const int c = static_cast<int>(threadIdx.x);
  if (c >= kSide) return;
  const bool given = a.log_frequency.data() != nullptr && first + c < a.y.rows;
  frequencies[c] = given ? a.log_frequency.data()[first + c] : 0.0f;
}

// Whether a pair shares an id: it does not count then, unless it is the positive.
__device__ inline bool shares_id(const InfoNce& a, int64_t row, int64_t column) {
  bool shared = false;
  for (int64_t k = 0; k < a.row_ids.cols; ++k) {
    const int64_t id = a.row_ids.row(row)[k];
    const int64_t other = a.column_ids.row(column)[k];
    shared = shared || (id >= 0 && id == other);
  }
  return shared;
}

// The score of a pair, kNone where it does not count.
template <int kWidth>
__device__ float score(const InfoNce& a, const Range& columns, const Tile<kWidth>& x,
                       const Tile<kWidth>& y, const Frequencies& frequencies, int64_t row,
                       int64_t column, int64_t positive, int r, int c) {
  float product = 0;
#pragma unroll 16
  for (int k = 0; k < kWidth; ++k) product += x[r][k] * y[c][k];
  if (column < columns.first || column >= columns.last) return kNone;
  const bool counts = !shares_id(a, row, column) || column == positive;
  product = product / a.temperature - frequencies[c];
  return counts ? product : kNone;
}

// Over the threads that share a row, in each of them.
__device__ inline float sharers_max(float value) {
#pragma unroll
  for (int flip = kSharers / 2; flip > 0; flip /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, flip));
  }
  return value;
}
__device__ inline float sharers_sum(float value) {
#pragma unroll
  for (int flip = kSharers / 2; flip > 0; flip /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, flip);
  }
  return value;
}

// exp(from - to) where the maximum moved; nothing to scale while there is none.
__device__ inline float rescale(float from, float to) {
  return from == to ? 1.0f : expf(from - to);
}

// d loss / d (x . y) of each pair of the tile, 0 where it does not count.
template <int kWidth>
__device__ void slope_tile(const InfoNce& a, const Working& work, const Tile<kWidth>& x,
                           const Tile<kWidth>& y, const Frequencies& frequencies, int64_t first_row,
                           int64_t first_column, Tile<kSide>& slopes) {
  const int r = static_cast<int>(threadIdx.x) / kSharers;
  const int sharer = static_cast<int>(threadIdx.x) % kSharers;
  const int64_t row = first_row + r;
  const bool real = row < a.x.rows;
  const Range columns = real ? work.columns[row] : Range{0, 0};
  const int64_t positive = real ? a.positive.data()[row] : -1;
  const float most = real ? work.most[row] : 0.0f;
  const float slope = real ? work.slope[row] : 0.0f;
#pragma unroll 1
  for (int i = 0; i < kScores; ++i) {
    const int c = sharer + kSharers * i;
    const int64_t column = first_column + c;
    if (column == positive) {
      slopes[r][c] = -slope * work.others[row];
    } else {
      const float s = score<kWidth>(a, columns, x, y, frequencies, row, column, positive, r, c);
      slopes[r][c] = s == kNone ? 0.0f : slope * expf(s - most);
    }
  }
}

// Gradient of what prepare_kernel scaled: d = factor (d_scaled - scaled (scaled . d_scaled)). The
// thread holds columns sharer, sharer + 4, ... of row r of `scaled`, which is overwritten, so that
// neighbours store neighbours.
template <int kWidth>
__device__ void store_gradient(Tile<kWidth>& scaled, const float (&d)[kWidth / kSharers],
                               bool normalise, const float* factors, int64_t first,
                               Matrix<float> to) {
  const int r = static_cast<int>(threadIdx.x) / kSharers;
  const int sharer = static_cast<int>(threadIdx.x) % kSharers;
  float along = 0;
  __syncthreads();  // the tile may have been loaded for nothing: no row, no column of its groups
#pragma unroll
  for (int i = 0; i < kWidth / kSharers; ++i) along += scaled[r][sharer + kSharers * i] * d[i];
  along = normalise ? sharers_sum(along) : 0.0f;
  const float factor = first + r < to.rows ? factors[first + r] : 0.0f;
#pragma unroll
  for (int i = 0; i < kWidth / kSharers; ++i) {
    float& at = scaled[r][sharer + kSharers * i];
    at = factor * (d[i] - along * at);
  }
  __syncthreads();
  for (int at = static_cast<int>(threadIdx.x); at < kSide * kWidth; at += kThreads) {
    const int64_t row = first + at / kWidth;
    const int c = at % kWidth;
    if (row < to.rows && c < to.cols) to.row(row)[c] = scaled[at / kWidth][c];
  }
}

}  // namespace alm::cuda::contrastive
