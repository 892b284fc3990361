// The host runtime of kernels itself: what it must give, and what it must refuse.
#include <gtest/gtest.h>

#include <vector>

#include "kernels/base/rng.h"
#include "kernels/cuda/grid.cuh"
#include "tests/simt/schedules.h"

namespace alm::cuda {
namespace {

constexpr int kThreads = 64;

// A stream, and arrays on the device.
class SimtRuntime : public testing::Test {
 protected:
  ~SimtRuntime() override {
    for (void* const memory : taken_) cudaFree(memory);
  }
  float* device_array(const std::vector<float>& values) {
    void* memory = nullptr;
    const auto bytes = static_cast<int64_t>(values.size() * sizeof(float));
    check(cudaMalloc(&memory, static_cast<size_t>(bytes)), "allocating");
    taken_.push_back(memory);
    queue_.upload(memory, values.data(), bytes);
    queue_.wait();
    return static_cast<float*>(memory);
  }
  std::vector<float> values(const float* from, size_t count) {
    std::vector<float> result(count);
    queue_.download(result.data(), from, static_cast<int64_t>(count * sizeof(float)));
    queue_.wait();
    return result;
  }
  // Runs one block; what it is refused for, or empty.
  template <auto kKernel, class... Arguments>
  std::string fault_of(const Arguments&... arguments) {
    try {
      check(Launches(queue_).run<kKernel>(1, kThreads, arguments...).error(), "launching");
      queue_.wait();
    } catch (const simt::Error& error) {
      return error.what();
    }
    return "";
  }

  CudaQueue queue_;
  std::vector<void*> taken_;
};

__global__ void rotate(float* x) {
  SIMT_SHARED(float, held, [kThreads]);
  held[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = held[(threadIdx.x + 1) % kThreads];
}

TEST_F(SimtRuntime, BarriersOrderABlockUnderEverySchedule) {
  std::vector<float> expected;
  for (int i = 0; i < kThreads; ++i) expected.push_back(static_cast<float>((i + 1) % kThreads));
  for (int schedule = 0; schedule < schedules(); ++schedule) {
    use_schedule(schedule);
    std::vector<float> start;
    for (int i = 0; i < kThreads; ++i) start.push_back(static_cast<float>(i));
    float* const x = device_array(start);
    EXPECT_EQ(fault_of<rotate>(x), "");
    EXPECT_EQ(values(x, kThreads), expected);
  }
}

__global__ void diverge(float* x) {
  if (threadIdx.x >= 40) return;
  __syncthreads();
  x[threadIdx.x] = 0;
}
__global__ void two_barriers() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
__global__ void missing_lane(float* x) {
  if (threadIdx.x == 3) return;
  x[threadIdx.x] = __shfl_xor_sync(kAllLanes, 1.0f, 1);
}
__global__ void outside_mask(float* x) {
  if (threadIdx.x < 32) x[threadIdx.x] = __shfl_sync(0xffffu, 1.0f, 0);
}
__global__ void too_much_shared(float* x) {
  SIMT_SHARED(float, held, [13000]);
  x[threadIdx.x] = held[threadIdx.x];
}

TEST_F(SimtRuntime, RefusesWhatAGpuDoesNotDefine) {
  float* const x = device_array(std::vector<float>(kThreads));
  for (int schedule = 0; schedule < schedules(); ++schedule) {
    SCOPED_TRACE(use_schedule(schedule));
    EXPECT_NE(fault_of<diverge>(x).find("not all threads reach"), std::string::npos);
    EXPECT_NE(fault_of<two_barriers>().find("different barriers"), std::string::npos);
    EXPECT_NE(fault_of<missing_lane>(x).find("wait for ever"), std::string::npos);
    EXPECT_NE(fault_of<outside_mask>(x).find("its own mask"), std::string::npos);
    EXPECT_NE(fault_of<too_much_shared>(x).find("48 KiB"), std::string::npos);
    EXPECT_EQ(fault_of<rotate>(x), "") << "a fault must not outlast its kernel";
  }
}

__global__ void read_shared(float* x) {
  SIMT_SHARED(float, held, [kThreads]);
  x[threadIdx.x] = held[threadIdx.x];
}

TEST_F(SimtRuntime, SharedAndDeviceMemoryBeginAsNan) {
  float* const x = device_array(std::vector<float>(kThreads));
  EXPECT_EQ(fault_of<read_shared>(x), "");
  for (const float value : values(x, kThreads)) EXPECT_TRUE(std::isnan(value));
  void* fresh = nullptr;
  ASSERT_EQ(cudaMalloc(&fresh, 40), cudaSuccess);
  taken_.push_back(fresh);
  for (const float value : values(static_cast<float*>(fresh), 10)) EXPECT_TRUE(std::isnan(value));
}

template <bool kWait>
__global__ void copy_through_shared(const float* from, float* to) {
  SIMT_SHARED(float, held, [kThreads * 4]);
  simt::cp_async<16>(held + 4 * threadIdx.x, from + 4 * threadIdx.x);
  simt::cp_async_commit();
  if (kWait) simt::cp_async_wait<0>();
  for (int i = 0; i < 4; ++i) to[4 * threadIdx.x + i] = held[4 * threadIdx.x + i];
}

TEST_F(SimtRuntime, AsyncCopiesArriveWithTheWaitAndNotBefore) {
  std::vector<float> start;
  for (int i = 0; i < 4 * kThreads; ++i) start.push_back(static_cast<float>(i));
  const float* const from = device_array(start);
  float* const to = device_array(std::vector<float>(start.size()));
  EXPECT_EQ(fault_of<copy_through_shared<true>>(from, to), "");
  EXPECT_EQ(values(to, start.size()), start);
  EXPECT_NE(fault_of<copy_through_shared<false>>(from, to).find("never waited"), std::string::npos);
}

// c [16, 8] = a [16, 16] b [16, 8] of one warp; a row-major, b column-major.
__global__ void multiply(const __nv_bfloat16* a, const __nv_bfloat16* b, float* c) {
  if (threadIdx.x >= 32) return;
  const int group = lane() / 4;
  const int pair = lane() % 4 * 2;
  const auto two = [](const __nv_bfloat16* at) { return *reinterpret_cast<const uint32_t*>(at); };
  const uint32_t of_a[4] = {two(a + group * 16 + pair), two(a + (group + 8) * 16 + pair),
                            two(a + group * 16 + pair + 8), two(a + (group + 8) * 16 + pair + 8)};
  const uint32_t of_b[2] = {two(b + group * 16 + pair), two(b + group * 16 + pair + 8)};
  float d[4] = {};
  simt::mma_m16n8k16(d, of_a, of_b);
  for (int i = 0; i < 4; ++i) c[(group + i / 2 * 8) * 8 + pair + i % 2] = d[i];
}

TEST_F(SimtRuntime, TensorCoreProductIsTheProduct) {
  Rng rng(5, Stream::test, 0);
  std::vector<__nv_bfloat16> a, b;
  for (int i = 0; i < 256; ++i) a.push_back(__float2bfloat16(static_cast<float>(rng.normal())));
  for (int i = 0; i < 128; ++i) b.push_back(__float2bfloat16(static_cast<float>(rng.normal())));
  const auto as_floats = [](const std::vector<__nv_bfloat16>& from) {
    std::vector<float> to(from.size() / 2);
    std::memcpy(to.data(), from.data(), from.size() * sizeof(__nv_bfloat16));
    return to;
  };
  const auto* const on_a = reinterpret_cast<const __nv_bfloat16*>(device_array(as_floats(a)));
  const auto* const on_b = reinterpret_cast<const __nv_bfloat16*>(device_array(as_floats(b)));
  float* const c = device_array(std::vector<float>(128));
  EXPECT_EQ(fault_of<multiply>(on_a, on_b, c), "");
  const std::vector<float> got = values(c, 128);
  for (int row = 0; row < 16; ++row) {
    for (int col = 0; col < 8; ++col) {
      double expected = 0;
      for (int k = 0; k < 16; ++k) {
        expected += double{__bfloat162float(a[static_cast<size_t>(row * 16 + k)])} *
                    double{__bfloat162float(b[static_cast<size_t>(col * 16 + k)])};
      }
      EXPECT_NEAR(got[static_cast<size_t>(row * 8 + col)], expected, 1e-4);
    }
  }
}

TEST_F(SimtRuntime, TheHostDoesNotReachDeviceMemoryAndTheDeviceDoesNotReachPastItsEnd) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  float* const x = device_array(std::vector<float>(kThreads));
  EXPECT_DEATH(x[0] = 1, "");
  EXPECT_DEATH(fault_of<rotate>(x + kThreads), "");
}

}  // namespace
}  // namespace alm::cuda
