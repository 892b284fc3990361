// The program's own operator new, which this test program has too.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <vector>

namespace alm {
namespace {

TEST(AlignedBlocks, LargeOnesBeginAtACacheLine) {
  std::vector<std::vector<float>> kept;  // so that no two are the same memory
  for (int64_t size = 1; size < (int64_t{1} << 24); size = size * 3 + 1) {
    kept.emplace_back(static_cast<size_t>(size), 1.0f);
    const uintptr_t at = reinterpret_cast<uintptr_t>(kept.back().data());
    EXPECT_EQ(at % (size * int64_t{sizeof(float)} >= 65536 ? 64 : 16), 0U) << size;
  }
}

TEST(AlignedBlocks, WhatThereIsNoMemoryForIsSaid) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer ends a program that wants so much memory";
#endif
  volatile size_t most = std::numeric_limits<size_t>::max();
  EXPECT_THROW(static_cast<void>(::operator new(most)), std::bad_alloc);
  EXPECT_THROW(static_cast<void>(::operator new(most / 2)), std::bad_alloc);
  EXPECT_EQ(::operator new(most / 2, std::nothrow), nullptr);
  void* const nothing = ::operator new(0);
  EXPECT_NE(nothing, nullptr);
  ::operator delete(nothing);
}

}  // namespace
}  // namespace alm
