// Contrastive scores of rows against the columns of their group, and their gradients, in tiles of
// 32 x 32 with an online softmax (as FlashAttention, Dao et al. 2022): the scores are never in
// memory, each kernel makes them anew. FLOPs: 2 R C w forward; 4 R C w more for either gradient.
// Tiles are cut from all rows, not from those of a group; pairs across groups are left out.
// Memory: x, y and their gradients once, y (or x) again per tile of 32 on the other side.
#include "kernels/cuda/infonce_tile.cuh"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/sums.cuh"
#include "kernels/gpu.h"

namespace alm::cuda {
namespace {

using namespace contrastive;

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
  const int64_t group = row_of(mine, r);
  ranges[r] = {theirs.begin.data()[group], theirs.begin.data()[group + 1]};
}

// A block takes 32 rows through all columns of their groups.
template <int kWidth>
__global__ void __launch_bounds__(kThreads, kBlocks)
    loss_kernel(InfoNce a, Working work, double* partials) {
  SIMT_SHARED(float, x, [kSide][kWidth + kPad]);
  SIMT_SHARED(float, y, [kSide][kWidth + kPad]);
  SIMT_SHARED(float, frequencies, [kSide]);
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
    load_frequencies(a, first, frequencies);
    __syncthreads();
#pragma unroll 1  // unrolled, its branches cost more registers than there are
    for (int i = 0; i < kScores; ++i) {
      const int c = sharer + kSharers * i;
      const float s = score<kWidth>(a, columns, x, y, frequencies, row, first + c, positive, r, c);
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

// d_x: a block takes 32 rows through the columns of their groups.
template <int kWidth>
__global__ void __launch_bounds__(kThreads, kBlocks) rows_backward_kernel(InfoNce a, Working work) {
  SIMT_SHARED(float, x, [kSide][kWidth + kPad]);
  SIMT_SHARED(float, y, [kSide][kWidth + kPad]);
  SIMT_SHARED(float, frequencies, [kSide]);
  SIMT_SHARED(float, slopes, [kSide][kSide + kPad]);
  const int64_t first_row = int64_t{blockIdx.x} * kSide;
  const int64_t last_row = first_row + kSide < a.x.rows ? first_row + kSide : a.x.rows;
  const int r = static_cast<int>(threadIdx.x) / kSharers;
  const int sharer = static_cast<int>(threadIdx.x) % kSharers;
  float d[kWidth / kSharers] = {};
  load_tile<kWidth>(work.x, a.x.rows, a.x.cols, first_row, x);
  for (int64_t first = work.columns[first_row].first; first < work.columns[last_row - 1].last;
       first += kSide) {
    load_tile<kWidth>(work.y, a.y.rows, a.y.cols, first, y);
    load_frequencies(a, first, frequencies);
    __syncthreads();
    slope_tile<kWidth>(a, work, x, y, frequencies, first_row, first, slopes);
    __syncthreads();
    for (int c = 0; c < kSide; ++c) {
#pragma unroll
      for (int i = 0; i < kWidth / kSharers; ++i) {
        d[i] += slopes[r][c] * y[c][sharer + kSharers * i];
      }
    }
    __syncthreads();
  }
  store_gradient<kWidth>(x, d, a.normalise, work.x_factor, first_row, a.d_x);
}

// d_y: a block takes 32 columns through the rows of their groups.
template <int kWidth>
__global__ void __launch_bounds__(kThreads, kBlocks)
    columns_backward_kernel(InfoNce a, Working work) {
  SIMT_SHARED(float, x, [kSide][kWidth + kPad]);
  SIMT_SHARED(float, y, [kSide][kWidth + kPad]);
  SIMT_SHARED(float, frequencies, [kSide]);
  SIMT_SHARED(float, slopes, [kSide][kSide + kPad]);
  const int64_t first_column = int64_t{blockIdx.x} * kSide;
  const int64_t last_column = first_column + kSide < a.y.rows ? first_column + kSide : a.y.rows;
  const int c = static_cast<int>(threadIdx.x) / kSharers;
  const int sharer = static_cast<int>(threadIdx.x) % kSharers;
  float d[kWidth / kSharers] = {};
  load_tile<kWidth>(work.y, a.y.rows, a.y.cols, first_column, y);
  load_frequencies(a, first_column, frequencies);
  for (int64_t first = work.rows[first_column].first; first < work.rows[last_column - 1].last;
       first += kSide) {
    load_tile<kWidth>(work.x, a.x.rows, a.x.cols, first, x);
    __syncthreads();
    slope_tile<kWidth>(a, work, x, y, frequencies, first, first_column, slopes);
    __syncthreads();
    for (int r = 0; r < kSide; ++r) {
#pragma unroll
      for (int i = 0; i < kWidth / kSharers; ++i) {
        d[i] += slopes[r][c] * x[r][sharer + kSharers * i];
      }
    }
    __syncthreads();
  }
  store_gradient<kWidth>(y, d, a.normalise, work.y_factor, first_column, a.d_y);
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
  ALM_CHECK(width <= kWidestInfoNceOfGpus, "contrastive vectors of %lld numbers",
            static_cast<long long>(width));
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
