// Contrastive scores of rows against the columns of their group, and their gradients, in tiles of
// 32 x 32 with an online softmax (as FlashAttention, Dao et al. 2022): the scores are never in
// memory, each kernel makes them anew. FLOPs: 2 R C w forward; 4 R C w more for either gradient.
// Tiles are cut from all rows, not from those of a group; pairs across groups are left out.
// Memory: x, y and their gradients once, y (or x) again per tile of 32 on the other side.
#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/sums.cuh"

namespace alm::cuda {
namespace {

constexpr int kSide = 32;
constexpr int kThreads = 128;
constexpr int kSharers = kThreads / kSide;  // threads that share a row
constexpr int kScores = kSide / kSharers;   // scores of a thread in a tile
// Blocks of the gradients that a multiprocessor has room for: 128 registers a thread.
constexpr int kBlocks = 4;
constexpr float kNone = -INFINITY;

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

// The group of `at`: begin[group] <= at < begin[group + 1].
__device__ int64_t group_of(const Csr& groups, int64_t at) {
  const int64_t* const begin = groups.begin.data();
  int64_t low = 0;
  int64_t high = static_cast<int64_t>(groups.begin.size()) - 1;
  while (high - low > 1) {
    const int64_t middle = (low + high) / 2;
    if (begin[middle] <= at) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

// A warp a row: its length, its copy as scored, the range of its group on the other side.
__global__ void __launch_bounds__(kThreads)
    prepare_kernel(Matrix<const float> from, bool normalise, Csr mine, Csr theirs, float* to,
                   float* factors, Range* ranges) {
  const int64_t r = warp_in_grid();
  if (r >= from.rows) return;
  const float* const row = from.row(r);
  float factor = 1.0f;
  if (normalise) factor = 1.0f / sqrtf(warp_dot(row, row, from.cols) + kNormFloor);
  for (int64_t c = lane(); c < from.cols; c += kWarp) to[r * from.cols + c] = factor * row[c];
  if (lane() != 0) return;
  factors[r] = factor;
  const int64_t group = group_of(mine, r);
  ranges[r] = {theirs.begin.data()[group], theirs.begin.data()[group + 1]};
}

// kWidth >= w numbers of 32 rows from `first`; 0 beyond.
template <int kWidth>
using Tile = float[kSide][kWidth + 1];

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

// Whether a pair counts: of one group, and no false negative.
__device__ bool counts(const InfoNce& a, const Range& columns, int64_t row, int64_t column,
                       int64_t positive) {
  bool so = column >= columns.first && column < columns.last;
  for (int64_t k = 0; so && k < a.row_ids.cols && column != positive; ++k) {
    const int64_t id = a.row_ids.row(row)[k];
    so = id < 0 || id != a.column_ids.row(column)[k];
  }
  return so;
}

// The score of a pair, kNone where it does not count.
template <int kWidth>
__device__ float score(const InfoNce& a, const Range& columns, const Tile<kWidth>& x,
                       const Tile<kWidth>& y, int64_t row, int64_t column, int64_t positive, int r,
                       int c) {
  float product = 0;
#pragma unroll 16
  for (int k = 0; k < kWidth; ++k) product += x[r][k] * y[c][k];
  if (!counts(a, columns, row, column, positive)) return kNone;
  product /= a.temperature;
  return a.log_frequency.data() == nullptr ? product : product - a.log_frequency.data()[column];
}

// Over the threads that share a row, in each of them.
__device__ float sharers_max(float value) {
#pragma unroll
  for (int flip = kSharers / 2; flip > 0; flip /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, flip));
  }
  return value;
}
__device__ float sharers_sum(float value) {
#pragma unroll
  for (int flip = kSharers / 2; flip > 0; flip /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, flip);
  }
  return value;
}

// exp(from - to) where the maximum moved; nothing to scale while there is none.
__device__ float rescale(float from, float to) {
  return from == to ? 1.0f : expf(from - to);
}

// A block takes 32 rows through all columns of their groups.
template <int kWidth>
__global__ void __launch_bounds__(kThreads) loss_kernel(InfoNce a, Working work, double* partials) {
  SIMT_SHARED(float, x, [kSide][kWidth + 1]);
  SIMT_SHARED(float, y, [kSide][kWidth + 1]);
  const int64_t first_row = int64_t{blockIdx.x} * kSide;
  const int64_t last_row = first_row + kSide < a.x.rows ? first_row + kSide : a.x.rows;
  const int r = static_cast<int>(threadIdx.x) / kSharers;
  const int sharer = static_cast<int>(threadIdx.x) % kSharers;
  const int64_t row = first_row + r;
  const bool real = row < last_row;
  const Range columns = real ? work.columns[row] : Range{0, 0};
  const int64_t positive = real ? a.positive.data()[row] : -1;
  load_tile<kWidth>(work.x, a.x.rows, a.x.cols, first_row, x);
  float most = kNone;  // without the positive
  float others = 0;
  float own = kNone;
  for (int64_t first = work.columns[first_row].first; first < work.columns[last_row - 1].last;
       first += kSide) {
    load_tile<kWidth>(work.y, a.y.rows, a.y.cols, first, y);
    __syncthreads();
#pragma unroll 1  // unrolled, its branches cost more registers than there are
    for (int i = 0; i < kScores; ++i) {
      const int c = sharer + kSharers * i;
      const float s = score<kWidth>(a, columns, x, y, row, first + c, positive, r, c);
      if (first + c == positive) {
        own = s;
      } else if (s != kNone) {
        const float larger = fmaxf(most, s);
        others = others * rescale(most, larger) + expf(s - larger);
        most = larger;
      }
    }
    __syncthreads();
  }
  own = sharers_max(own);
  const float all = fmaxf(sharers_max(most), own);
  others = sharers_sum(others * rescale(most, all));
  double weighted = 0;
  if (real && sharer == 0) {
    // The positive's term is added last, so that a loss near 0 keeps its digits.
    const float own_share = expf(own - all);
    const float total = others + own_share;
    const float loss = own_share == 1.0f ? log1pf(others) : logf(total) - (own - all);
    const float weight = a.weight.data()[row];
    weighted = double{weight} * double{loss};
    work.most[row] = all;
    work.others[row] = others;
    work.slope[row] = weight * a.scale / a.temperature / total;
  }
  weighted = block_sum<kThreads>(weighted);
  if (threadIdx.x == 0) partials[blockIdx.x] = weighted;
}

// d loss / d (x . y) of each pair of the tile, 0 where it does not count.
template <int kWidth>
__device__ void slope_tile(const InfoNce& a, const Working& work, const Tile<kWidth>& x,
                           const Tile<kWidth>& y, int64_t first_row, int64_t first_column,
                           Tile<kSide>& slopes) {
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
      const float s = score<kWidth>(a, columns, x, y, row, column, positive, r, c);
      slopes[r][c] = s == kNone ? 0.0f : slope * expf(s - most);
    }
  }
}

// Gradient of what prepare_kernel scaled: d = factor (d_scaled - scaled (scaled . d_scaled)). The
// thread holds columns sharer, sharer + 4, ... of row r of `scaled`.
template <int kWidth>
__device__ void store_gradient(const Tile<kWidth>& scaled, const float (&d)[kWidth / kSharers],
                               bool normalise, const float* factors, int64_t row,
                               Matrix<float> to) {
  const int r = static_cast<int>(threadIdx.x) / kSharers;
  const int sharer = static_cast<int>(threadIdx.x) % kSharers;
  float along = 0;
#pragma unroll
  for (int i = 0; i < kWidth / kSharers; ++i) along += scaled[r][sharer + kSharers * i] * d[i];
  along = normalise ? sharers_sum(along) : 0.0f;
  if (row >= to.rows) return;
#pragma unroll
  for (int i = 0; i < kWidth / kSharers; ++i) {
    const int c = sharer + kSharers * i;
    if (c < to.cols) to.row(row)[c] = factors[row] * (d[i] - along * scaled[r][c]);
  }
}

// d_x: a block takes 32 rows through the columns of their groups.
template <int kWidth>
__global__ void __launch_bounds__(kThreads, kBlocks) rows_backward_kernel(InfoNce a, Working work) {
  SIMT_SHARED(float, x, [kSide][kWidth + 1]);
  SIMT_SHARED(float, y, [kSide][kWidth + 1]);
  SIMT_SHARED(float, slopes, [kSide][kSide + 1]);
  const int64_t first_row = int64_t{blockIdx.x} * kSide;
  const int64_t last_row = first_row + kSide < a.x.rows ? first_row + kSide : a.x.rows;
  const int r = static_cast<int>(threadIdx.x) / kSharers;
  const int sharer = static_cast<int>(threadIdx.x) % kSharers;
  float d[kWidth / kSharers] = {};
  load_tile<kWidth>(work.x, a.x.rows, a.x.cols, first_row, x);
  for (int64_t first = work.columns[first_row].first; first < work.columns[last_row - 1].last;
       first += kSide) {
    load_tile<kWidth>(work.y, a.y.rows, a.y.cols, first, y);
    __syncthreads();
    slope_tile<kWidth>(a, work, x, y, first_row, first, slopes);
    __syncthreads();
    for (int c = 0; c < kSide; ++c) {
#pragma unroll
      for (int i = 0; i < kWidth / kSharers; ++i) {
        d[i] += slopes[r][c] * y[c][sharer + kSharers * i];
      }
    }
    __syncthreads();
  }
  store_gradient<kWidth>(x, d, a.normalise, work.x_factor, first_row + r, a.d_x);
}

// d_y: a block takes 32 columns through the rows of their groups.
template <int kWidth>
__global__ void __launch_bounds__(kThreads, kBlocks)
    columns_backward_kernel(InfoNce a, Working work) {
  SIMT_SHARED(float, x, [kSide][kWidth + 1]);
  SIMT_SHARED(float, y, [kSide][kWidth + 1]);
  SIMT_SHARED(float, slopes, [kSide][kSide + 1]);
  const int64_t first_column = int64_t{blockIdx.x} * kSide;
  const int64_t last_column = first_column + kSide < a.y.rows ? first_column + kSide : a.y.rows;
  const int c = static_cast<int>(threadIdx.x) / kSharers;
  const int sharer = static_cast<int>(threadIdx.x) % kSharers;
  float d[kWidth / kSharers] = {};
  load_tile<kWidth>(work.y, a.y.rows, a.y.cols, first_column, y);
  for (int64_t first = work.rows[first_column].first; first < work.rows[last_column - 1].last;
       first += kSide) {
    load_tile<kWidth>(work.x, a.x.rows, a.x.cols, first, x);
    __syncthreads();
    slope_tile<kWidth>(a, work, x, y, first, first_column, slopes);
    __syncthreads();
    for (int r = 0; r < kSide; ++r) {
#pragma unroll
      for (int i = 0; i < kWidth / kSharers; ++i) {
        d[i] += slopes[r][c] * x[r][sharer + kSharers * i];
      }
    }
    __syncthreads();
  }
  store_gradient<kWidth>(y, d, a.normalise, work.y_factor, first_column + c, a.d_y);
}

template <int kWidth>
void run(Launches& launches, const InfoNce& a, const Working& work, double* partials) {
  const int64_t row_tiles = blocks_for(a.x.rows, kSide);
  launches.run<loss_kernel<kWidth>>(row_tiles, kThreads, a, work, partials);
  if (a.d_y.data == nullptr) return;
  launches.run<rows_backward_kernel<kWidth>>(row_tiles, kThreads, a, work);
  launches.run<columns_backward_kernel<kWidth>>(blocks_for(a.y.rows, kSide), kThreads, a, work);
}

}  // namespace

cudaError_t launch_infonce(CudaQueue& queue, const InfoNce& a) {
  const int64_t rows = a.x.rows;
  const int64_t columns = a.y.rows;
  const int64_t width = a.x.cols;
  ALM_CHECK(width <= 128, "contrastive vectors of more than 128 numbers");
  Working work{};
  double* partials = nullptr;
  const int64_t row_tiles = blocks_for(rows, kSide);
  Pieces()
      .add(&work.x, rows * width)
      .add(&work.y, columns * width)
      .add(&work.x_factor, rows)
      .add(&work.y_factor, columns)
      .add(&work.columns, rows)
      .add(&work.rows, columns)
      .add(&work.most, rows)
      .add(&work.others, rows)
      .add(&work.slope, rows)
      .add(&partials, row_tiles)
      .take(queue);
  Launches launches(queue);
  constexpr int kPrepared = kThreads / kWarp;
  launches.run<prepare_kernel>(blocks_for(rows, kPrepared), kThreads, a.x, a.normalise, a.rows,
                               a.columns, work.x, work.x_factor, work.columns);
  launches.run<prepare_kernel>(blocks_for(columns, kPrepared), kThreads, a.y, a.normalise,
                               a.columns, a.rows, work.y, work.y_factor, work.rows);
  if (width <= 32) {
    run<32>(launches, a, work, partials);
  } else if (width <= 64) {
    run<64>(launches, a, work, partials);
  } else {
    run<128>(launches, a, work, partials);
  }
  add_sums(launches, partials, row_tiles, {a.sum});
  return launches.error();
}

}  // namespace alm::cuda
