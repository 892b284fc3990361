// The tests of the CUDA ops on a GPU; exit code 77, skipped, where there is none.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/simt/schedules.h"

namespace alm {

int schedules() {
  return 2;  // bits must be the same in two runs
}
std::string use_schedule(int number) {
  return "the GPU's own, run " + std::to_string(number);
}
bool fits_this_build(long long) {
  return true;
}

}  // namespace alm

int main(int argc, char** argv) {
  constexpr int kSkipped = 77;
  testing::InitGoogleTest(&argc, argv);
  int count = 0;  // left as it is where there is no driver
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0) {
    std::printf("skipped: no GPU (%s)\n", cudaGetErrorString(error));
    return kSkipped;
  }
  return RUN_ALL_TESTS();
}
