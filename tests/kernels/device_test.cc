#include "kernels/device.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>

// Under the address sanitizer an allocation that is too large shall fail as it does without.
extern "C" const char* __asan_default_options() {
  return "allocator_may_return_null=1";
}

namespace alm {
namespace {

TEST(CpuDevice, AutoTakesTheHighestLevelAndAnyListedOneCanBeNamed) {
  const std::vector<std::string> levels = cpu_simd_levels();
  ASSERT_FALSE(levels.empty());
  EXPECT_EQ(levels.front(), "scalar");
  EXPECT_EQ(make_cpu_device("auto")->ops().name, levels.back());
  for (const std::string& level : levels) {
    EXPECT_EQ(make_cpu_device(level)->describe(), "cpu (" + level + ")");
  }
}

TEST(CpuDevice, AnUnknownLevelIsAUserErrorThatListsWhatThereIs) {
  try {
    make_cpu_device("sse9");
    FAIL() << "no error";
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("sse9"), std::string::npos);
    for (const std::string& level : cpu_simd_levels()) {
      EXPECT_NE(std::string(error.what()).find(level), std::string::npos);
    }
  }
}

TEST(CpuDevice, MemoryIsAlignedAndZeroEvenOfSizeZero) {
  const std::unique_ptr<Device> device = make_cpu_device("auto");
  for (const int64_t bytes : {0, 1, 63, 64, 65, 10007}) {
    auto* const memory = static_cast<unsigned char*>(device->allocate(bytes));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % 64, 0u);
    for (int64_t i = 0; i < bytes; ++i) ASSERT_EQ(memory[i], 0);
    device->release(memory);
  }
}

TEST(CpuDevice, MoreMemoryThanThereIsIsAMachineError) {
  const std::unique_ptr<Device> device = make_cpu_device("auto");
  EXPECT_THROW(device->allocate(int64_t{1} << 60), MachineError);
}

TEST(CpuQueue, ScratchIsAlignedAndStaysWhereItIsOnceGrown) {
  const std::unique_ptr<Queue> queue = make_cpu_device("auto")->make_queue();
  void* const grown = queue->scratch(100000);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(grown) % 64, 0u);
  for (const int64_t bytes : {0, 1, 5000, 100000}) EXPECT_EQ(queue->scratch(bytes), grown);
  std::memset(grown, 1, 100000);
  queue->wait();
}

}  // namespace
}  // namespace alm
