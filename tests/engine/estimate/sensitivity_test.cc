// The closed forms of sensitivity against small models counted out.
#include "engine/estimate/sensitivity.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/engine/estimate/thread_world.h"

namespace alm {
namespace {

double sigmoid(double z) {
  return 1 / (1 + std::exp(-z));
}

// P(m=1 | U=0) such that both halves average to p and differ by `strength`, by bisection.
double p_without(double p, double strength) {
  double low = -60, high = 60;
  for (int step = 0; step < 200; ++step) {
    const double middle = (low + high) / 2;
    ((sigmoid(middle) + sigmoid(middle + strength)) / 2 < p ? low : high) = middle;
  }
  return sigmoid(low);
}

TEST(Sensitivity, TieIsTheDifferenceOfPosteriors) {
  for (const double p : {0.001, 0.1, 0.37, 0.5, 0.8, 0.99}) {
    for (const double strength : {-1.0, 0.0, 0.25, 1.0, 2.0, 6.0}) {
      const double p0 = p_without(p, strength), p1 = 2 * p - p0;
      const double engaged = 0.5 * p1 / p, not_engaged = 0.5 * (1 - p1) / (1 - p);
      EXPECT_NEAR(tie(p, strength), engaged - not_engaged, 1e-9) << p << " " << strength;
    }
  }
  EXPECT_EQ(tie(0, 1), 0);
  EXPECT_EQ(tie(1, 1), 0);
}

// Y = a + c m + gamma U: what front-door makes of it less the truth is gamma times the bias.
TEST(Sensitivity, BiasIsThatOfAModelCountedOut) {
  const double c = 0.2, gamma = 0.3;
  const size_t at = 2;
  const double strength = kTieStrengths[at];
  SensitivitySums sums(2);
  double bias = 0, weights = 0;
  for (const auto& [p, edited, weight] :
       {std::tuple{0.3, 0.0, 1.0}, {0.6, 0.0, 2.0}, {0.45, 0.2, 0.5}, {0.2, 0.5, 1.5}}) {
    // mu(m) = E[Y | m], the law of m being p and then `edited`.
    const double p0 = p_without(p, strength), p1 = 2 * p - p0;
    const double mu1 = c + gamma * 0.5 * p1 / p;
    const double mu0 = gamma * 0.5 * (1 - p1) / (1 - p);
    const double found = (p - edited) * (mu1 - mu0), truth = (p - edited) * c;
    bias += weight * (found - truth);
    weights += weight;
    sums.add(1, p, p - edited, weight);
  }
  EXPECT_NEAR(gamma * sums.bias(1, at), bias / weights, 1e-9);
  EXPECT_NEAR(gamma * sums.bias(at), bias / weights, 1e-9);
}

// U of variance 1/4 times its squared effect is a share of the unexplained variance.
TEST(Sensitivity, EffectOfUExplainsItsShare) {
  SensitivitySums sums(1);
  sums.add_residual(0.6, 1);
  sums.add_residual(-0.3, 2);
  const double variance = (0.36 + 2 * 0.09) / 3;
  const double gamma = sums.effect_of_u(0.05);
  EXPECT_NEAR(gamma * gamma / 4, 0.05 * variance, 1e-12);
}

SensitivitySums sums_of(int64_t first, int64_t step) {
  SensitivitySums sums(3);
  for (int64_t at = first; at < 60; at += step) {
    const double p = 0.1 + 0.01 * static_cast<double>(at);
    sums.add(at % 3, p, p, 1 + static_cast<double>(at % 2));
    sums.add_residual(at % 4 == 0 ? 0.7 : -0.2, 1);
  }
  return sums;
}

TEST(Sensitivity, JsonHoldsTheGridAndWhatTurnsTheSign) {
  const SensitivitySums sums = sums_of(0, 1);
  const std::vector<MeanEstimate> effects{
      {0.05, 0.01, 1, 30}, {0.01, 0.01, 1, 30}, {-0.08, 0.02, 1, 30}};
  const io::Json json = sensitivity_json(sums, {0.03, 0.004, 3, 90}, effects);
  EXPECT_EQ(json.at("clear_clusters"), 2);
  EXPECT_EQ(json.at("turned_by_direct"), -0.03);
  for (size_t s = 0; s < kTieStrengths.size(); ++s) {
    double last = 0.03;
    for (size_t r = 0; r < kTieShares.size(); ++r) {
      const double mean = json.at("mean_by_strength")[s][r].get<double>();
      EXPECT_NEAR(mean, 0.03 - sums.effect_of_u(kTieShares[r]) * sums.bias(s), 1e-12);
      EXPECT_LT(mean, last);
      last = mean;
    }
    const io::Json& turning = json.at("turning_share")[s];
    if (turning.is_number()) {
      EXPECT_NEAR(0.03, sums.effect_of_u(turning.get<double>()) * sums.bias(s), 1e-12);
    } else {  // not even all of the unexplained variance
      EXPECT_GT(0.03, sums.effect_of_u(1) * sums.bias(s));
    }
    EXPECT_EQ(turning.is_number(), s > 0);
    for (size_t d = 0; d < 7; ++d) {
      const double direct = json.at("grid").at("direct")[d].get<double>();
      EXPECT_NEAR(json.at("grid").at("mean_effect")[d][s + 1].get<double>(),
                  json.at("mean_by_strength")[s][1].get<double>() + direct, 1e-12);
    }
  }
  // The larger the tie, the fewer clusters stay clear; none of them at the largest here.
  EXPECT_EQ(json.at("clear_by_strength")[0][0], 2);
  EXPECT_EQ(json.at("clear_by_strength")[3][2], 0);
}

TEST(Sensitivity, IsTheSameForAnyRanks) {
  const SensitivitySums whole = sums_of(0, 1);
  for (int64_t ranks = 1; ranks <= 4; ++ranks) {
    ThreadWorld world(ranks);
    world.run([&](Communicator& comm) {
      SensitivitySums part = sums_of(comm.rank(), comm.size());
      part.reduce(comm);
      for (size_t s = 0; s < kTieStrengths.size(); ++s) {
        EXPECT_EQ(part.bias(s), whole.bias(s));
        for (int64_t k = 0; k < 3; ++k) EXPECT_EQ(part.bias(k, s), whole.bias(k, s));
      }
      EXPECT_EQ(part.effect_of_u(0.1), whole.effect_of_u(0.1));
    });
  }
}

}  // namespace
}  // namespace alm
