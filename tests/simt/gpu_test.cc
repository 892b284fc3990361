// What is said of GPUs that cannot be used, on machines that the double of the CUDA runtime plays.
#include "kernels/gpu.h"
#include "kernels/gpu_versions.h"

#include <gtest/gtest.h>

#include "tests/simt/runtime.h"

namespace alm {
namespace {

class GpuTest : public testing::Test {
 protected:
  ~GpuTest() override { simt::machine() = {}; }
  static std::string obstacle_of(const simt::Machine& machine) {
    simt::machine() = machine;
    return find_gpu().obstacle;
  }
};

TEST_F(GpuTest, IsUsableWhereTheDriverShowsOneOfAnArchitectureThatWasCompiledFor) {
  EXPECT_TRUE(find_gpu().built_in);
  for (const auto& [major, minor] : {std::pair(8, 0), {8, 6}, {9, 0}, {10, 0}, {10, 3}}) {
    EXPECT_EQ(obstacle_of({.major = major, .minor = minor}), "") << major << "." << minor;
  }
  EXPECT_EQ(make_gpu_device()->describe(), "cuda (compute capability 10.3, products in bf16)");
}

TEST_F(GpuTest, EveryProcessOfAHostTakesTheOneOfItsNumberOrTheOnlyOneItIsShown) {
  simt::machine() = {.gpus = 4};
  for (const int64_t rank : {3, 0, 2}) {
    EXPECT_EQ(find_gpu(rank).obstacle, "");
    EXPECT_EQ(find_gpu(rank).address, "0000:" + std::to_string(3 + rank) + "b:00.0");
    make_gpu_device(rank);
    int gpu = -1;
    EXPECT_EQ(cudaGetDevice(&gpu), cudaSuccess);
    EXPECT_EQ(gpu, rank);
  }
  EXPECT_EQ(find_gpu(4).obstacle.find("the driver shows 4 GPUs to more than 4 ranks of a host"),
            0u);
  EXPECT_THROW(make_gpu_device(4), UserError);
  simt::machine() = {.gpus = 1, .first_bus = 0x7b};
  EXPECT_EQ(find_gpu(5).obstacle, "");
  EXPECT_EQ(find_gpu(5).address, "0000:7b:00.0");
  make_gpu_device(5);
}

TEST_F(GpuTest, WithoutADriver) {
  EXPECT_EQ(obstacle_of({.driver = 0}), "no NVIDIA driver is installed here");
}

TEST_F(GpuTest, SaysWhatItWasBuiltForAndWhichDriverThereIs) {
  const std::string toolkit =
      std::to_string(CUDART_VERSION / 1000) + "." + std::to_string(CUDART_VERSION % 1000 / 10);
  EXPECT_EQ(cuda_versions().find("built with " + toolkit + ", for compute capability "), 0u)
      << cuda_versions();
  EXPECT_NE(cuda_versions().find("8.0, 9.0"), std::string::npos) << cuda_versions();
  simt::machine() = {.driver = 0};
  EXPECT_EQ(cuda_driver_version(), "not found");
  simt::machine() = {.driver = 12080};
  EXPECT_EQ(cuda_driver_version(), "of CUDA 12.8");
}

TEST_F(GpuTest, WithADriverThatIsTooOld) {
  const std::string said = obstacle_of({.driver = 11040});
  EXPECT_EQ(said.find("the NVIDIA driver is too old: it is of CUDA 11.4, this program of CUDA "),
            0u)
      << said;
}

TEST_F(GpuTest, WithoutADevice) {
  EXPECT_EQ(obstacle_of({.gpus = 0}).find("the driver shows no GPU"), 0u);
}

TEST_F(GpuTest, OfAnotherArchitecture) {
  for (const auto& [major, minor] : {std::pair(7, 0), {7, 5}, {12, 0}}) {
    const std::string said = obstacle_of({.major = major, .minor = minor});
    const std::string name = std::to_string(major) + "." + std::to_string(minor);
    EXPECT_EQ(said.find("GPU 0 has compute capability " + name +
                        (major < 8 ? ", the kernels need 8.0" : ", this program was built for ")),
              0u)
        << said;
    EXPECT_THROW(make_gpu_device(), UserError);
  }
}

TEST_F(GpuTest, WithoutEnoughMemory) {
  simt::machine().memory = size_t{1} << 20;
  const std::unique_ptr<Device> device = make_gpu_device();
  void* const some = device->allocate(600000);
  const std::unique_ptr<Queue> queue = device->make_queue();
  for (const bool scratch : {false, true}) {
    try {
      scratch ? queue->scratch(900000) : device->allocate(600000);
      FAIL() << "no error";
    } catch (const MachineError& error) {
      EXPECT_EQ(std::string(error.what()).find("CUDA: out of memory of the GPU: "), 0u)
          << error.what();
    }
  }
  device->release(some);
  device->release(device->allocate(600000));
}

}  // namespace
}  // namespace alm
