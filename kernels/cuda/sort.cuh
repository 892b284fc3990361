// Entries sorted by the row of a table they belong to, and sums over the entries of each row: how
// gradients reach tables without atomics. The sort is stable, so each row's entries stay in
// increasing order, and every sum runs in an order that depends on the rows alone.
#pragma once

#include "kernels/cuda/grid.cuh"

namespace alm::cuda {

// Entry numbers by increasing row. [count]
struct Sorted {
  const uint32_t* row = nullptr;
  const int32_t* entry = nullptr;
  int64_t count = 0;
};

// Least significant digit radix sort, 8 bits a pass, as many passes as `table_rows` needs.
class RowSort {
 public:
  RowSort(Pieces& pieces, int64_t count);
  // Call after the pieces were taken. rows [count], each in [0, table_rows).
  Sorted run(Launches& launches, const int64_t* rows, int64_t table_rows);

 private:
  int64_t count_;
  uint32_t* row_[2] = {};
  int32_t* entry_[2] = {};
  int32_t* counts_ = nullptr;
};

// Entries that one warp sums up.
inline constexpr int64_t kRunEntries = 32;
inline constexpr int kRunThreads = 128;

// Entries [first, last), which one warp sums up.
struct Stretch {
  __device__ Stretch(const Sorted& sorted, int64_t stretch)
      : first(stretch * kRunEntries),
        last(first + kRunEntries < sorted.count ? first + kRunEntries : sorted.count) {}
  int64_t first;
  int64_t last;
};
__device__ inline bool opens_at(const Sorted& sorted, int64_t at) {
  return at == 0 || sorted.row[at - 1] != sorted.row[at];
}
__device__ inline bool closes_before(const Sorted& sorted, int64_t at) {
  return at == sorted.count || sorted.row[at] != sorted.row[at - 1];
}

// target(row, c) += the sum of value(entry, c), for rows whose entries lie in one stretch; else a
// partial sum: partials[2 stretch] of a row that came in from the stretch before, [2 stretch + 1]
// of one that opens here and goes on. A warp a stretch, lanes by columns.
template <class Value, class Target>
__global__ void __launch_bounds__(kRunThreads)
    sum_stretches(Sorted sorted, int64_t width, Value value, Target target, float* partials) {
  const int64_t stretch = warp_in_grid();
  const Stretch s(sorted, stretch);
  for (int64_t c = lane(); c < width; c += kWarp) {
    for (int64_t begin = s.first; begin < s.last;) {
      const uint32_t row = sorted.row[begin];
      float sum = 0;
      int64_t end = begin;
      for (; end < s.last && sorted.row[end] == row; ++end) sum += value(sorted.entry[end], c);
      const bool opens = opens_at(sorted, begin);
      if (opens && closes_before(sorted, end)) {
        target(row, c) += sum;
      } else {
        partials[(2 * stretch + (opens ? 1 : 0)) * width + c] = sum;
      }
      begin = end;
    }
  }
}

// Adds up the partial sums of the row that opens in this stretch and goes on, in order.
template <class Target>
__global__ void __launch_bounds__(kRunThreads)
    join_stretches(Sorted sorted, int64_t width, Target target, const float* partials) {
  const int64_t stretch = warp_in_grid();
  const Stretch s(sorted, stretch);
  if (s.first >= s.last || closes_before(sorted, s.last)) return;
  const uint32_t row = sorted.row[s.last - 1];
  if (sorted.row[s.first] == row && !opens_at(sorted, s.first)) return;
  for (int64_t c = lane(); c < width; c += kWarp) {
    float sum = partials[(2 * stretch + 1) * width + c];
    for (int64_t next = stretch + 1;; ++next) {
      sum += partials[2 * next * width + c];
      const Stretch of_next(sorted, next);
      if (of_next.last == sorted.count || sorted.row[of_next.last] != row) break;
    }
    target(row, c) += sum;
  }
}

inline int64_t row_sums_size(int64_t count, int64_t width) {
  return 2 * blocks_for(count, kRunEntries) * width;
}

// target(row, c) += sum over the row's entries e of value(e, c), for c < width.
template <class Value, class Target>
void add_row_sums(Launches& launches, const Sorted& sorted, int64_t width, const Value& value,
                  const Target& target, float* partials) {
  const int64_t stretches = blocks_for(sorted.count, kRunEntries);
  const int64_t blocks = blocks_for(stretches, kRunThreads / kWarp);
  launches.run<sum_stretches<Value, Target>>(blocks, kRunThreads, sorted, width, value, target,
                                             partials);
  launches.run<join_stretches<Target>>(blocks, kRunThreads, sorted, width, target, partials);
}

}  // namespace alm::cuda
