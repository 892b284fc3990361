#include "kernels/base/fixed_point.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "kernels/base/rng.h"

namespace alm {
namespace {

TEST(FixedSum, DoesNotDependOnTheOrderOfItsTerms) {
  std::vector<double> terms;
  Rng rng(1, Stream::test, 0);
  for (int i = 0; i < 1001; ++i) terms.push_back(rng.normal() * std::exp(10 * rng.normal()));
  FixedSum forwards, backwards, sorted, in_parts[3];
  for (const double term : terms) forwards.add(term);
  for (size_t i = 0; i < terms.size(); ++i) in_parts[i % 3].add(terms[i]);
  std::reverse(terms.begin(), terms.end());
  for (const double term : terms) backwards.add(term);
  std::sort(terms.begin(), terms.end());
  for (const double term : terms) sorted.add(term);
  EXPECT_EQ(forwards, backwards);
  EXPECT_EQ(forwards, sorted);
  FixedSum joined;
  for (const FixedSum& part : in_parts) joined.add(part);
  EXPECT_EQ(joined, forwards);
}

TEST(FixedSum, KeepsTermsToHalfAUnitAndTheLargestExactly) {
  FixedSum small;
  small.add(0x1p-45 * 1.5);
  EXPECT_EQ(small.value(), 0x1p-44);
  FixedSum ends;
  ends.add(0x1.fffffffffffffp59);
  ends.add(-0x1p-44);
  ends.add(-0x1.fffffffffffffp59);
  EXPECT_EQ(ends.value(), -0x1p-44);
}

TEST(FixedSum, HoldsAMillionOfTheLargestTerms) {
  FixedSum sum;
  for (int64_t term = 0; term < (1 << 20); ++term) sum.add(-0x1.8p59);
  EXPECT_EQ(sum.value(), -0x1.8p79);
}

TEST(FixedSum, RefusesWhatCannotBeSummed) {
  FixedSum sum;
  EXPECT_THROW(sum.add(std::numeric_limits<double>::quiet_NaN()), UserError);
  EXPECT_THROW(sum.add(std::numeric_limits<double>::infinity()), UserError);
  EXPECT_THROW(sum.add(0x1p60), UserError);
  EXPECT_EQ(sum, FixedSum{});
}

TEST(FixedSum, LimbsAddedWordByWordRepresentTheSum) {
  Rng rng(2, Stream::test, 0);
  FixedSum total;
  int64_t words[FixedSum::kLimbs] = {};
  for (int rank = 0; rank < 1000; ++rank) {
    FixedSum mine;
    mine.add(rng.normal() * std::exp(8 * rng.normal()));
    mine.add(rank % 2 == 0 ? -0x1p59 : 0x1p58);
    total.add(mine);
    int64_t limbs[FixedSum::kLimbs];
    mine.to_limbs(limbs);
    for (int64_t limb = 0; limb < FixedSum::kLimbs; ++limb) words[limb] += limbs[limb];
    FixedSum back;
    back.from_limbs(limbs);
    ASSERT_EQ(back, mine);
  }
  FixedSum from_words;
  from_words.from_limbs(words);
  EXPECT_EQ(from_words, total);
}

TEST(FixedPointShift, LeavesRoomForAllTermsAndWastesAtMostTwoBits) {
  for (const double largest : {1e-30, 0.1, 1.0, 3.0, 1e20}) {
    for (const int64_t terms : {1, 2, 3, 16, 1000, 4097}) {
      const int shift = fixed_point_shift(largest, terms);
      const double total = std::ldexp(largest, shift) * static_cast<double>(terms);
      EXPECT_LT(total, 0x1p62) << largest << " " << terms;
      EXPECT_GE(total, 0x1p60) << largest << " " << terms;
    }
  }
  EXPECT_EQ(fixed_point_shift(0, 5), 0);
}

TEST(FixedPointShift, RefusesValuesWithoutAScale) {
  EXPECT_THROW(fixed_point_shift(std::numeric_limits<double>::infinity(), 1), BugError);
  EXPECT_THROW(fixed_point_shift(std::numeric_limits<double>::quiet_NaN(), 1), BugError);
}

}  // namespace
}  // namespace alm
