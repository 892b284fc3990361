#include "kernels/base/view.h"

#include <gtest/gtest.h>

#include <vector>

namespace alm {
namespace {

TEST(Narrow, KeepsWhatFitsAndRefusesTheRest) {
  EXPECT_EQ(narrow<int>(int64_t{-7}), -7);
  EXPECT_EQ(narrow<int>(int64_t{0x7fffffff}), 0x7fffffff);
  EXPECT_THROW(narrow<int>(int64_t{0x80000000}), BugError);
  EXPECT_THROW(narrow<int>(int64_t{1} << 32), BugError);
  EXPECT_THROW(narrow<uint64_t>(int64_t{-1}), BugError);
  EXPECT_THROW(narrow<int64_t>(~uint64_t{0}), BugError);
  EXPECT_EQ(narrow<uint8_t>(255), 255);
  EXPECT_THROW(narrow<uint8_t>(256), BugError);
}

TEST(MatrixView, ColumnSlicesShareMemoryAndStride) {
  std::vector<float> memory(12);
  for (size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<float>(i);
  const Matrix<float> whole(memory.data(), 3, 4);
  const Matrix<float> slice = whole.columns(1, 2);
  EXPECT_EQ(slice(2, 1), 10);
  EXPECT_EQ(slice.row(1), memory.data() + 5);
  const Matrix<const float> read_only = slice;
  EXPECT_EQ(read_only.stride, 4);
  EXPECT_TRUE(whole.columns(4, 0).empty());
  EXPECT_TRUE(Matrix<float>().empty());
}

TEST(CsrView, CountsRowsAndTouchesFromItsOffsets) {
  const std::vector<int64_t> begin = {0, 3, 3, 8};
  EXPECT_EQ(Csr{begin}.rows(), 3);
  EXPECT_EQ(Csr{begin}.total(), 8);
  const std::vector<int64_t> none = {0};
  EXPECT_EQ(Csr{none}.rows(), 0);
  EXPECT_EQ(Csr{none}.total(), 0);
}

}  // namespace
}  // namespace alm
