// Layers whose products are the library's: every case of them, however narrow, goes its way here,
// in panels as small as there are.
#include <algorithm>

#include "kernels/cuda/queue.h"
#include "kernels/device_array.h"
#include "tests/simt/bf16_reference.h"
#include "tests/simt/every_case.h"

namespace alm {
namespace {

using cuda::ProductChoice;
constexpr ProductChoice kAll{
    .library_from_bf16 = 1, .library_from_fp32 = 1, .panel_bytes = 1, .library_bytes = 4096};

std::unique_ptr<cuda::CudaDevice> device_with_library(Precision precision) {
  auto device = cuda::make_cuda_device(precision, 0, kAll);
  EXPECT_NE(device->products().find(" by cuBLASLt "), std::string::npos) << device->products();
  return device;
}

// Own code does little here: a few orders do.
int orders() {
  return std::min(schedules(), 4);
}

class EveryWideOp : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Op, EveryWideOp, testing::Values("linear_forward", "linear_backward"),
                         [](const auto& test) { return test.param; });

TEST_P(EveryWideOp, EqualsTheReferenceInFp32) {
  expect_every_case(
      GetParam(), *device_with_library(Precision::fp32),
      [](const OpCase& op_case, reference::Arguments& arguments) {
        reference::run(op_case.op, arguments);
      },
      orders());
}

TEST_P(EveryWideOp, EqualsTheReferenceInBf16) {
  expect_every_case(
      GetParam(), *device_with_library(Precision::bf16),
      [](const OpCase& op_case, reference::Arguments& arguments) {
        run_in_bf16(op_case.op, arguments);
      },
      orders());
}

// Of layers in the size that it is meant for, with what it fuses. What it lacks, own kernels would
// make, to the same numbers.
TEST(LibraryProductsTest, AreThereForWideLayers) {
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    constexpr int64_t kSize = 256;
    const auto device = device_with_library(precision);
    const std::unique_ptr<Queue> queue = device->make_queue();
    cuda::LibraryProducts* const library =
        static_cast<cuda::CudaQueue&>(*queue).library_for(kSize, kSize);
    ASSERT_NE(library, nullptr);
    const DeviceArray<float> memory(*device, 4 * kSize * kSize);
    const auto factor = [&](int64_t at) -> MixedMatrix<const float> {
      return {memory.data() + at * kSize * kSize, kSize, kSize, kSize, precision};
    };
    const Matrix<float> result(memory.data() + 2 * kSize * kSize, kSize, kSize);
    float* const vector = memory.data() + 3 * kSize * kSize;
    EXPECT_TRUE(library->has({.left = factor(0), .right = factor(1), .result = result}));
    EXPECT_TRUE(library->has(
        {.left = factor(0), .right = factor(1), .result = result, .bias = vector, .relu = true}));
    EXPECT_TRUE(library->has({.left = factor(0),
                              .right = factor(1),
                              .left_transposed = true,
                              .result = result,
                              .addend = result,
                              .sums_of_right = vector}));
  }
}

bool takes(Queue& queue, int64_t in, int64_t out) {
  return static_cast<cuda::CudaQueue&>(queue).library_for(in, out) != nullptr;
}

TEST(ProductChoiceTest, GivesTheLibraryLayersThatAreWideOnBothSides) {
  for (const auto& [precision, from] : {std::pair(Precision::bf16, 256), {Precision::fp32, 64}}) {
    const auto device = cuda::make_cuda_device(precision, 0, ProductChoice());
    const std::unique_ptr<Queue> queue = device->make_queue();
    EXPECT_TRUE(takes(*queue, from, from));
    EXPECT_TRUE(takes(*queue, 2048, 6144));
    EXPECT_FALSE(takes(*queue, from - 1, 2048));
    EXPECT_FALSE(takes(*queue, 2048, from - 1));
    EXPECT_NE(device->products().find(std::to_string(from) + " and wider by cuBLASLt"),
              std::string::npos)
        << device->products();
  }
}

TEST(ProductChoiceTest, GivesTheLibraryNothingWhereItWasNotAskedFor) {
  const auto device = cuda::make_cuda_device(Precision::bf16);
  EXPECT_FALSE(takes(*device->make_queue(), 2048, 2048));
  EXPECT_EQ(device->products(),
            "products: touch heads up to 64 wide in one kernel, all others by own kernels (no "
            "library was asked for)");
}

TEST(ProductChoiceTest, KeepsPanelsToTheirBytesInWholeTiles) {
  const ProductChoice choice;
  EXPECT_EQ(choice.panel_rows(2048), 4096);
  EXPECT_EQ(choice.panel_rows(6144), 1280);
  EXPECT_EQ(choice.panel_rows(int64_t{1} << 30), 128);
}

}  // namespace
}  // namespace alm
