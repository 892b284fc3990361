#include "engine/estimate/score_agreement.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace alm {
namespace {

io::Json scores_of(const std::function<double(int64_t)>& value, bool law = true) {
  io::Json scores = io::Json::array();
  for (int64_t k = 0; k < 30; ++k) {
    io::Json score{{"cluster", k}, {"touches", k == 7 ? 5 : 20 + k}, {"paper", value(k)}};
    score["do"] = nullptr;
    if (law) score["do"] = {{"plugin", value(k)}};
    scores.push_back(score);
  }
  return scores;
}

double plain(int64_t k) {
  return 0.01 * static_cast<double>(k);
}

TEST(ScoreAgreement, IsOfRanksAndMeans) {
  const io::Json mine = scores_of(plain);
  const ScoreAgreement same = score_agreement(mine, mine);
  EXPECT_EQ(same.clusters, 29) << "a cluster of five touches does not count";
  EXPECT_NEAR(same.spearman, 1, 1e-12);
  EXPECT_NEAR(same.ratio, 1, 1e-12);
  EXPECT_EQ(verdict_of(same), Verdict::pass);
  // Twice as large in the same order; the other way round.
  const ScoreAgreement twice =
      score_agreement(mine, scores_of([](int64_t k) { return 2 * plain(k); }, false));
  EXPECT_NEAR(twice.spearman, 1, 1e-12);
  EXPECT_NEAR(twice.ratio, 2, 1e-12);
  EXPECT_EQ(verdict_of(twice), Verdict::warn);
  const ScoreAgreement turned =
      score_agreement(mine, scores_of([](int64_t k) { return -plain(k); }));
  EXPECT_NEAR(turned.spearman, -1, 1e-12);
  EXPECT_EQ(verdict_of(turned), Verdict::fail);
}

TEST(ScoreAgreement, BarsAreTheWorseOfRankAndSize) {
  EXPECT_EQ(verdict_of(ScoreAgreement{100, 0.9, 0.8}), Verdict::pass);
  EXPECT_EQ(verdict_of(ScoreAgreement{100, 0.9, 0.79}), Verdict::warn);
  EXPECT_EQ(verdict_of(ScoreAgreement{100, 0.89, 1}), Verdict::warn);
  EXPECT_EQ(verdict_of(ScoreAgreement{100, 0.7, 2}), Verdict::warn);
  EXPECT_EQ(verdict_of(ScoreAgreement{100, 0.69, 1}), Verdict::fail);
  EXPECT_EQ(verdict_of(ScoreAgreement{100, 0.95, 2.01}), Verdict::fail);
  EXPECT_EQ(verdict_of(ScoreAgreement{100, 0.95, -1}), Verdict::fail);
  EXPECT_EQ(verdict_of(ScoreAgreement{1, NAN, NAN}), Verdict::fail);
}

TEST(SweepResult, TellsOfTheLeastAlike) {
  const io::Json mine = scores_of(plain);
  const ScoreVariant alike{"V1", scores_of([](int64_t k) { return 1.1 * plain(k); })};
  const ScoreVariant other{"V2", scores_of([](int64_t k) { return plain(29 - k); })};
  for (const auto& variants : {std::vector{alike, other}, std::vector{other, alike}}) {
    const io::Json made = sweep_result(Control::dropped_proxy, mine, variants);
    EXPECT_EQ(made.at("control"), "dropped_proxy");
    EXPECT_EQ(made.at("verdict"), "fail");
    EXPECT_NE(made.at("sentence").get<std::string>().find("without proxy V2"), std::string::npos);
    EXPECT_EQ(made.at("fits").size(), 2u);
  }
  const io::Json passes = sweep_result(Control::adversary_weight, mine, {{"0.5", mine}});
  EXPECT_EQ(passes.at("verdict"), "pass");
  EXPECT_NE(passes.at("sentence").get<std::string>().find("weight of 0.5"), std::string::npos);
}

}  // namespace
}  // namespace alm
