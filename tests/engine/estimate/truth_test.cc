#include "engine/estimate/truth.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/base/rng.h"

namespace alm {
namespace {

TEST(Spearman, EqualsTheClosedFormWithoutTiesAndMidranksWithThem) {
  const std::vector<double> a{1, 2, 3, 4, 5}, b{2, 1, 4, 3, 5};
  EXPECT_NEAR(spearman(a, b), 1 - 6.0 * 4 / (5 * 24), 1e-12);
  // scipy.stats.spearmanr([1, 2, 2, 3], [10, 10, 20, 30]) = 0.8333333333333334
  EXPECT_NEAR(spearman(std::vector<double>{1, 2, 2, 3}, std::vector<double>{10, 10, 20, 30}),
              0.8333333333333334, 1e-12);
  EXPECT_TRUE(std::isnan(spearman(std::vector<double>{1, 1}, std::vector<double>{1, 2})));
  EXPECT_TRUE(std::isnan(spearman(std::vector<double>{1}, std::vector<double>{1})));
}

TEST(TruthSums, MetricsEqualTheirDefinitions) {
  const int64_t clusters = 7;
  TruthSums sums(clusters);
  std::vector<std::vector<double>> p(7), t(7);
  std::vector<double> all_p, all_t;
  for (uint64_t i = 0; i < 1000; ++i) {
    Rng rng(31, Stream::test, i);
    // Cluster 6 gets fewer than 20 touches.
    const int64_t k = i < 10 ? 6 : static_cast<int64_t>(rng.below(6));
    const double truth = 0.02 * static_cast<double>(k) + 0.01 * rng.normal();
    const double predicted = 0.8 * truth + 0.005 * rng.normal();
    sums.add(k, predicted, truth);
    p[static_cast<size_t>(k)].push_back(predicted);
    t[static_cast<size_t>(k)].push_back(truth);
    all_p.push_back(predicted);
    all_t.push_back(truth);
  }
  const auto mean = [](const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum / static_cast<double>(values.size());
  };
  const double mp = mean(all_p), mt = mean(all_t);
  double error = 0, var_t = 0, var_p = 0, cov = 0;
  for (size_t i = 0; i < all_p.size(); ++i) {
    error += (all_p[i] - all_t[i]) * (all_p[i] - all_t[i]);
    var_t += (all_t[i] - mt) * (all_t[i] - mt);
    var_p += (all_p[i] - mp) * (all_p[i] - mp);
    cov += (all_p[i] - mp) * (all_t[i] - mt);
  }
  double squares = 0, difference = 0;
  for (size_t k = 0; k < 6; ++k) {
    const double d = mean(p[k]) - mean(t[k]);
    squares += d * d;
    difference += d;
  }
  const std::vector<double> reverse{6, 5, 4, 3, 2, 1, 0};
  const auto result = sums.finish(reverse, {});
  EXPECT_EQ(result.clusters, 6);
  EXPECT_NEAR(*result.pehe.value, std::sqrt(squares / 6), 1e-10);
  EXPECT_NEAR(*result.ate_error.value, difference / 6, 1e-10);
  EXPECT_EQ(*result.cluster_spearman.value, 1);
  EXPECT_NEAR(*result.touch_rmse.value, std::sqrt(error / 1000), 1e-10);
  EXPECT_NEAR(*result.touch_sd.value, std::sqrt(var_t / 1000), 1e-10);
  EXPECT_NEAR(*result.slope.value, cov / var_p, 1e-8);
  EXPECT_NEAR(*result.ratio.value, mp / mt, 1e-9);
  EXPECT_GT(*result.oracle_auuc_05.value, 0.95);
  EXPECT_LT(*result.backdoor_auuc_05.value, 0.05);
  EXPECT_FALSE(result.coverage95.value);
}

TEST(TruthSums, CoverageCountsIntervalsThatHoldTheMeanOfTheSameTouches) {
  TruthSums sums(4);
  for (int64_t k = 0; k < 4; ++k) {
    for (int i = 0; i < (k == 3 ? 5 : 30); ++i) sums.add_ett(k, 0.1);
  }
  const MeanEstimate holds{0.11, 0.01, 30, 30}, misses{0.2, 0.01, 30, 30};
  const std::vector<MeanEstimate> estimates{holds, misses, holds, misses};
  const auto result = sums.finish({}, estimates);
  EXPECT_NEAR(*result.coverage95.value, 2.0 / 3, 1e-12);
  EXPECT_NEAR(*result.ci95_width_median.value, 2 * 1.96 * 0.01, 1e-12);
  sums.add_ett(0, NAN);
  EXPECT_FALSE(sums.finish({}, estimates).coverage95.value);
}

TEST(TruthSums, AJourneyOfWeightThreeCountsLikeThreeJourneys) {
  TruthSums weighted(2), repeated(2);
  for (uint64_t i = 0; i < 200; ++i) {
    Rng rng(37, Stream::test, i);
    const int64_t k = static_cast<int64_t>(rng.below(2));
    const int copies = 1 + static_cast<int>(rng.below(3));
    const double truth = rng.normal(), predicted = truth + 0.1 * rng.normal();
    weighted.add(k, predicted, truth, copies);
    weighted.add_ett(k, truth, copies);
    for (int copy = 0; copy < copies; ++copy) repeated.add(k, predicted, truth);
    for (int copy = 0; copy < copies; ++copy) repeated.add_ett(k, truth);
  }
  const auto one = weighted.finish({}, {}), other = repeated.finish({}, {});
  EXPECT_NEAR(*one.touch_rmse.value, *other.touch_rmse.value, 1e-10);
  EXPECT_NEAR(*one.slope.value, *other.slope.value, 1e-10);
  EXPECT_NEAR(*one.pehe.value, *other.pehe.value, 1e-10);
  for (int64_t k = 0; k < 2; ++k) {
    EXPECT_NEAR(weighted.mean_ett(k), repeated.mean_ett(k), 1e-10);
  }
}

TEST(TruthSums, ATouchOfUnknownTruthIsLeftOut) {
  TruthSums sums(1);
  for (int i = 0; i < 30; ++i) sums.add(0, 0.5, i % 2 ? 0.25 : 0.75);
  sums.add(0, 0.5, NAN);
  const auto result = sums.finish({}, {});
  EXPECT_EQ(result.touches, 30);
  EXPECT_NEAR(*result.touch_rmse.value, 0.25, 1e-10);
}

TEST(TruthSums, NothingHeldOutIsNullNotACrash) {
  const auto json = to_json(TruthSums(3).finish({}, {}));
  for (const char* key : {"pehe", "ate_error", "cluster_spearman", "touch_rmse", "touch_sd",
                          "slope", "ratio", "oracle_auuc_05", "backdoor_auuc_05", "coverage95"}) {
    EXPECT_TRUE(json[key].is_null()) << key;
    EXPECT_TRUE(json.contains(std::string(key) + "_why")) << key;
  }
}

}  // namespace
}  // namespace alm
