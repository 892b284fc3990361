#include "engine/estimate/gains.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/base/rng.h"

namespace alm {
namespace {

// Journeys whose stratum moves both exposure and outcome; cluster k adds k / 10.
struct Journey {
  int64_t stratum;
  uint64_t user;
  double outcome;
  double weight;
  bool touched[3];
};

std::vector<Journey> journeys(size_t n) {
  std::vector<Journey> all;
  for (size_t i = 0; i < n; ++i) {
    Rng rng(21, Stream::test, i);
    Journey journey{.stratum = static_cast<int64_t>(rng.below(kStrata)),
                    .user = i / 2,
                    .outcome = 0,
                    .weight = 0.5 + static_cast<double>(rng.below(3)),
                    .touched = {}};
    journey.outcome = 0.5 * static_cast<double>(journey.stratum) + 0.3 * rng.normal();
    for (int64_t k = 0; k < 3; ++k) {
      journey.touched[k] = rng.bernoulli(0.05 + 0.1 * static_cast<double>(journey.stratum));
      if (journey.touched[k]) journey.outcome += 0.1 * static_cast<double>(k);
    }
    all.push_back(journey);
  }
  return all;
}

StratifiedOutcomes summed(const std::vector<Journey>& all) {
  StratifiedOutcomes outcomes(3);
  for (const Journey& journey : all) {
    outcomes.add(journey.stratum, journey.user, journey.outcome, journey.weight);
    for (int64_t k = 0; k < 3; ++k) {
      if (!journey.touched[k]) continue;
      outcomes.add_touched(k, journey.stratum, journey.user, journey.outcome, journey.weight);
    }
  }
  return outcomes;
}

TEST(StratifiedGains, EqualTheirDefinitionsRowByRow) {
  const auto all = journeys(3000);
  const StratifiedOutcomes outcomes = summed(all);
  const StratifiedGain difference = gain_by_difference(outcomes);
  const StratifiedGain ipw = gain_by_propensity(outcomes);
  for (size_t k = 0; k < 3; ++k) {
    double share[kStrata] = {}, weight[kStrata] = {};
    for (const Journey& journey : all) {
      weight[journey.stratum] += journey.weight;
      if (journey.touched[k]) share[journey.stratum] += journey.weight;
    }
    double wy[2] = {}, w[2] = {}, squares[2] = {};
    double sum = 0, touched = 0, rest_sum = 0;
    for (const Journey& journey : all) {
      const double e = share[journey.stratum] / weight[journey.stratum];
      const double inverse = journey.touched[k] ? 1 / e : 1 / (1 - e);
      wy[journey.touched[k]] += journey.weight * inverse * journey.outcome;
      w[journey.touched[k]] += journey.weight * inverse;
      squares[journey.touched[k]] += journey.weight * inverse * inverse;
      if (journey.touched[k]) {
        sum += journey.weight * journey.outcome;
        touched += journey.weight;
      } else {
        rest_sum += journey.weight * journey.outcome * e / (1 - e);
      }
    }
    EXPECT_NEAR(ipw.gain.gain[k], wy[1] / w[1] - wy[0] / w[0], 1e-9);
    EXPECT_NEAR(ipw.overlap.ess[k], 1 / (squares[1] / (w[1] * w[1]) + squares[0] / (w[0] * w[0])),
                1e-6);
    EXPECT_NEAR(difference.gain.gain[k], (sum - rest_sum) / touched, 1e-9);
    EXPECT_NEAR(difference.overlap.rows[k], touched, 1e-6);
    EXPECT_LT(difference.overlap.ess[k], touched);
    // The strata explain the confounding; without them all is swamped.
    EXPECT_NEAR(difference.gain.gain[k], 0.1 * static_cast<double>(k), 0.06);
    EXPECT_NEAR(ipw.gain.gain[k], 0.1 * static_cast<double>(k), 0.06);
    EXPECT_GT(outcomes.naive(static_cast<int64_t>(k)), 0.5);
  }
}

TEST(StratifiedGains, ReplicatesAreTheGainOfRepeatedUsers) {
  const auto all = journeys(600);
  const StratifiedGain gain = gain_by_difference(summed(all));
  for (const int64_t b : {0, 17, 199}) {
    std::vector<Journey> resampled;
    for (const Journey& journey : all) {
      resampled.push_back(journey);
      resampled.back().weight *= poisson_weight(user_group(journey.user, user_group_count(3)), b);
    }
    const StratifiedGain wanted = gain_by_difference(summed(resampled));
    for (size_t k = 0; k < 3; ++k) {
      EXPECT_NEAR(gain.gain.replicates[static_cast<size_t>(b)][k], wanted.gain.gain[k], 1e-9);
    }
  }
}

TEST(StratifiedGains, StrataWithoutOthersAreLeftOutAndCounted) {
  StratifiedOutcomes outcomes(2);
  for (uint64_t i = 0; i < 100; ++i) {
    outcomes.add(0, i, 1, 1);
    outcomes.add_touched(0, 0, i, 1, 1);  // all of stratum 0
    outcomes.add(1, 200 + i, i < 50 ? 3 : 1, 1);
    if (i < 50) outcomes.add_touched(0, 1, 200 + i, 3, 1);
  }
  const StratifiedGain gain = gain_by_difference(outcomes);
  EXPECT_NEAR(gain.gain.gain[0], 2, 1e-12);
  EXPECT_NEAR(gain.overlap.clipped[0], 100, 1e-12);
  EXPECT_NEAR(gain.overlap.rows[0], 150, 1e-12);
  EXPECT_NEAR(gain.overlap.ess[0], 25, 1e-9);  // 50 against 50
  EXPECT_TRUE(std::isnan(gain.gain.gain[1]));
  // Propensities of 1 are floored.
  EXPECT_NEAR(gain_by_propensity(outcomes).overlap.clipped[0], 100, 1e-12);
  const auto shares = propensities(outcomes, 0);
  ASSERT_EQ(shares.size(), size_t{2});
  EXPECT_EQ(shares[0].sum, 1);
  EXPECT_EQ(shares[1].sum, 0.5);
}

TEST(StratifiedGains, AgainstAReferenceArmOnlyItsJourneysAreTheOthers) {
  StratifiedOutcomes outcomes(3);
  for (uint64_t i = 0; i < 90; ++i) {
    const int64_t arm = static_cast<int64_t>(i % 3);
    const double y = static_cast<double>(arm == 0 ? 1 : arm == 1 ? 4 : 100);
    outcomes.add_touched(arm, static_cast<int64_t>(i % 2), i, y, 1);
  }
  const StratifiedGain difference = gain_by_difference(outcomes, 0);
  const StratifiedGain ipw = gain_by_propensity(outcomes, 0);
  EXPECT_TRUE(std::isnan(difference.gain.gain[0]));
  EXPECT_NEAR(difference.gain.gain[1], 3, 1e-12);
  EXPECT_NEAR(ipw.gain.gain[1], 3, 1e-12);
  EXPECT_NEAR(ipw.gain.gain[2], 99, 1e-12);
  EXPECT_EQ(propensities(outcomes, 1, 0)[0].sum, 0.5);
}

TEST(Strata, FollowXAndActivityAndAreOneWithoutX) {
  EXPECT_EQ(stratum_of(-5, 1, 1), 0);
  EXPECT_EQ(stratum_of(-0.1, 1, 9), 3);
  EXPECT_EQ(stratum_of(0.1, 1, 4), 4);
  EXPECT_EQ(stratum_of(5, 1, 5), 7);
  EXPECT_EQ(stratum_of(5, 0, 1), stratum_of(-5, 0, 1));
  StratifiedOutcomes many(kStratifiedClusters + 1);
  EXPECT_EQ(many.strata, 1);
}

TEST(GainOfMeans, TakesTheRowsOfAClusterTogether) {
  GroupedSums sums(4);
  sums.add(0, 1, 2.0, 1);
  sums.add(1, 2, 5.0, 2);
  sums.add(3, 3, 7.0, 1);
  const GroupedGain gain = gain_of_means(sums, 2);
  ASSERT_EQ(gain.gain.size(), size_t{2});
  EXPECT_NEAR(gain.gain[0], 4, 1e-12);
  EXPECT_NEAR(gain.gain[1], 7, 1e-12);
}

TEST(GainAgainst, IsTheContrastWithTheReference) {
  GroupedSums sums(3);
  for (uint64_t i = 0; i < 60; ++i)
    sums.add(static_cast<int64_t>(i % 3), i, static_cast<double>(i % 3));
  const GroupedGain gain = gain_against(sums, 1);
  EXPECT_NEAR(gain.gain[0], -1, 1e-12);
  EXPECT_TRUE(std::isnan(gain.gain[1]));
  EXPECT_NEAR(gain.gain[2], 1, 1e-12);
}

}  // namespace
}  // namespace alm
