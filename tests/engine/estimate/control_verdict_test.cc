#include "engine/estimate/control_verdict.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/base/check.h"
#include "kernels/base/rng.h"

namespace alm {
namespace {

io::Json effects_of(const std::vector<double>& z, double se = 0.02) {
  io::Json effects = io::Json::array();
  for (const double one : z) effects.push_back({{"ett", {{"one_step", one * se}, {"se", se}}}});
  return effects;
}

// n values of a normal law at its quantiles, so that no draw is involved.
std::vector<double> normal(int64_t n, double mean, double sd) {
  std::vector<double> z;
  for (int64_t i = 0; i < n; ++i) {
    const double wanted = (static_cast<double>(i) + 0.5) / static_cast<double>(n);
    double low = -9, high = 9;
    for (int step = 0; step < 60; ++step) {
      const double middle = (low + high) / 2;
      (0.5 * std::erfc(-middle / std::sqrt(2.0)) < wanted ? low : high) = middle;
    }
    z.push_back(mean + sd * low);
  }
  return z;
}

Verdict verdict(const std::vector<double>& z) {
  return verdict_of(control_score(effects_of(z)));
}

TEST(ControlScore, CountsClustersWithAnErrorOnly) {
  io::Json effects = effects_of({0.5, -2.5, 1.9});
  effects.push_back({{"ett", {{"one_step", 0.3}, {"se", nullptr}}}});
  effects.push_back({{"ett", {{"one_step", nullptr}, {"se", nullptr}}}});
  const ControlScore score = control_score(effects);
  EXPECT_EQ(score.clusters, 3);
  EXPECT_EQ(score.outside, 1);
  EXPECT_NEAR(score.mean_z, -0.1 / 3, 1e-12);
  EXPECT_NEAR(score.share_within(), 2.0 / 3, 1e-12);
}

// Fair coins of .1: the mean of few is skewed, and its z leans below 0 though nothing is off. The
// ratio of means does not.
TEST(ControlScore, TheRatioOfMeansDoesNotLeanWithSkewedValues) {
  Rng random(5, Stream::test, 0);
  io::Json effects = io::Json::array();
  constexpr int64_t kClusters = 4000, kTouches = 150;
  for (int64_t cluster = 0; cluster < kClusters; ++cluster) {
    double ones = 0;
    for (int64_t touch = 0; touch < kTouches; ++touch) ones += random.uniform() < 0.1;
    const double mean = ones / kTouches;
    effects.push_back(
        {{"ett", {{"one_step", mean - 0.1}, {"se", std::sqrt(mean * (1 - mean) / kTouches)}}}});
  }
  const ControlScore score = control_score(effects);
  const double chance = 1 / std::sqrt(double{kClusters});
  EXPECT_LT(score.mean_z, -4 * chance);
  EXPECT_NEAR(score.mean_over_error, 0, 3 * chance);
}

TEST(ControlVerdict, OfSoundErrorsPasses) {
  for (const int64_t n : {10, 100, 1000, 20000}) {
    EXPECT_EQ(verdict(normal(n, 0, 1)), Verdict::pass) << n;
  }
}

TEST(ControlVerdict, BarsAreThoseOfTheContractWhereChanceIsSmall) {
  const int64_t n = 100000;
  EXPECT_EQ(verdict(normal(n, 0.19, 1)), Verdict::pass);
  EXPECT_EQ(verdict(normal(n, 0.21, 1)), Verdict::fail);
  EXPECT_EQ(verdict(normal(n, -0.21, 1)), Verdict::fail);
  // 1.96 / sd is the quantile of the bar: .92 inside at sd 1.1196, .98 at .8425.
  EXPECT_EQ(verdict(normal(n, 0, 1.115)), Verdict::pass);
  EXPECT_EQ(verdict(normal(n, 0, 1.125)), Verdict::fail);
  EXPECT_EQ(verdict(normal(n, 0, 0.847)), Verdict::pass);
  EXPECT_EQ(verdict(normal(n, 0, 0.838)), Verdict::warn) << "errors too large do not mislead";
}

TEST(ControlVerdict, OfFewClustersAllowsForChance) {
  EXPECT_EQ(verdict({2.2}), Verdict::warn);
  EXPECT_EQ(verdict({4.0}), Verdict::fail);
  EXPECT_EQ(verdict({1.5}), Verdict::pass);
  std::vector<double> z = normal(100, 0, 0.9);
  for (int at = 0; at < 4; ++at) z[static_cast<size_t>(49 + at % 2)] = at % 2 == 0 ? -2.3 : 2.3;
  EXPECT_EQ(verdict(z), Verdict::pass);
  EXPECT_EQ(verdict(normal(100, 0, 1.2)), Verdict::warn);
  EXPECT_EQ(verdict(normal(100, 0, 1.6)), Verdict::fail);
  EXPECT_EQ(verdict(normal(100, 0.25, 1)), Verdict::warn);
  EXPECT_EQ(verdict(normal(100, 0.5, 1)), Verdict::fail);
}

TEST(ControlVerdict, ChancesAreThoseOfABinomialByEnumeration) {
  const int64_t n = 12;
  std::vector<double> exactly(static_cast<size_t>(n) + 1);
  for (int64_t code = 0; code < (1 << n); ++code) {
    double chance = 1;
    int64_t outside = 0;
    for (int64_t at = 0; at < n; ++at) {
      const bool out = (code >> at) & 1;
      outside += out;
      chance *= out ? 0.05 : 0.95;
    }
    exactly[static_cast<size_t>(outside)] += chance;
  }
  for (int64_t k = 0; k <= n; ++k) {
    double least = 0, most = 0;
    for (int64_t i = 0; i <= n; ++i) {
      if (i >= k) least += exactly[static_cast<size_t>(i)];
      if (i <= k) most += exactly[static_cast<size_t>(i)];
    }
    EXPECT_NEAR(chance_of_at_least(k, n), least, 1e-12);
    EXPECT_NEAR(chance_of_at_most(k, n), most, 1e-12);
  }
}

TEST(ControlResult, SaysWhatItFoundAndIsNoPassWhereLittleMoved) {
  const io::Json effects = effects_of(normal(100, 0, 1));
  const io::Json moved = control_result(Control::shuffled_mediator, effects, {1000, 999});
  EXPECT_EQ(moved.at("verdict"), "pass");
  EXPECT_EQ(moved.at("clusters"), 100);
  EXPECT_EQ(moved.at("sentence"),
            "With mediators shuffled within cluster and stratum of context the effects vanish, as "
            "they must: 96 of 100 within 1.96 standard errors of 0, mean z -0.00");
  const io::Json stuck = control_result(Control::shuffled_mediator, effects, {1000, 900});
  EXPECT_EQ(stuck.at("verdict"), "warn");
  EXPECT_NE(stuck.at("sentence").get<std::string>().find("only 90 % of the touches"),
            std::string::npos);
  EXPECT_EQ(control_result(Control::future_touches, effects, {1000, 500}).at("verdict"), "pass");
  const io::Json none = control_result(Control::shuffled_mediator, effects_of({}), {10, 10});
  EXPECT_TRUE(none.at("verdict").is_null());
  EXPECT_FALSE(none.at("why").get<std::string>().empty());
}

TEST(Controls, FailuresAreWarnedOfOnce) {
  io::Json identification{{"warnings", io::Json::array()}};
  io::Json controls = io::Json::array();
  put_controls(controls, true, identification);
  EXPECT_TRUE(identification.at("negative_controls").is_null());
  EXPECT_TRUE(identification.contains("negative_controls_why"));
  controls.push_back(
      control_result(Control::future_touches, effects_of(normal(100, 1, 1)), {10, 10}));
  EXPECT_TRUE(has_control(controls, control_name(Control::future_touches)));
  EXPECT_FALSE(has_control(controls, control_name(Control::shuffled_mediator)));
  put_controls(controls, true, identification);
  put_controls(controls, true, identification);
  EXPECT_EQ(identification.at("warnings").size(), 1u);
  EXPECT_EQ(identification.at("negative_controls").size(), 1u);
  EXPECT_FALSE(identification.contains("negative_controls_why"));
  // What the estimates put there stays, once; of another log it is all there is.
  const io::Json own{{"control", "randomised_subset"}, {"verdict", "pass"}};
  identification["negative_controls"].push_back(own);
  put_controls(controls, true, identification);
  EXPECT_EQ(identification.at("negative_controls").size(), 2u);
  io::Json other{{"warnings", io::Json::array()}};
  put_controls(controls, false, other);
  EXPECT_TRUE(other.at("negative_controls").is_null());
  other["negative_controls"] = io::Json::array({own});
  put_controls(controls, false, other);
  EXPECT_EQ(other.at("negative_controls"), io::Json::array({own}));
}

TEST(Controls, AreNamedOnTheCommandLineByMode) {
  EXPECT_TRUE(controls_by_name("none", false).empty());
  EXPECT_EQ(controls_by_name("all", false).size(), 3u);
  EXPECT_EQ(controls_by_name("all", true).size(), 2u);
  EXPECT_EQ(controls_by_name("future_touches,shuffled_mediator,future_touches", false).size(), 2u);
  EXPECT_EQ(controls_by_name("dropped_proxy", true).size(), 1u);
  EXPECT_THROW(controls_by_name("dropped_proxy", false), UserError);
  EXPECT_THROW(controls_by_name("future_touches", true), UserError);
  EXPECT_THROW(controls_by_name("shuffled", false), UserError);
  EXPECT_THROW(controls_by_name("", false), UserError);
}

}  // namespace
}  // namespace alm
