#include "engine/estimate/prediction.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

#include "kernels/base/rng.h"
#include "tests/engine/estimate/thread_world.h"

namespace alm {
namespace {

struct Scored {
  uint64_t user;
  float score, outcome, weight;
};

std::vector<Scored> some_scores(int64_t n, bool ties, uint64_t users = 50) {
  std::vector<Scored> rows;
  for (int64_t i = 0; i < n; ++i) {
    Rng rng(9, Stream::test, static_cast<uint64_t>(i));
    float score = static_cast<float>(1 / (1 + std::exp(-1.2 * rng.normal())));
    if (ties) score = std::round(score * 8) / 8;
    rows.push_back({rng.below(users), score, rng.bernoulli(score) ? 1.0f : 0.0f,
                    static_cast<float>(0.5 + rng.uniform())});
  }
  return rows;
}

double auc_of_pairs(const std::vector<Scored>& rows) {
  double good = 0, all = 0;
  for (const auto& p : rows) {
    for (const auto& n : rows) {
      if (p.outcome != 1 || n.outcome != 0) continue;
      const double w = double(p.weight) * double(n.weight);
      all += w;
      good += p.score > n.score ? w : p.score == n.score ? 0.5 * w : 0;
    }
  }
  return good / all;
}

TEST(OrderedBits, KeepTheOrderOfFloats) {
  const std::vector<float> values{-INFINITY, -3e38f, -1, -1e-30f, 0, 1e-40f, 1e-3f, 1, 2, INFINITY};
  for (size_t i = 1; i < values.size(); ++i) {
    EXPECT_LT(ordered_bits(values[i - 1]), ordered_bits(values[i]));
  }
  EXPECT_EQ(ordered_bits(-0.0f), ordered_bits(0.0f));
}

TEST(PredictionSums, BinsIncreaseWithTheProbability) {
  int64_t before = -1;
  for (const float p : {0.0f, 1e-12f, 1e-6f, 0.001f, 0.25f, 0.2502f, 0.5f, 0.9999f, 1.0f}) {
    EXPECT_GE(PredictionSums::bin(p), before);
    before = PredictionSums::bin(p);
  }
  EXPECT_GT(PredictionSums::bin(0.2502f), PredictionSums::bin(0.25f));
  EXPECT_EQ(before, PredictionSums::kBins - 1);
}

TEST(PredictionSums, AucIsWithinItsBoundOfAllPairs) {
  for (const bool ties : {false, true}) {
    const auto rows = some_scores(1499, ties);
    PredictionSums sums;
    for (const auto& row : rows) sums.add(row.score, row.outcome, row.weight);
    const auto result = sums.finish();
    const double exact = auc_of_pairs(rows);
    EXPECT_LE(std::fabs(*result.auc.value - exact), result.auc_error_bound + 1e-12);
    EXPECT_NEAR(*result.auc.value, exact, ties ? 1e-12 : 1e-4);
  }
}

TEST(PredictionSums, AucIsExactOnAnyRanksWhereScoresAreKept) {
  const auto rows = some_scores(1499, false);
  const double exact = auc_of_pairs(rows);
  auto plain = rows;
  for (Scored& row : plain) row.weight = 1;
  for (const bool weighted : {false, true}) {
    std::vector<double> got;
    for (const int64_t ranks : {1, 2, 3}) {
      ThreadWorld(ranks).run([&](Communicator& comm) {
        PredictionSums mine(1499), other(1499);
        for (size_t i = 0; i < rows.size(); ++i) {
          if (static_cast<int64_t>(i) % comm.size() != comm.rank()) continue;
          (i % 5 == 0 ? other : mine)
              .add(rows[i].score, rows[i].outcome, weighted ? rows[i].weight : 1);
        }
        mine.merge(std::move(other));
        mine.reduce(comm, "test");
        const auto result = mine.finish();
        if (comm.rank() != 0) return;
        EXPECT_EQ(result.auc_error_bound, 0);
        got.push_back(*result.auc.value);
      });
    }
    EXPECT_EQ(got[0], got[1]);
    EXPECT_EQ(got[0], got[2]);
    const double wanted = weighted ? exact : auc_of_pairs(plain);
    EXPECT_NEAR(got[0], wanted, 1e-9);  // weights are rounded to 2^-44
  }
}

TEST(PredictionSums, LossesEqualTheirDefinitions) {
  const auto rows = some_scores(1201, false);
  PredictionSums sums;
  double loss = 0, weight = 0, positives = 0, predicted = 0;
  for (const auto& row : rows) {
    sums.add(row.score, row.outcome, row.weight);
    const double p = row.score;
    loss -= row.weight * (row.outcome == 1 ? std::log(p) : std::log(1 - p));
    weight += row.weight;
    positives += row.weight * row.outcome;
    predicted += row.weight * p;
  }
  const auto result = sums.finish();
  const double rate = positives / weight;
  const double base = -(rate * std::log(rate) + (1 - rate) * std::log(1 - rate));
  EXPECT_NEAR(*result.logloss.value, loss / weight, 1e-11);
  EXPECT_NEAR(*result.rig.value, 1 - loss / weight / base, 1e-11);
  EXPECT_NEAR(*result.pcoc.value, predicted / positives, 1e-11);
}

TEST(PredictionSums, CalibrationBinsHaveEqualMassAndAddUp) {
  const auto rows = some_scores(20011, false);
  PredictionSums sums;
  for (const auto& row : rows) sums.add(row.score, row.outcome);
  const auto result = sums.finish();
  ASSERT_EQ(result.calibration.size(), size_t{20});
  double mass = 0, ece = 0;
  for (const auto& point : result.calibration) {
    mass += point.samples;
    ece += point.samples * std::fabs(point.predicted - point.observed) / 20011;
    EXPECT_NEAR(point.samples, 20011 / 20.0, 40);
    EXPECT_NEAR(point.predicted, point.observed, 5 * 0.5 / std::sqrt(point.samples));
  }
  EXPECT_EQ(mass, 20011);
  EXPECT_NEAR(*result.ece.value, ece, 1e-12);

  PredictionSums wrong;  // everything said 0.1 too high
  for (const auto& row : rows) wrong.add(std::min(row.score + 0.1f, 1.0f), row.outcome);
  EXPECT_NEAR(*wrong.finish().ece.value, 0.1, 0.02);
}

TEST(PredictionSums, UndefinedValuesAreNullWithAReason) {
  PredictionSums none;
  EXPECT_FALSE(none.finish().auc.value);
  PredictionSums one_class;
  one_class.add(0.3f, 0);
  const auto json = to_json(one_class.finish());
  for (const char* key : {"auc", "rig", "pcoc"}) {
    EXPECT_TRUE(json[key].is_null()) << key;
    EXPECT_FALSE(json[std::string(key) + "_why"].get<std::string>().empty());
  }
  EXPECT_TRUE(json["logloss"].is_number());
}

TEST(PredictionSums, ProbabilitiesOfZeroAndOneDoNotBreakTheLoss) {
  PredictionSums sums;
  sums.add(0.0f, 1);
  sums.add(1.0f, 0);
  const auto result = sums.finish();
  EXPECT_TRUE(std::isfinite(*result.logloss.value));
  EXPECT_EQ(*result.auc.value, 0);
}

TEST(RegressionSums, RmseAndR2OfLargeOutcomes) {
  RegressionSums sums(1e6);
  double squares = 0, mean = 0, variance = 0;
  std::vector<double> y, p;
  for (uint64_t i = 0; i < 997; ++i) {
    Rng rng(2, Stream::test, i);
    y.push_back(1e6 + rng.normal());
    p.push_back(y.back() + 0.5 * rng.normal());
    sums.add(p.back(), y.back());
    mean += y.back() / 997;
  }
  for (size_t i = 0; i < y.size(); ++i) {
    squares += (y[i] - p[i]) * (y[i] - p[i]);
    variance += (y[i] - mean) * (y[i] - mean);
  }
  const auto result = sums.finish();
  EXPECT_NEAR(*result.rmse.value, std::sqrt(squares / 997), 1e-9);
  EXPECT_NEAR(*result.r2.value, 1 - squares / variance, 1e-9);
}

TEST(GaucRows, EqualsTheWeightedMeanOfUserAucsOnAnyRanks) {
  const auto rows = some_scores(900, true, 60);
  double sum = 0, scored = 0, all = 0;
  std::map<uint64_t, std::vector<Scored>> by_user;
  for (const auto& row : rows) by_user[row.user].push_back(row);
  for (const auto& [user, mine] : by_user) {
    double weight = 0;
    for (const auto& row : mine) weight += row.weight;
    all += weight;
    const double auc = auc_of_pairs(mine);
    if (std::isnan(auc)) continue;
    sum += weight * auc;
    scored += weight;
  }
  std::vector<Gauc> results;
  for (const int64_t ranks : {1, 2, 3, 5}) {
    Gauc result;
    ThreadWorld(ranks).run([&](Communicator& comm) {
      GaucRows mine(900);
      for (size_t i = rows.size(); i-- > 0;) {
        if (static_cast<int64_t>(i * i) % comm.size() != comm.rank()) continue;
        mine.add(rows[i].user, rows[i].score, rows[i].outcome, rows[i].weight);
      }
      const auto gauc = mine.finish(comm, "test");
      if (comm.rank() == 0) result = gauc;
    });
    EXPECT_NEAR(*result.gauc.value, sum / scored, 1e-9);
    EXPECT_NEAR(result.coverage, scored / all, 1e-9);
    results.push_back(result);
    EXPECT_EQ(*results.front().gauc.value, *result.gauc.value);
    EXPECT_EQ(results.front().users_scored, result.users_scored);
  }
}

TEST(GaucRows, KeepsAShareOfUsersWhenThereAreTooMany) {
  GaucRows rows(GaucRows::kRowsKept * 4);
  for (uint64_t user = 0; user < 4000; ++user) {
    rows.add(user, 0.2f, 0);
    rows.add(user, 0.7f, 1);
  }
  const auto comm = make_self_communicator();
  const auto result = rows.finish(*comm, "test");
  EXPECT_EQ(result.user_share, 0.25);
  EXPECT_NEAR(static_cast<double>(result.users_scored), 1000, 4 * std::sqrt(750.0));
  EXPECT_EQ(*result.gauc.value, 1);
}

// Users of many rows; negatives of high score are kept at another rate than the others, so that the
// order within users changes where the weights are left out.
TEST(GaucRows, OfASampleWithWeightsIsThatOfAllRowsAndAnotherWithout) {
  const auto all = some_scores(30000, false, 300);
  const auto comm = make_self_communicator();
  const auto gauc = [&](const std::vector<Scored>& rows) {
    GaucRows sums(30000);
    for (const auto& row : rows) sums.add(row.user, row.score, row.outcome, row.weight);
    return *sums.finish(*comm, "test").gauc.value;
  };
  const double whole = gauc(all);
  constexpr int kSamples = 12;
  double sum = 0, squares = 0, sum_bare = 0;
  for (uint64_t number = 0; number < kSamples; ++number) {
    std::vector<Scored> sample, bare;
    for (size_t i = 0; i < all.size(); ++i) {
      const float rate = all[i].outcome == 1 ? 1 : all[i].score > 0.5f ? 0.15f : 0.4f;
      if (!Rng(number + 100, Stream::test, i).bernoulli(rate)) continue;
      bare.push_back(all[i]);
      sample.push_back(all[i]);
      sample.back().weight /= rate;
    }
    const double difference = gauc(sample) - whole;
    sum += difference;
    squares += difference * difference;
    sum_bare += gauc(bare) - whole;
  }
  const double mean = sum / kSamples;
  const double error = std::sqrt((squares / kSamples - mean * mean) / (kSamples - 1));
  EXPECT_LT(std::fabs(mean), 4 * error);
  EXPECT_GT(std::fabs(sum_bare / kSamples), 4 * error);
}

TEST(RegressionSums, ARowOfWeightThreeIsThreeRows) {
  RegressionSums weighted(1), copied(1), bare(1);
  for (uint64_t i = 0; i < 50; ++i) {
    Rng rng(5, Stream::test, i);
    const double y = rng.normal() * (i % 2 == 0 ? 1 : 3), p = 0.5 * y + 0.3 * rng.normal();
    weighted.add(p, y, i % 2 == 0 ? 3 : 1);
    bare.add(p, y);
    for (int copy = 0; copy < (i % 2 == 0 ? 3 : 1); ++copy) copied.add(p, y);
  }
  EXPECT_DOUBLE_EQ(*weighted.finish().rmse.value, *copied.finish().rmse.value);
  EXPECT_DOUBLE_EQ(*weighted.finish().r2.value, *copied.finish().r2.value);
  EXPECT_GT(std::fabs(*bare.finish().rmse.value - *copied.finish().rmse.value), 0.05);
  EXPECT_GT(std::fabs(*bare.finish().r2.value - *copied.finish().r2.value), 0.005);
}

}  // namespace
}  // namespace alm
