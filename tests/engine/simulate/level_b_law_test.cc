// The closed forms of level B against enumeration over u and all 2^L mediator vectors.
#include "engine/simulate/level_b_law.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "kernels/base/check.h"
#include "kernels/base/rng.h"
#include "tests/reference/level_b_enumeration.h"

namespace alm {
namespace {

using reference::LevelBEnumeration;

LevelBEnumeration enumeration_of(const LevelBLaw& law, const std::array<double, 2>& x) {
  const LevelBClusters& from = law.clusters();
  const LevelBOptions& options = law.options();
  return {{from.popularity, from.taste0, from.taste1, from.affinity, from.intercept, from.potency},
          {options.confounding, options.u_to_m, options.direct, options.rare},
          x};
}

std::array<double, 2> some_x(uint64_t index) {
  Rng rng(5, Stream::test, index);
  return {rng.normal(), rng.normal()};
}

// Few clusters, so that most journeys show one twice and deletion changes later counts.
LevelBOptions few_clusters() {
  LevelBOptions options;
  options.clusters = 4;
  options.seed = 3;
  return options;
}

TEST(LevelBLaw, ClustersArePureFunctionsOfSeedAndNumber) {
  LevelBOptions options = few_clusters();
  const LevelBLaw few(options);
  options.clusters = 9;
  options.confounding = 0;
  options.direct = 0.1;
  const LevelBLaw more(options);
  for (size_t k = 0; k < 4; ++k) {
    EXPECT_EQ(few.clusters().affinity[k], more.clusters().affinity[k]);
    EXPECT_EQ(few.clusters().potency[k], more.clusters().potency[k]);
    EXPECT_DOUBLE_EQ(few.clusters().popularity[k], std::pow(k + 1.0, -0.7));
  }
  options.seed = 4;
  EXPECT_NE(LevelBLaw(options).clusters().affinity[0], few.clusters().affinity[0]);
}

TEST(LevelBLaw, ParametersHaveTheirMomentsAndPotencyFallsWithAffinity) {
  LevelBOptions options;
  options.clusters = 20000;
  const LevelBClusters clusters = LevelBLaw(options).clusters();
  double sums[5] = {}, residual = 0, residual2 = 0;
  const double count = static_cast<double>(options.clusters);
  for (size_t k = 0; k < clusters.affinity.size(); ++k) {
    sums[0] += clusters.taste0[k] * clusters.taste0[k];
    sums[1] += clusters.taste1[k] * clusters.taste1[k];
    sums[2] += clusters.affinity[k] * clusters.affinity[k];
    sums[3] += clusters.intercept[k] * clusters.intercept[k];
    sums[4] += clusters.affinity[k] * clusters.intercept[k];
    const double q = clusters.potency[k];
    const double rest = std::log(q / (1 - q)) + 1.8 + 0.9 * clusters.affinity[k];
    residual += rest;
    residual2 += rest * rest;
  }
  const double se = std::sqrt(2 / count);
  EXPECT_NEAR(sums[0] / count, 0.25, 4 * 0.25 * se);
  EXPECT_NEAR(sums[1] / count, 0.25, 4 * 0.25 * se);
  EXPECT_NEAR(sums[2] / count, 1, 4 * se);
  EXPECT_NEAR(sums[3] / count, 1, 4 * se);
  EXPECT_NEAR(sums[4] / count, 0, 4 / std::sqrt(count));
  EXPECT_NEAR(residual / count, 0, 4 * 0.4 / std::sqrt(count));
  EXPECT_NEAR(residual2 / count, 0.16, 4 * 0.16 * se);
}

TEST(LevelBLaw, ExposureIsTheSoftmaxWithItsHole) {
  LevelBOptions options;
  options.clusters = 37;
  const LevelBLaw law(options);
  Exposure exposure;
  int64_t holes = 0;
  for (uint64_t trial = 0; trial < 50; ++trial) {
    std::array<double, 2> x = some_x(trial);
    x[0] *= 2;
    law.expose(x, exposure);
    const LevelBEnumeration table = enumeration_of(law, x);
    for (int k = 0; k < 37; ++k) {
      for (int u = 0; u < 2; ++u) {
        EXPECT_NEAR(LevelBLaw::p_cluster(exposure, k, u), table.p_cluster(k, u), 1e-14);
      }
      holes += table.p_cluster(k, 0) == 0;
    }
    EXPECT_NEAR(LevelBLaw::p_u(x), table.p_u(1), 1e-15);
  }
  EXPECT_GT(holes, 0);
}

TEST(LevelBLaw, DrawsAreTheInverseOfTheRunningSums) {
  LevelBOptions options;
  options.clusters = 23;
  const LevelBLaw law(options);
  Exposure exposure;
  law.expose({2.5, -1.5}, exposure);
  for (const int64_t u : {0, 1}) {
    double reached = 0;
    for (int64_t k = 0; k < options.clusters; ++k) {
      const double p = LevelBLaw::p_cluster(exposure, k, u);
      if (p == 0) continue;
      EXPECT_EQ(LevelBLaw::draw_cluster(exposure, u, reached + 0.5 * p), k);
      reached += p;
    }
    EXPECT_GT(LevelBLaw::p_cluster(exposure, LevelBLaw::draw_cluster(exposure, u, 0), u), 0);
    const double last = 1 - 0x1p-53;
    EXPECT_GT(LevelBLaw::p_cluster(exposure, LevelBLaw::draw_cluster(exposure, u, last), u), 0);
  }
}

struct Case {
  const char* name;
  double confounding, u_to_m, direct;
  bool rare;
};
void PrintTo(const Case& each, std::ostream* out) {
  *out << each.name;
}
class LevelBTruths : public testing::TestWithParam<Case> {};

TEST_P(LevelBTruths, EqualEnumerationOverTheConfounderAndEveryMediatorVector) {
  LevelBOptions options = few_clusters();
  options.confounding = GetParam().confounding;
  options.u_to_m = GetParam().u_to_m;
  options.direct = GetParam().direct;
  options.rare = GetParam().rare;
  const LevelBLaw law(options);
  Exposure exposure;
  LevelBTruth truth;
  int64_t repeats = 0, hot = 0;
  for (uint64_t trial = 0; trial < 120; ++trial) {
    Rng rng(9, Stream::test, trial);
    const std::array<double, 2> x = some_x(trial);
    law.expose(x, exposure);
    if (exposure.empty()) continue;
    std::vector<int> touches;
    std::vector<uint32_t> shown;
    for (int64_t j = 0; j < static_cast<int64_t>(trial % 8); ++j) {
      const int64_t k = LevelBLaw::draw_cluster(exposure, j % 2, rng.uniform());
      repeats += std::count(shown.begin(), shown.end(), static_cast<uint32_t>(k));
      hot += law.clusters().affinity[static_cast<size_t>(k)] > 1;
      touches.push_back(static_cast<int>(k));
      shown.push_back(static_cast<uint32_t>(k));
    }
    const LevelBEnumeration table = enumeration_of(law, x);
    law.truth(x, exposure, shown, truth);
    ASSERT_EQ(truth.delta_do.size(), shown.size());
    for (int j = 0; j < static_cast<int>(touches.size()); ++j) {
      EXPECT_NEAR(truth.delta_do[static_cast<size_t>(j)], table.delta_do(touches, j), 1e-13);
      EXPECT_NEAR(truth.delta_ett[static_cast<size_t>(j)], table.delta_ett(touches, j), 1e-13);
      EXPECT_NEAR(truth.delta_removal[static_cast<size_t>(j)],
                  table.delta_removal(touches, touches[static_cast<size_t>(j)]), 1e-13);
    }
    EXPECT_NEAR(truth.p_do, table.p_do(touches), 1e-13);
    EXPECT_NEAR(truth.p_seen, table.p_seen(touches), 1e-13);
    EXPECT_NEAR(truth.p_none, 1 - table.lambda(), 1e-13);
    EXPECT_NEAR(truth.confounder, table.p_u_given(1, touches), 1e-13);
  }
  EXPECT_GT(repeats, 100);
  EXPECT_GT(hot, 0) << "no cluster has a direct effect: choose another seed";
}

INSTANTIATE_TEST_SUITE_P(
    Switches, LevelBTruths,
    testing::Values(Case{"plain", 1.2, 0, 0, false}, Case{"unconfounded", 0, 0, 0, false},
                    Case{"u_to_m", 1.2, 1.5, 0, false}, Case{"direct", 1.2, 0, 0.1, false},
                    Case{"rare", 1.2, 0, 0, true}, Case{"u_to_m_direct", 1.2, -0.7, 0.05, false},
                    Case{"u_to_m_rare", 0.4, 2, 0, true}, Case{"direct_rare", 2, 0, 0.3, true},
                    Case{"all", 1.2, 1, 0.2, true}, Case{"certain_direct", 1.2, 0, 1, false}),
    [](const testing::TestParamInfo<Case>& each) { return std::string(each.param.name); });

TEST(LevelBLaw, FeedbackKeepsDoAndGivesNoEtt) {
  LevelBOptions options = few_clusters();
  const LevelBLaw plain(options);
  options.feedback = true;
  const LevelBLaw fed(options);
  const std::array<double, 2> x{0.3, -0.4};
  Exposure exposure;
  plain.expose(x, exposure);
  const std::vector<uint32_t> touches{1, 1, 0};
  LevelBTruth without, with;
  plain.truth(x, exposure, touches, without);
  fed.truth(x, exposure, touches, with);
  EXPECT_EQ(with.delta_do, without.delta_do);
  EXPECT_EQ(with.p_do, without.p_do);
  for (const double value : with.delta_ett) EXPECT_TRUE(std::isnan(value));
  EXPECT_TRUE(std::isnan(with.p_seen));
}

// Method 8.2: E[H(T',x) | x] = Lambda(x), by every sequence of two and three touches; H from
// truth(): it is (1 - p_seen) of a journey whose touches have no effect, taken here through the
// posterior of u.
TEST(LevelBLaw, FrontDoorIdentityHolds) {
  const LevelBLaw law(few_clusters());
  Exposure exposure;
  LevelBTruth truth;
  for (uint64_t trial = 0; trial < 10; ++trial) {
    const std::array<double, 2> x = some_x(trial);
    law.expose(x, exposure);
    if (exposure.empty()) continue;
    const LevelBEnumeration table = enumeration_of(law, x);
    double mean_h = 0;
    for (uint32_t first = 0; first < 4; ++first) {
      for (uint32_t second = 0; second < 4; ++second) {
        double mass = 0;
        for (int64_t u = 0; u < 2; ++u) {
          mass += (u == 1 ? LevelBLaw::p_u(x) : 1 - LevelBLaw::p_u(x)) *
                  LevelBLaw::p_cluster(exposure, first, u) *
                  LevelBLaw::p_cluster(exposure, second, u);
        }
        if (mass == 0) continue;
        law.truth(x, exposure, std::vector<uint32_t>{first, second}, truth);
        mean_h += mass * ((1 - truth.confounder) * law.base_survival(x, 0) +
                          truth.confounder * law.base_survival(x, 1));
      }
    }
    EXPECT_NEAR(mean_h, 1 - truth.p_none, 1e-13);
    EXPECT_NEAR(table.mean_h(3), table.lambda(), 1e-13);
  }
}

TEST(LevelBLaw, OptionsOutOfBoundsAreTheUsersError) {
  const auto refused = [](auto change) {
    LevelBOptions options;
    change(options);
    EXPECT_THROW(LevelBLaw{options}, UserError);
  };
  refused([](LevelBOptions& o) { o.clusters = 0; });
  refused([](LevelBOptions& o) { o.direct = 1.1; });
  refused([](LevelBOptions& o) { o.leak = -0.1; });
  refused([](LevelBOptions& o) { o.mediator_leak = 2; });
  refused([](LevelBOptions& o) { o.proxy_noise = std::nan(""); });
  refused([](LevelBOptions& o) { o.keep_negatives = 0; });
  refused([](LevelBOptions& o) { o.confounding = INFINITY; });
}

}  // namespace
}  // namespace alm
