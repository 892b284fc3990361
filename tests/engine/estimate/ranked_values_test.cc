#include "engine/estimate/ranked_values.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/estimate/policy.h"
#include "kernels/base/rng.h"
#include "tests/reference/rate_by_definition.h"
#include "thread_world.h"

namespace alm {
namespace {

struct Rows {
  std::vector<float> score;
  std::vector<double> value;
  std::vector<double> weight;
};

// Scores on a grid that no bin joins: `distinct` powers of two and their negatives.
Rows rows_of(size_t n, uint64_t distinct, uint64_t seed) {
  Rows rows;
  for (size_t i = 0; i < n; ++i) {
    Rng rng(seed, Stream::test, i);
    const double level = static_cast<double>(rng.below(distinct));
    rows.score.push_back(static_cast<float>(std::exp2(level / 8) * (rng.bernoulli(0.5) ? 1 : -1)));
    rows.value.push_back(0.2 * level * (rows.score.back() > 0) + rng.normal());
    rows.weight.push_back(1 + static_cast<double>(rng.below(3)));
  }
  return rows;
}

RankedValues filled(const Rows& rows, bool weighted, size_t first = 0, size_t step = 1) {
  RankedValues values;
  for (size_t i = first; i < rows.score.size(); i += step) {
    values.add(rows.score[i], i / 2, rows.value[i], weighted ? rows.weight[i] : 1);
  }
  return values;
}

TEST(RankedValues, BinsIncreaseWithTheScore) {
  int64_t last = -1;
  for (const float score : {-1e30f, -2.0f, -1.0f, -1e-20f, 0.0f, 1e-20f, 0.5f, 1.0f, 1.1f, 1e30f}) {
    EXPECT_GT(RankedValues::bin(score), last) << score;
    last = RankedValues::bin(score);
  }
  EXPECT_EQ(RankedValues::bin(-0.0f), RankedValues::bin(0.0f));
  EXPECT_LT(RankedValues::bin(INFINITY), RankedValues::kBins);
}

TEST(Rate, EqualsTheDefinition) {
  for (const auto& [n, distinct] :
       {std::pair<size_t, uint64_t>{1, 3}, {2, 5}, {97, 1}, {211, 40}}) {
    const Rows rows = rows_of(n, distinct, n);
    const std::vector<double> priority(rows.score.begin(), rows.score.end());
    const auto wanted = reference::rate_by_definition(priority, rows.value);
    const auto got = rates(ranked_ties(filled(rows, false).values()), static_cast<double>(n))[0];
    EXPECT_NEAR(got.autoc, wanted.autoc, 1e-11) << n;
    EXPECT_NEAR(got.qini, wanted.qini, 1e-11) << n;
  }
}

TEST(Rate, WholeWeightsCountAsRepeatedRows) {
  const Rows rows = rows_of(150, 20, 3);
  Rows repeated;
  double count = 0;
  for (size_t i = 0; i < rows.score.size(); ++i) {
    for (double times = 0; times < rows.weight[i]; ++times, ++count) {
      repeated.score.push_back(rows.score[i]);
      repeated.value.push_back(rows.value[i]);
    }
  }
  const std::vector<double> priority(repeated.score.begin(), repeated.score.end());
  const auto wanted = reference::rate_by_definition(priority, repeated.value);
  const auto got = rates(ranked_ties(filled(rows, true).values()), count)[0];
  EXPECT_NEAR(got.autoc, wanted.autoc, 1e-11);
  EXPECT_NEAR(got.qini, wanted.qini, 1e-11);
}

TEST(Rate, OfAUselessRankingIsWithinItsErrorOfZeroAndOfAUsefulOneAbove) {
  int64_t outside = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Rows rows = rows_of(2000, 24, 100 + seed);
    for (size_t i = 0; i < rows.value.size(); ++i) {
      rows.value[i] = Rng(seed, Stream::test, i).normal();
    }
    Choice choice;
    choice.values = {ranked_ties(filled(rows, false).values())};
    const io::Json json = rate_json(choice, nullptr, 2000);
    const double value = json["autoc"]["value"], se = json["autoc"]["se"];
    outside += std::fabs(value) > 1.96 * se;
  }
  EXPECT_LE(outside, 6);  // of 40, 2 wanted
  Choice useful;
  useful.values = {ranked_ties(filled(rows_of(2000, 24, 9), false).values())};
  EXPECT_GT(rate_json(useful, nullptr, 2000)["autoc"]["ci95"][0].get<double>(), 0);
}

TEST(Top, EqualsSortingTheRows) {
  const Rows rows = rows_of(500, 30, 5);
  const RankedTies ties = ranked_ties(filled(rows, true).values());
  for (const double share : {0.0, 0.01, 0.2, 0.5, 1.0}) {
    double all = 0;
    for (const double weight : rows.weight) all += weight;
    std::vector<size_t> order(rows.score.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return rows.score[a] > rows.score[b]; });
    // Of the ties at the edge each counts in part.
    double sum = 0, used = 0;
    for (size_t i = 0; i < order.size();) {
      size_t end = i;
      double w = 0, s = 0;
      for (; end < order.size() && rows.score[order[end]] == rows.score[order[i]]; ++end) {
        w += rows.weight[order[end]];
        s += rows.weight[order[end]] * rows.value[order[end]];
      }
      const double part = std::clamp((share * all - used) / w, 0.0, 1.0);
      sum += part * s;
      used += part * w;
      i = end;
    }
    const Weighted got = top(ties, share)[0];
    EXPECT_NEAR(got.weight, share * all, 1e-9);
    EXPECT_NEAR(got.sum, sum, 1e-9);
  }
}

TEST(Policy, IntervalsHoldTheTrueValueOfTheChoice) {
  int64_t held = 0;
  const int64_t sets = 100;
  for (uint64_t set = 0; set < sets; ++set) {
    RankedValues values;
    for (uint64_t user = 0; user < 1500; ++user) {
      Rng rng(500 + set, Stream::test, user);
      const double liking = 0.3 * rng.normal();  // rows of a user go together
      for (int row = 0; row < 2; ++row) {
        // Effect: the level of the score.
        const double level = static_cast<double>(rng.below(5));
        values.add(static_cast<float>(std::exp2(level)), user, level + liking + rng.normal(), 1);
        values.add_truth(static_cast<float>(std::exp2(level)), level, level, 1);
      }
    }
    Choice model;
    model.name = "model";
    model.values = {ranked_ties(values.values())};
    model.true_do = {ranked_ties(values.true_do())};
    model.true_ett = {ranked_ties(values.true_ett())};
    const io::Json row = policy_json(std::vector<Choice>{model})[3];
    const double truth = row["truth"]["model"]["do"];
    EXPECT_NEAR(truth, 4000, 1e-6);
    held += row["ci95"]["model"][0] <= truth && truth <= row["ci95"]["model"][1];
  }
  EXPECT_GE(held, 88);
  EXPECT_LE(held, 99);
}

TEST(Policy, ValuesAreTheSameOnAnyRanks) {
  const Rows rows = rows_of(701, 50, 8);
  const auto json_of = [](const RankedValues& values) {
    Choice model;
    model.name = "model";
    model.values = {ranked_ties(values.values())};
    return policy_json(std::vector<Choice>{model});
  };
  const io::Json wanted = json_of(filled(rows, true));
  ASSERT_EQ(wanted.size(), size_t{5});
  for (const size_t ranks : {1, 2, 3}) {
    ThreadWorld world(static_cast<int64_t>(ranks));
    world.run([&](Communicator& comm) {
      RankedValues mine = filled(rows, true, static_cast<size_t>(comm.rank()), ranks);
      mine.reduce(comm, "test");
      EXPECT_EQ(json_of(mine), wanted) << ranks;
    });
  }
}

TEST(Policy, EachPoolGivesItsShareAndDifferencesAreOfPairedReplicates) {
  const Rows one = rows_of(400, 30, 11), two = rows_of(300, 30, 12);
  Choice pools;
  pools.name = "model";
  pools.values = {ranked_ties(filled(one, false).values()),
                  ranked_ties(filled(two, false).values())};
  Choice same = pools;
  same.name = "other";
  Choice missing;
  missing.name = "backdoor";
  missing.why = "none was fitted";
  const io::Json rows = policy_json(std::vector<Choice>{pools, same, missing});
  const io::Json& row = rows[4];
  const double wanted =
      1000 * (top(pools.values[0], 0.2)[0].sum + top(pools.values[1], 0.2)[0].sum) / (0.2 * 700);
  EXPECT_NEAR(row["model"].get<double>(), wanted, 1e-9);
  EXPECT_NEAR(row["exposures"].get<double>(), 140, 1e-9);
  EXPECT_EQ(row["above"]["other"], 0);
  EXPECT_EQ(row["above"]["ci95"]["other"], io::Json({0.0, 0.0}));
  EXPECT_TRUE(row["backdoor"].is_null());
  EXPECT_EQ(row["backdoor_why"], "none was fitted");
  double mean = 0;
  for (const double value : one.value) mean += value / 700;
  for (const double value : two.value) mean += value / 700;
  EXPECT_NEAR(row["random"].get<double>(), 1000 * mean, 1e-7);
}

}  // namespace
}  // namespace alm
