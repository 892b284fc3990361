#include "kernels/cuda/sums.cuh"

namespace alm::cuda {
namespace {

constexpr int kThreads = 256;

// Block s adds up sum s.
__global__ void __launch_bounds__(kThreads)
    add_sums_kernel(const double* partials, int64_t blocks, SumTargets targets) {
  const unsigned s = blockIdx.x;
  double mine = 0;
  for (int64_t i = threadIdx.x; i < blocks; i += kThreads) mine += partials[s * blocks + i];
  const double total = block_sum<kThreads>(mine);
  double* const to = s == 0   ? targets.first
                     : s == 1 ? targets.second
                     : s == 2 ? targets.third
                              : targets.fourth;
  if (threadIdx.x == 0 && to != nullptr) *to += total;
}

__global__ void __launch_bounds__(kThreads)
    add_partial_rows_kernel(const float* partials, int64_t chunks, Matrix<float> to) {
  const int64_t at = thread_in_grid();
  const int64_t count = to.rows * to.cols;
  if (at >= count) return;
  float sum = 0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += partials[chunk * count + at];
  to.data[at / to.cols * to.stride + at % to.cols] += sum;
}

}  // namespace

void add_sums(Launches& launches, const double* partials, int64_t blocks,
              const SumTargets& targets) {
  const int64_t sums = targets.fourth != nullptr   ? 4
                       : targets.third != nullptr  ? 3
                       : targets.second != nullptr ? 2
                                                   : 1;
  launches.run<add_sums_kernel>(blocks > 0 ? sums : 0, kThreads, partials, blocks, targets);
}

void add_partial_rows(Launches& launches, const float* partials, int64_t chunks, Matrix<float> to) {
  if (chunks == 0) return;
  launches.run<add_partial_rows_kernel>(blocks_for(to.rows * to.cols, kThreads), kThreads, partials,
                                        chunks, to);
}

}  // namespace alm::cuda
