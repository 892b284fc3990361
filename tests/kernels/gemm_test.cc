#include "kernels/cpu/gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "kernels/base/rng.h"

namespace alm {
namespace {

std::vector<float> normals(int64_t count, uint64_t seed) {
  Rng rng(seed, Stream::test, 0);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(rng.normal());
  return values;
}

constexpr float kGap = 77.0f;  // stands between rows

// op(a) op(b) of an odd shape, every operand a column slice; true if right and the gaps are whole.
void check_product(int64_t m, int64_t n, int64_t k, bool flip_a, bool flip_b, float alpha,
                   float beta) {
  SCOPED_TRACE(testing::Message() << m << "x" << n << "x" << k << " " << flip_a << flip_b
                                  << " alpha " << alpha << " beta " << beta);
  const int64_t a_rows = flip_a ? k : m, a_cols = flip_a ? m : k;
  const int64_t b_rows = flip_b ? n : k, b_cols = flip_b ? k : n;
  const std::vector<float> a = normals(a_rows * (a_cols + 3), 1);
  const std::vector<float> b = normals(b_rows * (b_cols + 2), 2);
  const std::vector<float> before = normals(m * n, 3);
  std::vector<float> c(static_cast<size_t>(m * (n + 4)), kGap);
  const Matrix<float> view(c.data(), m, n, n + 4);
  for (int64_t i = 0; i < m * n; ++i) {
    view(i / n, i % n) =
        beta == 0 ? std::numeric_limits<float>::quiet_NaN() : before[static_cast<size_t>(i)];
  }
  const Matrix<const float> left(a.data(), a_rows, a_cols, a_cols + 3);
  const Matrix<const float> right(b.data(), b_rows, b_cols, b_cols + 2);
  gemm(flip_a ? Transpose::yes : Transpose::no, flip_b ? Transpose::yes : Transpose::no, alpha,
       left, right, beta, view);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0, size = 0;
      for (int64_t l = 0; l < k; ++l) {
        const double term =
            double{flip_a ? left(l, i) : left(i, l)} * double{flip_b ? right(j, l) : right(l, j)};
        sum += term;
        size += std::fabs(term);
      }
      const double old = beta == 0 ? 0 : before[static_cast<size_t>(i * n + j)];
      const double expected = double{alpha} * sum + double{beta} * old;
      ASSERT_NEAR(view(i, j), expected, 1e-6 * (size + std::fabs(old) + 1e-30)) << i << "," << j;
    }
    for (int64_t gap = n; gap < n + 4; ++gap)
      ASSERT_EQ(c[static_cast<size_t>(i * (n + 4) + gap)], kGap);
  }
}

TEST(Gemm, IsRightForEveryTransposeStrideScaleAndOddSize) {
  const int64_t sizes[][3] = {{0, 3, 2},  {3, 0, 2},  {3, 2, 0},    {1, 1, 1},
                              {7, 1, 13}, {1, 37, 5}, {61, 67, 71}, {16, 64, 509}};
  for (const auto& [m, n, k] : sizes) {
    for (const bool flip_a : {false, true}) {
      for (const bool flip_b : {false, true}) {
        check_product(m, n, k, flip_a, flip_b, 1, 0);
        check_product(m, n, k, flip_a, flip_b, -0.5f, 1);
      }
    }
  }
}

TEST(Gemm, GivesTheSameBitsFromOneAndManyThreadsAndAnyAlignment) {
  const int64_t m = 211, n = 64, k = 1301;
  for (const bool flip : {false, true}) {
    const std::vector<float> a = normals(m * k, 4);
    const std::vector<float> b = normals(k * n, 5);
    const auto compute = [&](int64_t offset) {
      std::vector<float> moved(a.size() + 16);
      std::copy(a.begin(), a.end(), moved.begin() + offset);
      std::vector<float> c(static_cast<size_t>(m * n) + 16);
      const Matrix<const float> left = flip ? Matrix<const float>(moved.data() + offset, k, m)
                                            : Matrix<const float>(moved.data() + offset, m, k);
      gemm(flip ? Transpose::yes : Transpose::no, Transpose::no, 1, left,
           Matrix<const float>(b.data(), k, n), 0, Matrix<float>(c.data() + offset, m, n));
      return std::vector<float>(c.begin() + offset, c.begin() + offset + m * n);
    };
    const std::vector<float> alone = compute(0);
    EXPECT_EQ(alone, compute(1));
    EXPECT_EQ(alone, compute(7));
    std::vector<std::vector<float>> results(4);
    std::vector<std::thread> threads;
    for (size_t t = 0; t < results.size(); ++t) {
      threads.emplace_back([&, t] { results[t] = compute(static_cast<int64_t>(t)); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const std::vector<float>& result : results) EXPECT_EQ(result, alone);
  }
}

TEST(Gemm, RefusesShapesThatDoNotFit) {
  std::vector<float> memory(64);
  const Matrix<float> a(memory.data(), 2, 3), c(memory.data() + 32, 2, 2);
  EXPECT_THROW(gemm(Transpose::no, Transpose::no, 1, a, a, 0, c), BugError);
}

}  // namespace
}  // namespace alm
