#include "kernels/base/rng.h"

#include <gtest/gtest.h>

#include <set>

namespace alm {
namespace {

using Four = std::array<uint32_t, 4>;

TEST(Philox, EqualsTheKnownAnswersOfRandom123) {
  // philox4x32 10 in Random123's kat_vectors.
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Four{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Four{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Four{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Rng, IsAPureFunctionOfSeedStreamAndIndex) {
  Rng one(5, Stream::test, 9), same(5, Stream::test, 9);
  for (int draw = 0; draw < 20; ++draw) EXPECT_EQ(one.bits(), same.bits());
}

TEST(Rng, SeedsStreamsIndicesAndDrawsGiveDifferentNumbers) {
  std::set<uint64_t> seen;
  int64_t made = 0;
  for (const uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32}) {
    for (const Stream stream : {Stream::journey, Stream::touch}) {
      for (const uint64_t index : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32}) {
        Rng rng(seed, stream, index);
        for (int draw = 0; draw < 6; ++draw, ++made) seen.insert(rng.bits64());
      }
    }
  }
  EXPECT_EQ(static_cast<int64_t>(seen.size()), made);
}

TEST(Rng, MomentsAreThoseOfTheNamedLaws) {
  const int64_t count = 200000;
  Rng rng(1, Stream::test, 0);
  double uniform = 0, normal = 0, square = 0, hits = 0;
  std::array<int64_t, 7> below{};
  for (int64_t draw = 0; draw < count; ++draw) {
    const double u = rng.uniform();
    ASSERT_TRUE(u >= 0 && u < 1);
    uniform += u;
    const double z = rng.normal();
    normal += z;
    square += z * z;
    hits += rng.bernoulli(0.3);
    ++below[rng.below(7)];
  }
  // Four standard errors each.
  const double n = static_cast<double>(count);
  const double error = 4 / std::sqrt(n);
  EXPECT_NEAR(uniform / n, 0.5, error * std::sqrt(1 / 12.0));
  EXPECT_NEAR(normal / n, 0, error);
  EXPECT_NEAR(square / n, 1, error * std::sqrt(2.0));
  EXPECT_NEAR(hits / n, 0.3, error * std::sqrt(0.21));
  for (const int64_t in_bin : below)
    EXPECT_NEAR(static_cast<double>(in_bin) / n, 1 / 7.0, error * 0.35);
}

TEST(Rng, BelowOneIsAlwaysZeroAndBernoulliEndsAreCertain) {
  Rng rng(2, Stream::test, 0);
  for (int draw = 0; draw < 100; ++draw) {
    EXPECT_EQ(rng.below(1), 0u);
    EXPECT_FALSE(rng.bernoulli(0));
    EXPECT_TRUE(rng.bernoulli(1));
  }
}

}  // namespace
}  // namespace alm
