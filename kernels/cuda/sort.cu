// A pass of the sort: each block counts the digits of its tile; one block turns all counts into
// first places, digit by digit and within a digit tile by tile; each block then moves its entries,
// in increasing order, so that equal digits keep their order.
#include "kernels/cuda/sort.cuh"

namespace alm::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr int kBits = 8;
constexpr int kDigits = 1 << kBits;
constexpr int64_t kTile = 4 * kThreads;
static_assert(kDigits == kThreads, "one thread a digit");

__device__ int digit_of(uint32_t row, int shift) {
  return static_cast<int>(row >> shift & (kDigits - 1));
}

__global__ void __launch_bounds__(kThreads)
    number_entries(const int64_t* rows, int64_t count, uint32_t* row, int32_t* entry) {
  const int64_t i = thread_in_grid();
  if (i >= count) return;
  row[i] = static_cast<uint32_t>(rows[i]);
  entry[i] = static_cast<int32_t>(i);
}

// counts [digit, tile]. Integer counts do not depend on the order of the atomic additions.
__global__ void __launch_bounds__(kThreads)
    count_digits(const uint32_t* row, int64_t count, int shift, int32_t* counts) {
  SIMT_SHARED(int32_t, of_digit, [kDigits]);
  of_digit[threadIdx.x] = 0;
  __syncthreads();
  const int64_t first = blockIdx.x * kTile;
  for (int64_t i = first + threadIdx.x; i < first + kTile && i < count; i += kThreads) {
    atomicAdd(&of_digit[digit_of(row[i], shift)], 1);
  }
  __syncthreads();
  counts[threadIdx.x * int64_t{gridDim.x} + blockIdx.x] = of_digit[threadIdx.x];
}

// counts[i] = sum of the counts before i, by one block.
__global__ void __launch_bounds__(kThreads) counts_to_places(int32_t* counts, int64_t count) {
  SIMT_SHARED(int32_t, of_warps, [kWarps]);
  int32_t before = 0;
  for (int64_t first = 0; first < count; first += kThreads) {
    const int64_t i = first + threadIdx.x;
    const int32_t own = i < count ? counts[i] : 0;
    int32_t sum = own;  // over the lanes up to this one
#pragma unroll
    for (int distance = 1; distance < kWarp; distance *= 2) {
      const int32_t below = __shfl_up_sync(kAllLanes, sum, static_cast<unsigned>(distance));
      if (lane() >= distance) sum += below;
    }
    if (lane() == kWarp - 1) of_warps[threadIdx.x / kWarp] = sum;
    __syncthreads();
    int32_t place = before + sum - own;
    for (int warp = 0; warp < kWarps; ++warp) {
      if (warp < static_cast<int>(threadIdx.x / kWarp)) place += of_warps[warp];
      before += of_warps[warp];
    }
    if (i < count) counts[i] = place;
    __syncthreads();  // of_warps is written again
  }
}

struct Move {
  const uint32_t* from_row;
  const int32_t* from_entry;
  uint32_t* to_row;
  int32_t* to_entry;
};

// The lanes of the warp that hold the same digit as this one, among those that hold one at all.
__device__ unsigned lanes_alike(int digit, bool any) {
  unsigned alike = __ballot_sync(kAllLanes, any);
#pragma unroll
  for (int bit = 0; bit < kBits; ++bit) {
    const bool set = (digit >> bit & 1) != 0;
    const unsigned lanes = __ballot_sync(kAllLanes, set);
    alike &= set ? lanes : ~lanes;
  }
  return alike;
}

__global__ void __launch_bounds__(kThreads)
    move_entries(Move move, int64_t count, int shift, const int32_t* places) {
  SIMT_SHARED(int32_t, place, [kDigits]);             // of the digit's next entry
  SIMT_SHARED(int32_t, of_warps, [kWarps][kDigits]);  // entries of each warp in this round
  const int warp = static_cast<int>(threadIdx.x / kWarp);
  const int own = static_cast<int>(threadIdx.x);
  place[own] = places[own * int64_t{gridDim.x} + blockIdx.x];
  for (int w = 0; w < kWarps; ++w) of_warps[w][own] = 0;
  __syncthreads();
  for (int64_t first = blockIdx.x * kTile; first < (blockIdx.x + 1) * kTile; first += kThreads) {
    const int64_t i = first + own;
    const bool any = i < count;
    const uint32_t row = any ? move.from_row[i] : 0;
    const int digit = digit_of(row, shift);
    const unsigned alike = lanes_alike(digit, any);
    const unsigned below = alike & ((1u << lane()) - 1);
    if (any && below == 0) of_warps[warp][digit] = __popc(alike);
    __syncthreads();
    if (any) {
      int32_t to = place[digit] + __popc(below);
      for (int w = 0; w < warp; ++w) to += of_warps[w][digit];
      move.to_row[to] = row;
      move.to_entry[to] = move.from_entry[i];
    }
    __syncthreads();
    for (int w = 0; w < kWarps; ++w) {
      place[own] += of_warps[w][own];
      of_warps[w][own] = 0;
    }
    __syncthreads();
  }
}

}  // namespace

RowSort::RowSort(Pieces& pieces, int64_t count) : count_(count) {
  for (int side = 0; side < 2; ++side) pieces.add(&row_[side], count).add(&entry_[side], count);
  pieces.add(&counts_, kDigits * blocks_for(count, kTile));
}

Sorted RowSort::run(Launches& launches, const int64_t* rows, int64_t table_rows) {
  ALM_CHECK(count_ < (int64_t{1} << 31) && table_rows <= (int64_t{1} << 32));
  launches.run<number_entries>(blocks_for(count_, kThreads), kThreads, rows, count_, row_[0],
                               entry_[0]);
  const int64_t tiles = blocks_for(count_, kTile);
  int from = 0;
  for (int shift = 0; shift < 32 && (table_rows - 1) >> shift > 0; shift += kBits) {
    launches.run<count_digits>(tiles, kThreads, row_[from], count_, shift, counts_);
    launches.run<counts_to_places>(tiles > 0 ? 1 : 0, kThreads, counts_, kDigits * tiles);
    const Move move{row_[from], entry_[from], row_[1 - from], entry_[1 - from]};
    launches.run<move_entries>(tiles, kThreads, move, count_, shift, counts_);
    from = 1 - from;
  }
  return {row_[from], entry_[from], count_};
}

}  // namespace alm::cuda
