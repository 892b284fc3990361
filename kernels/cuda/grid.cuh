// How kernels are queued, and what every kernel needs: numbers of lanes and warps, sums of a warp.
// Blocks are of whole warps, so that all 32 lanes of a warp take part in its operations.
#pragma once

#include <cstring>

#include "kernels/cuda/numbers.cuh"
#include "kernels/cuda/queue.h"

namespace alm::cuda {

inline constexpr unsigned kAllLanes = 0xffffffffu;
inline constexpr int kWarp = 32;

inline int64_t blocks_for(int64_t items, int64_t a_block) {
  return (items + a_block - 1) / a_block;
}

// Queues kernels one after another; after an error, none, nor without a stream. No blocks: nothing
// to do.
class Launches {
 public:
  explicit Launches(const CudaQueue& queue) : stream_(queue.stream()) {}

  template <auto kKernel, class... Arguments>
  Launches& run(int64_t blocks, int threads, const Arguments&... arguments) {
    return run_grid<kKernel>(blocks, 1, 1, threads, arguments...);
  }
  template <auto kKernel, class... Arguments>
  Launches& run_grid(int64_t x, int64_t y, int64_t z, int threads, const Arguments&... arguments) {
    if (error_ != cudaSuccess || stream_ == nullptr || x == 0 || y == 0 || z == 0) return *this;
    const dim3 grid(narrow<unsigned>(x), narrow<unsigned>(y), narrow<unsigned>(z));
    error_ =
        simt::launch<kKernel>(grid, dim3(static_cast<unsigned>(threads)), stream_, arguments...);
    return *this;
  }
  cudaError_t error() const { return error_; }

 private:
  cudaStream_t stream_;
  cudaError_t error_ = cudaSuccess;
};

// Pieces of a queue's scratch: all are named, then taken at once.
class Pieces {
 public:
  template <class T>
  Pieces& add(T** pointer, int64_t count) {
    ALM_CHECK(pieces_ < kMost);
    pointers_[pieces_] = pointer;
    offsets_[pieces_++] = total_;
    total_ += (count * int64_t{sizeof(T)} + kAlignment - 1) / kAlignment * kAlignment;
    return *this;
  }
  void take(CudaQueue& queue) {
    char* const memory = static_cast<char*>(queue.scratch(total_));
    for (int i = 0; i < pieces_; ++i) {
      const char* const piece = memory + offsets_[i];
      std::memcpy(pointers_[i], &piece, sizeof piece);  // into a pointer of whatever type
    }
  }

 private:
  static constexpr int kMost = 16;
  static constexpr int64_t kAlignment = 256;
  void* pointers_[kMost];
  int64_t offsets_[kMost];
  int pieces_ = 0;
  int64_t total_ = 0;
};

// --- in kernels

__device__ inline int lane() {
  return static_cast<int>(threadIdx.x % kWarp);
}
__device__ inline int64_t thread_in_grid() {
  return int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}
__device__ inline int64_t warp_in_grid() {
  return thread_in_grid() / kWarp;
}

// The row that `at` is in: begin[row] <= at < begin[row + 1].
__device__ inline int64_t row_of(const Csr& rows, int64_t at) {
  const int64_t* const begin = rows.begin.data();
  int64_t low = 0;
  int64_t high = static_cast<int64_t>(rows.begin.size()) - 1;
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

// The sum over the lanes, in every lane. Lanes are added as a tree: the same bits in all of them.
template <class T>
__device__ inline T warp_sum(T value) {
#pragma unroll
  for (int flip = kWarp / 2; flip > 0; flip /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, flip);
  }
  return value;
}
__device__ inline float warp_max(float value) {
#pragma unroll
  for (int flip = kWarp / 2; flip > 0; flip /= 2) {
    const float other = __shfl_xor_sync(kAllLanes, value, flip);
    value = value < other ? other : value;
  }
  return value;
}

// x . y over `count` numbers, in every lane. Lane l takes numbers l, l + 32, ...
template <class Number>
__device__ inline float warp_dot(const Number* x, const float* y, int64_t count) {
  float sum = 0;
  for (int64_t c = lane(); c < count; c += kWarp) sum += to_float(x[c]) * y[c];
  return warp_sum(sum);
}

}  // namespace alm::cuda
