#include "engine/estimate/auuc.h"

#include <gtest/gtest.h>

#include <cmath>

#include "io/json.h"
#include "kernels/base/rng.h"
#include "tests/engine/estimate/thread_world.h"
#include "tests/source_dir.h"

namespace alm {
namespace {

std::vector<UpliftRow> rows_of(const io::Json& score, const io::Json& arm,
                               const io::Json& outcome) {
  std::vector<UpliftRow> rows;
  for (size_t i = 0; i < score.size(); ++i) {
    rows.push_back({static_cast<int64_t>(i), i, score[i].get<float>(), outcome[i].get<float>(), 1,
                    arm[i].get<uint32_t>()});
  }
  return rows;
}

std::vector<UpliftRow> some_rows(int64_t n, double ties, double effect = 0.2) {
  std::vector<UpliftRow> rows;
  for (int64_t i = 0; i < n; ++i) {
    Rng rng(21, Stream::test, static_cast<uint64_t>(i));
    const double score = ties > 0 ? std::round(rng.normal() * ties) / ties : rng.normal();
    const bool treated = rng.bernoulli(0.4);
    const double rate = 0.3 + (treated ? effect * std::tanh(score) : 0);
    rows.push_back({i, rng.below(static_cast<uint64_t>(n / 3 + 1)), static_cast<float>(score),
                    rng.bernoulli(rate) ? 1.0f : 0.0f, 1, treated});
  }
  return rows;
}

TEST(UpliftAreas, EqualTheLibrariesOwnFunctions) {
  const auto golden = io::read_json(source_dir() + "/tests/golden/uplift_golden.json");
  int64_t compared = 0;
  for (const auto& c : golden["cases"]) {
    const auto json = to_json(uplift_areas(rows_of(c["score"], c["arm"], c["outcome"])));
    for (const auto& [key, value] : c["expected"].items()) {
      if (key == "auuc_causalml_raw") continue;
      ASSERT_TRUE(json[key].is_number()) << c["name"] << " " << key;
      EXPECT_NEAR(json[key].get<double>(), value.get<double>(),
                  1e-12 * std::max(1.0, std::fabs(value.get<double>())))
          << c["name"] << " " << key;
      ++compared;
    }
  }
  EXPECT_GE(compared, 50);
}

TEST(UpliftAreas, EqualTheVectorsOfTheMethodDocument) {
  const io::Json y = {1, 0, 1, 1, 0, 0, 1, 0, 0, 1, 0, 0};
  const io::Json w = {1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0};
  const io::Json a = {.9, .8, .7, .65, .6, .5, .45, .4, .3, .2, .1, .05};
  const io::Json b = {.9, .9, .7, .7, .6, .5, .5, .5, .3, .2, .1, .1};
  const auto of_a = uplift_areas(rows_of(a, w, y));
  EXPECT_NEAR(*of_a.auuc_sk.value, 0.346666667, 5e-10);
  EXPECT_NEAR(*of_a.auuc_05.value, 0.5 + 0.5 * 0.346666667, 5e-10);
  EXPECT_NEAR(*of_a.qini_sk.value, 0.341134752, 5e-10);
  EXPECT_NEAR(*of_a.auuc_causalml.value, 0.980769231, 5e-10);
  EXPECT_NEAR(*of_a.qini_causalml.value, 0.578205128, 5e-10);
  const auto of_b = uplift_areas(rows_of(b, w, y));
  EXPECT_NEAR(*of_b.auuc_sk.value, 0.341777778, 5e-10);
  EXPECT_NEAR(*of_b.qini_sk.value, 0.287234043, 5e-10);
}

TEST(UpliftAreas, DoNotDependOnTheOrderOfTheRows) {
  auto rows = some_rows(499, 3);
  const auto forward = to_json(uplift_areas(rows));
  std::reverse(rows.begin(), rows.end());
  EXPECT_EQ(forward, to_json(uplift_areas(rows)));
}

TEST(UpliftAreas, WholeWeightsCountAsRepeatedRows) {
  auto rows = some_rows(301, 4);
  auto repeated = rows;
  for (size_t i = 0; i < rows.size(); i += 2) {
    rows[i].weight = 2;
    repeated.push_back(rows[i]);
    repeated.back().weight = 1;
  }
  const auto weighted = uplift_areas(rows);
  const auto plain = uplift_areas(repeated);
  EXPECT_NEAR(*weighted.auuc_sk.value, *plain.auuc_sk.value, 1e-12);
  EXPECT_NEAR(*weighted.qini_sk.value, *plain.qini_sk.value, 1e-12);
  EXPECT_FALSE(weighted.auuc_causalml.value);
  EXPECT_FALSE(weighted.auuc_causalml.why.empty());
}

TEST(UpliftAreas, UndefinedOnesAreNullWithAReason) {
  auto rows = some_rows(50, 0);
  auto constant = rows;
  for (auto& row : constant) row.score = 0.25f;
  auto one_arm = rows;
  for (auto& row : one_arm) row.treated = 1;
  for (const auto& bad : {constant, one_arm, std::vector<UpliftRow>{}}) {
    const auto json = to_json(uplift_areas(bad));
    for (const char* key : {"auuc_sk", "auuc_05", "qini_sk", "auuc_causalml", "qini_causalml"}) {
      EXPECT_TRUE(json[key].is_null()) << key;
      EXPECT_FALSE(json[std::string(key) + "_why"].get<std::string>().empty());
    }
  }
}

TEST(UpliftAreas, IntervalOfAUsefulScoreLiesAboveRandomAndOfAUselessOneHoldsIt) {
  const auto useful = uplift_areas(some_rows(8000, 0));
  EXPECT_GT(*useful.ci95_low.value, 0.5);
  EXPECT_LT(*useful.ci95_low.value, *useful.auuc_05.value);
  EXPECT_GT(*useful.ci95_high.value, *useful.auuc_05.value);
  const auto useless = uplift_areas(some_rows(8000, 0, 0));
  EXPECT_LT(*useless.ci95_low.value, 0.5);
  EXPECT_GT(*useless.ci95_high.value, 0.5);
}

TEST(UpliftSums, RowsScoresAndBinsAgreeOnAnyRanksWithinTheBound) {
  for (const double ties : {0.0, 4.0}) {
    const auto rows = some_rows(4001, ties);
    const auto exact = uplift_areas(rows);
    // Rows kept; scores kept; neither.
    for (const int64_t expected :
         {int64_t{4001}, UpliftSums::kExactRows + 1, PredictionSums::kMostKept + 1}) {
      io::Json first;
      for (const int64_t ranks : {1, 2, 3}) {
        UpliftResult result;
        ThreadWorld(ranks).run([&](Communicator& comm) {
          UpliftSums mine(expected);
          for (size_t i = rows.size(); i-- > 0;) {
            if (static_cast<int64_t>(i * i) % comm.size() == comm.rank()) mine.add(rows[i]);
          }
          const auto finished = mine.finish(comm, "test");
          if (comm.rank() == 0) result = finished;
        });
        const io::Json json = to_json(result);
        if (first.is_null()) first = json;
        EXPECT_EQ(first, json);
        EXPECT_EQ(json["rows"], 4001);
        if (expected == 4001) {
          EXPECT_EQ(json, to_json(exact));
          continue;
        }
        const bool kept = expected <= PredictionSums::kMostKept;
        EXPECT_EQ(json["method"], kept ? "exact" : "binned");
        EXPECT_LE(std::fabs(*result.auuc_sk.value - *exact.auuc_sk.value),
                  *result.bin_error_bound.value + 1e-12);
        EXPECT_NEAR(*result.auuc_sk.value, *exact.auuc_sk.value, ties > 0 || kept ? 1e-12 : 2e-3);
        if (kept) {
          EXPECT_EQ(*result.bin_error_bound.value, 0);
          EXPECT_NEAR(*result.qini_sk.value, *exact.qini_sk.value, 1e-12);
          EXPECT_NEAR(*result.auuc_05.value, *exact.auuc_05.value, 1e-12);
        }
        EXPECT_TRUE(json["auuc_causalml"].is_null());
      }
    }
  }
}

}  // namespace
}  // namespace alm
