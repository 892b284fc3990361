#include "engine/estimate/grouped_auuc.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/base/rng.h"

namespace alm {
namespace {

ClusterTable table_of(std::vector<double> score, std::vector<double> n,
                      std::vector<double> exposure) {
  ClusterTable table;
  table.score = std::move(score);
  table.n = std::move(n);
  table.exposure = std::move(exposure);
  return table;
}

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
  const auto result = grouped_auuc(table_of(score, n, exposure), {gain, {}});
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
  const auto json = to_json(result, "");
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
  const auto overall = grouped_auuc(table_of(score, n, exposure), gain).overall;
  EXPECT_LT(*overall.ci95_low.value, *overall.ci95_high.value);
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

// Gains are truth and noise; the noise draws the area of the estimated gains towards 0.5.
TEST(GroupedAuuc, IntervalsHoldTheAreaAgainstGainsWithoutNoise) {
  const size_t clusters = 40;
  int64_t held = 0, below = 0;
  const int64_t sets = 100;
  for (uint64_t set = 0; set < sets; ++set) {
    std::vector<double> truth(clusters), score(clusters), n(clusters, 1), exposure(clusters, 0.1);
    GroupedGain gain;
    for (size_t k = 0; k < clusters; ++k) {
      Rng rng(set, Stream::test, k);
      truth[k] = rng.normal();
      score[k] = truth[k] + 0.3 * rng.normal();
      gain.gain.push_back(truth[k] + 0.3 * rng.normal());
    }
    for (uint64_t b = 0; b < 200; ++b) {
      gain.replicates.push_back(gain.gain);
      for (size_t k = 0; k < clusters; ++k) {
        gain.replicates.back()[k] += 0.3 * Rng(1000 + set, Stream::test, b * clusters + k).normal();
      }
    }
    const double wanted = *grouped_area(score, n, {truth, {}}).auuc_05.value;
    const auto area = grouped_auuc(table_of(score, n, exposure), gain).overall;
    held += *area.ci95_low.value <= wanted && wanted <= *area.ci95_high.value;
    below += *area.auuc_05.value < wanted;
  }
  EXPECT_GE(held, 88);
  EXPECT_GE(below, 80);  // else nothing was to be mended
}

TEST(GroupedAuuc, TheRivalsRankingIsJudgedByTheSameReplicates) {
  const size_t clusters = 30;
  std::vector<double> truth(clusters), n(clusters, 1), exposure(clusters, 0.1);
  GroupedGain gain;
  for (size_t k = 0; k < clusters; ++k) truth[k] = Rng(3, Stream::test, k).normal();
  gain.gain = truth;
  for (uint64_t b = 0; b < 200; ++b) {
    gain.replicates.push_back(truth);
    for (size_t k = 0; k < clusters; ++k) {
      gain.replicates.back()[k] += 0.5 * Rng(4, Stream::test, b * clusters + k).normal();
    }
  }
  ClusterTable table = table_of(truth, n, exposure);
  table.rival = truth;
  const auto same = grouped_auuc(table, gain).overall;
  EXPECT_EQ(*same.difference.value, 0);
  EXPECT_EQ(*same.difference_low.value, 0);
  EXPECT_EQ(*same.difference_high.value, 0);
  // The percentiles of the replicates, reflected at the value.
  std::vector<double> areas;
  for (const auto& replicate : gain.replicates) {
    areas.push_back(*grouped_area(truth, n, {replicate, {}}).auuc_05.value);
  }
  const auto plain = percentile_interval(areas);
  EXPECT_LT(plain[1], 1);  // noise draws them down
  EXPECT_NEAR(*same.ci95_low.value, std::min(1.0, 2 * *same.auuc_05.value - plain[1]), 1e-12);
  EXPECT_NEAR(*same.ci95_high.value, std::min(1.0, 2 * *same.auuc_05.value - plain[0]), 1e-12);
  std::vector<double> poor(clusters);
  for (size_t k = 0; k < clusters; ++k) poor[k] = Rng(9, Stream::test, k).normal();
  areas.clear();
  for (const auto& replicate : gain.replicates) {
    areas.push_back(*grouped_area(poor, n, {replicate, {}}).auuc_05.value);
  }
  const auto of_poor = percentile_interval(areas);
  const auto poor_area = grouped_auuc(table_of(poor, n, exposure), gain).overall;
  EXPECT_NEAR(*poor_area.ci95_low.value, 2 * *poor_area.auuc_05.value - of_poor[1], 1e-12);
  EXPECT_NEAR(*poor_area.ci95_high.value, 2 * *poor_area.auuc_05.value - of_poor[0], 1e-12);
  for (double& value : table.rival) value = -value;
  const auto reverse = grouped_auuc(table, gain).overall;
  EXPECT_NEAR(*reverse.rival_auuc_05.value, 0, 1e-12);
  EXPECT_NEAR(*reverse.difference.value, 1, 1e-12);
  table.rival[5] = NAN;
  EXPECT_FALSE(grouped_auuc(table, gain).overall.difference.value);
}

TEST(GroupedAuuc, BucketsWithoutOverlapAreMarkedAndNotRanked) {
  const size_t clusters = 20;
  std::vector<double> score(clusters), n(clusters, 100), exposure(clusters), gain(clusters);
  ClusterOverlap overlap;
  for (size_t k = 0; k < clusters; ++k) {
    score[k] = Rng(5, Stream::test, k).normal();
    gain[k] = score[k] + Rng(6, Stream::test, k).normal();
    exposure[k] = 0.01 * static_cast<double>(k + 1);
    overlap.rows.push_back(100);
    overlap.ess.push_back(k < 2 ? 4 : 6);
    overlap.clipped.push_back(static_cast<double>(k));
  }
  const auto result = grouped_auuc(table_of(score, n, exposure), {gain, {}}, overlap);
  EXPECT_FALSE(result.buckets[0].auuc_05.value);
  EXPECT_NE(result.buckets[0].auuc_05.why.find("no overlap"), std::string::npos);
  double sum = 0;
  for (size_t b = 1; b < 10; ++b) sum += *result.buckets[b].auuc_05.value;
  EXPECT_NEAR(*result.bucket_mean.value, sum / 9, 1e-12);
  EXPECT_TRUE(result.overall.auuc_05.value);
  EXPECT_NEAR(result.buckets[3].clipped_share, 6.5 / 100, 1e-12);
  const io::Json json = to_json(result, "")["buckets"][0];
  EXPECT_NEAR(json["overlap"]["ess_share"].get<double>(), 0.04, 1e-12);
  EXPECT_NEAR(json["overlap"]["e_high"].get<double>(), 0.02, 1e-12);
}

}  // namespace
}  // namespace alm
