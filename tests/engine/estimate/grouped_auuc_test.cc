#include "engine/estimate/grouped_auuc.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/base/rng.h"

namespace alm {
namespace {

TEST(GroupedArea, IsOneForThePerfectRankingHalfForTiesOfOneGainAndZeroForTheReverse) {
  const std::vector<double> gain{0.3, 0.1, -0.2, 0.05}, n{10, 20, 5, 40};
  std::vector<double> reverse(gain);
  for (double& value : reverse) value = -value;
  EXPECT_NEAR(*grouped_area(gain, n, {gain, {}}).auuc_05.value, 1, 1e-12);
  EXPECT_NEAR(*grouped_area(reverse, n, {gain, {}}).auuc_05.value, 0, 1e-12);
}

TEST(GroupedArea, RandomRankingsAverageToOneHalf) {
  std::vector<double> gain(30), n(30);
  for (size_t k = 0; k < 30; ++k) {
    Rng rng(4, Stream::test, k);
    gain[k] = rng.normal();
    n[k] = 1 + static_cast<double>(rng.below(50));
  }
  double sum = 0, squares = 0;
  const int draws = 2000;
  for (uint64_t draw = 0; draw < draws; ++draw) {
    std::vector<double> score(30);
    for (size_t k = 0; k < 30; ++k) score[k] = Rng(5 + draw, Stream::test, k).uniform();
    const double value = *grouped_area(score, n, {gain, {}}).auuc_05.value;
    sum += value;
    squares += value * value;
  }
  const double sd = std::sqrt(squares / draws - sum / draws * sum / draws);
  EXPECT_NEAR(sum / draws, 0.5, 4 * sd / std::sqrt(draws));
}

TEST(GroupedArea, RawAreaIsTheTrapezoidByHand) {
  // Order 1, 0: x steps 3/4 and 1/4; y steps 3 * 2 and 1 * 1.
  const std::vector<double> score{1, 2}, n{1, 3}, gain{1, 2};
  const auto area = grouped_area(score, n, {gain, {}});
  EXPECT_NEAR(*area.raw_area.value, 0.75 * 3 + 0.25 * (6 + 0.5), 1e-12);
  EXPECT_EQ(area.weight, 4);
}

TEST(GroupedArea, ClustersWithoutAGainOrTouchesAreLeftOut) {
  const std::vector<double> score{3, 2, 1, 0}, n{5, 0, 5, 5}, gain{2, 9, NAN, 1};
  const auto area = grouped_area(score, n, {gain, {}});
  EXPECT_EQ(area.clusters, 2);
  EXPECT_EQ(*area.auuc_05.value, 1);
  EXPECT_FALSE(area.ci95_low.value);
}

TEST(GroupedArea, EqualGainsAreNullWithAReason) {
  const std::vector<double> score{3, 2}, n{5, 5}, gain{1, 1};
  const auto area = grouped_area(score, n, {gain, {}});
  EXPECT_FALSE(area.auuc_05.value);
  EXPECT_FALSE(area.auuc_05.why.empty());
}

TEST(GroupedAuuc, BucketsSplitClustersByExposureQuantiles) {
  const size_t clusters = 97;
  std::vector<double> score(clusters), n(clusters), exposure(clusters), gain(clusters);
  for (size_t k = 0; k < clusters; ++k) {
    Rng rng(6, Stream::test, k);
    exposure[k] = rng.uniform();
    n[k] = 1 + std::floor(1000 * exposure[k]);
    gain[k] = rng.normal();
    score[k] = gain[k] + 0.3 * rng.normal();
  }
  const auto result = grouped_auuc(score, n, exposure, {gain, {}});
  ASSERT_EQ(result.buckets.size(), size_t{10});
  int64_t all = 0;
  double weight = 0;
  for (const auto& bucket : result.buckets) {
    EXPECT_GE(bucket.clusters, 9);
    EXPECT_LE(bucket.clusters, 10);
    all += bucket.clusters;
    EXPECT_GT(bucket.weight, weight);  // n grows with exposure here
    weight = bucket.weight;
  }
  EXPECT_EQ(all, 97);
  EXPECT_GT(*result.bucket_mean.value, 0.8);
  const auto json = to_json(result);
  EXPECT_EQ(json["buckets"].size(), size_t{10});
  EXPECT_TRUE(json["overall"]["auuc_sk"].is_null());
  EXPECT_FALSE(json["overall"]["auuc_sk_why"].get<std::string>().empty());
}

TEST(GroupedAuuc, IntervalsOfFrontDoorGainsComeFromUsers) {
  const int64_t clusters = 20;
  GroupedSums sums(clusters);
  std::vector<double> score(20), n(20), exposure(20);
  for (int64_t k = 0; k < clusters; ++k) {
    score[static_cast<size_t>(k)] = 0.1 * static_cast<double>(k);
    n[static_cast<size_t>(k)] = 300;
    exposure[static_cast<size_t>(k)] = 0.1;
    for (uint64_t i = 0; i < 300; ++i) {
      Rng rng(7, Stream::test, static_cast<uint64_t>(k) * 1000 + i);
      sums.add(k, rng.below(4000), score[static_cast<size_t>(k)] + 2 * rng.normal());
    }
  }
  const auto gain = gain_of_means(sums);
  for (int64_t k = 0; k < clusters; ++k) {
    EXPECT_NEAR(gain.gain[static_cast<size_t>(k)], sums.estimate(k).mean, 1e-12);
    // The spread of the replicates is the standard error.
    double sum = 0, squares = 0;
    for (const auto& replicate : gain.replicates) {
      sum += replicate[static_cast<size_t>(k)];
      squares += replicate[static_cast<size_t>(k)] * replicate[static_cast<size_t>(k)];
    }
    const double sd = std::sqrt(squares / 200 - sum / 200 * sum / 200);
    EXPECT_NEAR(sd / sums.estimate(k).se, 1, 0.25);
  }
  const auto overall = grouped_auuc(score, n, exposure, gain).overall;
  EXPECT_LT(*overall.ci95_low.value, *overall.auuc_05.value);
  EXPECT_GT(*overall.ci95_low.value, 0.5);
}

TEST(GroupedAuuc, DifferenceGainEqualsTheNaiveContrast) {
  GroupedSums touched(3), all(1, touched.groups());
  for (uint64_t i = 0; i < 600; ++i) {
    Rng rng(8, Stream::test, i);
    const double y = rng.normal();
    all.add(0, i, y);
    for (int64_t k = 0; k < 3; ++k) {
      if (rng.bernoulli(0.3)) touched.add(k, i, y);
    }
  }
  const auto gain = gain_of_difference(touched, all);
  for (int64_t k = 0; k < 3; ++k) {
    EXPECT_NEAR(gain.gain[static_cast<size_t>(k)], contrast_with_rest(touched, k, all).mean, 1e-12);
  }
}

}  // namespace
}  // namespace alm
