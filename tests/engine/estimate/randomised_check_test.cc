#include "engine/estimate/randomised_check.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/base/rng.h"

namespace alm {
namespace {

constexpr int64_t kClusters = 40;

io::Json effect(int64_t cluster, double value, double se) {
  return {{"cluster", cluster},
          {"do", {{"plugin", value}, {"one_step", value}, {"se", se}}},
          {"ett", {{"one_step", value}, {"se", se}}}};
}

struct Sums {
  GroupedSums by_cluster{kClusters};
  GroupedSums all{1, by_cluster.groups()};
};

// Outcomes around .3 and the cluster's effect.
Sums sums_of(double effect_a_cluster, uint64_t rows) {
  Sums sums;
  for (uint64_t row = 0; row < rows; ++row) {
    Rng rng(23, Stream::test, row);
    const int64_t cluster = static_cast<int64_t>(rng.below(kClusters));
    const double outcome = rng.bernoulli(0.3 + effect_a_cluster * static_cast<double>(cluster));
    sums.by_cluster.add(cluster, row, outcome);
    sums.all.add(0, row, outcome);
  }
  return sums;
}

TEST(RandomisedCheck, AgreesWhereFrontDoorIsRightAndOnlyThere) {
  const Sums sums = sums_of(0.01, 80000);
  io::Json right = io::Json::array(), shifted = right, wrong = right;
  for (int64_t k = 0; k < kClusters; ++k) {
    right.push_back(effect(k, 0.01 * static_cast<double>(k), 0.004));
    shifted.push_back(effect(k, 0.01 * static_cast<double>(k) - 3, 0.004));
    wrong.push_back(effect(k, 0.01 * static_cast<double>(kClusters - k), 0.004));
  }
  const io::Json agrees = randomised_check(sums.by_cluster, sums.all, right);
  EXPECT_EQ(agrees.at("verdict"), "pass") << agrees;
  EXPECT_EQ(agrees.at("clusters"), kClusters);
  // Only differences between clusters can be told: what all have in common cancels.
  EXPECT_NEAR(randomised_check(sums.by_cluster, sums.all, shifted).at("mean_z").get<double>(),
              agrees.at("mean_z").get<double>(), 1e-9);
  const io::Json contradicts = randomised_check(sums.by_cluster, sums.all, wrong);
  EXPECT_EQ(contradicts.at("verdict"), "fail");
  EXPECT_NE(contradicts.at("sentence").get<std::string>().find("contradict"), std::string::npos);
}

TEST(RandomisedCheck, OneClusterByHand) {
  GroupedSums of(2), all(1, of.groups());
  for (uint64_t user = 0; user < 50; ++user) {
    const int64_t cluster = static_cast<int64_t>(user % 2);
    const double outcome = cluster == 1 && user % 4 == 1 ? 1 : 0;
    of.add(cluster, user, outcome);
    all.add(0, user, outcome);
  }
  const io::Json effects = io::Json::array({effect(0, 0.1, 0.05), effect(1, 0.4, 0.07)});
  const MeanEstimate apart = contrast_with_rest(of, 1, all);
  const double second = (apart.mean - 0.3) / std::hypot(apart.se, 0.07);
  const double first = (0.3 - apart.mean) / std::hypot(apart.se, 0.05);
  const io::Json made = randomised_check(of, all, effects);
  EXPECT_NEAR(made.at("mean_z").get<double>(), (first + second) / 2, 1e-9);
  // Arms: the other is the reference, which has no effect of its own.
  const io::Json arms = randomised_check_of_arms(of, 0, io::Json::array({effect(1, 0.4, 0.07)}));
  EXPECT_EQ(arms.at("clusters"), 1);
  EXPECT_NEAR(arms.at("mean_z").get<double>(), (apart.mean - 0.4) / std::hypot(apart.se, 0.07),
              1e-9);
}

TEST(RandomisedCheck, OfTooFewExposuresIsNotMade) {
  const Sums sums = sums_of(0.01, 200);
  io::Json effects = io::Json::array();
  for (int64_t k = 0; k < kClusters; ++k) effects.push_back(effect(k, 0, 0.01));
  const io::Json made = randomised_check(sums.by_cluster, sums.all, effects);
  EXPECT_TRUE(made.at("verdict").is_null());
  EXPECT_FALSE(made.at("why").get<std::string>().empty());
}

}  // namespace
}  // namespace alm
