#include "kernels/base/hash.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace alm {
namespace {

constexpr int64_t kUsers = 100000;

TEST(Mix, EqualsTheKnownAnswersOfSplitMix64) {
  // The generator with seed 0: state k times the golden gamma, finalised.
  EXPECT_EQ(mix(0), 0xe220a8397b1dcdafu);
  EXPECT_EQ(mix(0x9e3779b97f4a7c15u), 0x6e789e6aa1b965f4u);
  EXPECT_EQ(mix(2 * 0x9e3779b97f4a7c15u), 0x06c45d188009454fu);
}

TEST(Splits, SharesAreWhatWasAskedAndEndsAreExact) {
  int64_t held_out = 0, validation = 0;
  for (uint64_t user = 0; user < kUsers; ++user) {
    held_out += in_holdout(user, 0.2);
    validation += in_validation(user, 0.1);
    ASSERT_FALSE(in_holdout(user, 0));
    ASSERT_TRUE(in_holdout(user, 1));
  }
  EXPECT_NEAR(static_cast<double>(held_out), 0.2 * kUsers, 4 * std::sqrt(0.16 * kUsers));
  EXPECT_NEAR(static_cast<double>(validation), 0.1 * kUsers, 4 * std::sqrt(0.09 * kUsers));
}

TEST(Splits, DifferentPurposesAreIndependent) {
  int64_t both = 0, upper_half = 0, fold_zero = 0;
  int64_t held_out = 0;
  for (uint64_t user = 0; user < kUsers; ++user) {
    if (!in_holdout(user, 0.2)) continue;
    ++held_out;
    both += in_validation(user, 0.2);
    upper_half += half_of(user);
    fold_zero += fold_of(user, 5) == 0;
  }
  const double n = static_cast<double>(held_out);
  EXPECT_NEAR(static_cast<double>(both), 0.2 * n, 4 * std::sqrt(0.16 * n));
  EXPECT_NEAR(static_cast<double>(upper_half), 0.5 * n, 4 * std::sqrt(0.25 * n));
  EXPECT_NEAR(static_cast<double>(fold_zero), 0.2 * n, 4 * std::sqrt(0.16 * n));
}

TEST(Splits, ALargerHoldoutContainsTheSmallerOne) {
  for (uint64_t user = 0; user < 10000; ++user) {
    EXPECT_TRUE(!in_holdout(user, 0.1) || in_holdout(user, 0.3));
  }
}

TEST(Splits, FoldsAndRowsStayInRangeAndUseAllOfIt) {
  std::set<int64_t> folds, rows;
  for (uint64_t user = 0; user < 10000; ++user) {
    folds.insert(fold_of(user, 7));
    rows.insert(table_row(user, 3, 101));
    ASSERT_EQ(table_row(user, 3, 1), 0);
  }
  EXPECT_EQ(folds.size(), 7u);
  EXPECT_EQ(*folds.rbegin(), 6);
  EXPECT_EQ(rows.size(), 101u);
  EXPECT_EQ(*rows.rbegin(), 100);
}

TEST(TableRow, KeepsEqualIdsOfDifferentColumnsApart) {
  int64_t equal = 0;
  for (uint64_t id = 0; id < 10000; ++id)
    equal += table_row(id, 0, 1 << 20) == table_row(id, 1, 1 << 20);
  EXPECT_LE(equal, 3);
}

TEST(Unit, IsInTheHalfOpenInterval) {
  EXPECT_EQ(unit(0), 0);
  EXPECT_LT(unit(~uint64_t{0}), 1);
}

}  // namespace
}  // namespace alm
