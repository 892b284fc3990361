// Rows of level B: what they are a function of, that they follow the law whose truth they carry,
// and what each switch does and does not change.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "engine/simulate/simulator.h"
#include "kernels/base/check.h"
#include "kernels/base/thread_pool.h"

namespace alm {
namespace {

io::Journeys rows_of(const LevelBOptions& options, int64_t rows,
                     const std::string& shape = "tiny") {
  io::Journeys log;
  make_level_b(options, shape_by_name(shape))->append(0, rows, log);
  return log;
}

// A sum of independent terms of known mean 0, and how many standard errors it is off.
struct ZScore {
  double sum = 0, squares = 0;
  void add(double term) { sum += term, squares += term * term; }
  double z() const { return sum / std::sqrt(squares); }
};
void expect_share(double hits, double trials, double p, const char* what) {
  ASSERT_GT(trials, 100) << what;
  EXPECT_NEAR(hits / trials, p, 4 * std::sqrt(p * (1 - p) / trials) + 1e-12) << what;
}

template <class Column>
void expect_equal_bits(const Column& left, const Column& right, const char* name) {
  ASSERT_EQ(left.size(), right.size()) << name;
  if (left.empty()) return;
  EXPECT_EQ(std::memcmp(left.data(), right.data(), left.size() * sizeof(left[0])), 0) << name;
}
void expect_equal(const io::Journeys& left, const io::Journeys& right) {
  expect_equal_bits(left.row, right.row, "row");
  expect_equal_bits(left.user, right.user, "user");
  expect_equal_bits(left.time, right.time, "time");
  expect_equal_bits(left.outcome, right.outcome, "outcome");
  expect_equal_bits(left.outcome_time, right.outcome_time, "outcome_time");
  expect_equal_bits(left.weight, right.weight, "weight");
  expect_equal_bits(left.dense, right.dense, "dense");
  expect_equal_bits(left.cat, right.cat, "cat");
  expect_equal_bits(left.touch_begin, right.touch_begin, "touch_begin");
  expect_equal_bits(left.cluster, right.cluster, "cluster");
  expect_equal_bits(left.item, right.item, "item");
  expect_equal_bits(left.touch_time, right.touch_time, "touch_time");
  expect_equal_bits(left.touch_dense, right.touch_dense, "touch_dense");
  expect_equal_bits(left.mediator, right.mediator, "mediator");
  expect_equal_bits(left.mediator_time, right.mediator_time, "mediator_time");
  expect_equal_bits(left.proxy, right.proxy, "proxy");
  expect_equal_bits(left.match, right.match, "match");
  expect_equal_bits(left.delta_do, right.delta_do, "delta_do");
  expect_equal_bits(left.delta_ett, right.delta_ett, "delta_ett");
  expect_equal_bits(left.p_do, right.p_do, "p_do");
  expect_equal_bits(left.p_none, right.p_none, "p_none");
}

TEST(LevelB, RowsDoNotDependOnHowTheyAreSplit) {
  for (const char* shape : {"tiny", "reference"}) {
    LevelBOptions options;
    options.keep_negatives = 0.7;
    const auto simulator = make_level_b(options, shape_by_name(shape));
    io::Journeys whole, pieces;
    simulator->append(100, 1009, whole);
    for (int64_t first = 100; first < 1109;) {
      const int64_t count = std::min<int64_t>(1 + first % 97, 1109 - first);
      simulator->append(first, count, pieces);
      first += count;
    }
    simulator->append(1109, 0, pieces);
    expect_equal(whole, pieces);
    EXPECT_LT(whole.size(), 1009);
  }
}

TEST(LevelB, ThreadsMakeTheSameRows) {
  const auto simulator = make_level_b({}, shape_by_name("reference"));
  io::Journeys whole;
  simulator->append(0, 4000, whole);
  std::vector<io::Journeys> blocks(8);
  ThreadPool pool(3);
  pool.parallel_for(
      8, [&](int64_t item, int64_t) { simulator->append(500 * item, 500, blocks[size_t(item)]); });
  for (size_t block = 0; block < 8; ++block) {
    io::Journeys part;
    simulator->append(static_cast<int64_t>(block) * 500, 500, part);
    expect_equal(part, blocks[block]);
    EXPECT_TRUE(std::equal(part.outcome.begin(), part.outcome.end(),
                           whole.outcome.begin() + static_cast<int64_t>(block) * 500));
  }
}

TEST(LevelB, DefaultLogHasTheRatesOfTheMethod) {
  // neural.md: base rate of Y 0.28, of M 0.31, mean length 4.0, over seeds of clusters.
  double outcomes = 0, rows = 0, mediators = 0, touches = 0;
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    LevelBOptions options;
    options.seed = seed;
    const io::Journeys log = rows_of(options, 20000);
    rows += static_cast<double>(log.size());
    touches += static_cast<double>(log.touches());
    outcomes += static_cast<double>(std::count(log.outcome.begin(), log.outcome.end(), 1.0f));
    mediators += static_cast<double>(std::count(log.mediator.begin(), log.mediator.end(), 1));
  }
  EXPECT_NEAR(outcomes / rows, 0.29, 0.02);
  EXPECT_NEAR(mediators / touches, 0.31, 0.02);
  EXPECT_NEAR(touches / rows, 4.0, 0.02);
}

TEST(LevelB, LengthsAreOnePlusPoissonCutAtTen) {
  constexpr int64_t kRows = 50000;
  const io::Journeys log = rows_of({}, kRows);
  double count[11] = {};
  for (int64_t row = 0; row < kRows; ++row) ++count[log.touches_of(row)];
  double poisson = std::exp(-3.0), rest = 1;
  EXPECT_EQ(count[0], 0);
  for (int length = 1; length < 10; ++length) {
    expect_share(count[length], kRows, poisson, "length");
    rest -= poisson;
    poisson *= 3.0 / length;
  }
  expect_share(count[10], kRows, rest, "length 10");
}

TEST(LevelB, EveryTwoRowsShareAUser) {
  const io::Journeys log = rows_of({}, 101);
  for (size_t row = 0; row < 101; ++row) EXPECT_EQ(log.user[row], row / 2);
}

TEST(LevelB, NoClusterIsShownWhereTheTasteIsTooLow) {
  LevelBOptions options;
  const LevelBLaw law(options);
  const io::Journeys log = rows_of(options, 50000);
  int64_t holes = 0;
  double lowest = 0;
  for (size_t row = 0; row < 50000; ++row) {
    const auto match = [&](size_t k) {
      return law.clusters().taste0[k] * static_cast<double>(log.dense[2 * row]) +
             law.clusters().taste1[k] * static_cast<double>(log.dense[2 * row + 1]);
    };
    holes += match(0) < -1.2;
    for (int64_t j = log.touch_begin[row]; j < log.touch_begin[row + 1]; ++j) {
      lowest = std::min(lowest, match(log.cluster[static_cast<size_t>(j)]));
    }
  }
  EXPECT_GT(lowest, -1.2 - 1e-6);
  EXPECT_GT(holes, 0) << "the hole was never met";
}

TEST(LevelB, JourneyIsEmptyWhereNoClusterMayBeShown) {
  LevelBOptions options;
  options.clusters = 1;
  const LevelBLaw law(options);
  const io::Journeys log = rows_of(options, 20000);
  int64_t empty = 0;
  for (size_t row = 0; row < 20000; ++row) {
    const double match = law.clusters().taste0[0] * static_cast<double>(log.dense[2 * row]) +
                         law.clusters().taste1[0] * static_cast<double>(log.dense[2 * row + 1]);
    if (std::fabs(match + 1.2) < 1e-5) continue;
    EXPECT_EQ(log.touches_of(static_cast<int64_t>(row)) == 0, match < -1.2);
    if (match < -1.2) {
      ++empty;
      EXPECT_EQ(log.p_do[row], log.p_none[row]);
    }
  }
  EXPECT_GT(empty, 0);
}

struct Case {
  const char* name;
  LevelBOptions options;
};
void PrintTo(const Case& each, std::ostream* out) {
  *out << each.name;
}
LevelBOptions with(double confounding, double u_to_m, double direct, bool rare,
                   int64_t clusters = 20) {
  LevelBOptions options;
  options.clusters = clusters;
  options.seed = 3;
  options.confounding = confounding;
  options.u_to_m = u_to_m;
  options.direct = direct;
  options.rare = rare;
  return options;
}

class LevelBRows : public testing::TestWithParam<Case> {};

// The sampled outcomes against the law: P(Y=1 | T, x) on average and where the effects are large;
// without confounding P(Y=1 | do(T), x) too. Where u leaves the mediator alone and T acts only
// through it, the mediators themselves, and the influence value phi_j of contract 3, whose mean is
// delta_ett.
TEST_P(LevelBRows, FollowTheLawWhoseTruthTheyCarry) {
  const LevelBOptions& options = GetParam().options;
  constexpr int64_t kRows = 60000;
  const LevelBLaw law(options);
  const io::Journeys log = rows_of(options, kRows);
  Exposure exposure;
  LevelBTruth truth;
  ZScore seen, seen_by_posterior, done, mediator, influence;
  for (int64_t row = 0; row < kRows; ++row) {
    const size_t i = static_cast<size_t>(row);
    const std::array<double, 2> x{log.dense[2 * i], log.dense[2 * i + 1]};
    const size_t begin = static_cast<size_t>(log.touch_begin[i]);
    const size_t length = static_cast<size_t>(log.touches_of(row));
    const std::span<const uint32_t> touches(log.cluster.data() + begin, length);
    law.expose(x, exposure);
    law.truth(x, exposure, touches, truth);
    ASSERT_NEAR(log.p_do[i], truth.p_do, 1e-5);
    ASSERT_NEAR(log.p_none[i], truth.p_none, 1e-5);
    const double y = log.outcome[i];
    seen.add(y - truth.p_seen);
    seen_by_posterior.add((y - truth.p_seen) * (truth.confounder - 0.5));
    if (options.confounding == 0) done.add(y - truth.p_do);
    double row_influence = 0, row_mediator = 0;
    const bool front_door = options.u_to_m == 0 && options.direct == 0;
    const double h = 1 - (1 - truth.confounder) * (1 - law.base_survival(x, 0)) -
                     truth.confounder * (1 - law.base_survival(x, 1));
    std::vector<double> p, shifted;
    for (size_t j = 0; j < length; ++j) {
      ASSERT_NEAR(log.delta_do[begin + j], truth.delta_do[j], 1e-5);
      ASSERT_NEAR(log.delta_ett[begin + j], truth.delta_ett[j], 1e-5);
      const int64_t earlier = std::count(touches.begin(), touches.begin() + int64_t(j), touches[j]);
      p.push_back(law.p_mediator(touches[j], exposure.match[touches[j]], earlier, 0));
      row_mediator += log.mediator[begin + j] - p[j];
    }
    if (!front_door) continue;
    mediator.add(row_mediator);
    const auto survival = [&](size_t left_out) {
      double product = h;
      for (size_t l = 0; l < length; ++l) {
        if (l != left_out && log.mediator[begin + l])
          product *= 1 - law.clusters().potency[touches[l]];
      }
      return product;
    };
    for (size_t j = 0; j < length; ++j) {
      double weight = 1;
      for (size_t l = j + 1; l < length; ++l) {
        if (touches[l] != touches[j]) continue;
        const int64_t earlier =
            std::count(touches.begin(), touches.begin() + int64_t(l), touches[l]);
        const double fewer = law.p_mediator(touches[l], exposure.match[touches[l]], earlier - 1, 0);
        weight *= log.mediator[begin + l] ? fewer / p[l] : (1 - fewer) / (1 - p[l]);
      }
      const double mu = 1 - survival(length), mu_without = 1 - survival(j);
      const double residual = log.mediator[begin + j] ? 0 : (y - mu) / (1 - p[j]);
      row_influence += y - weight * (residual + mu_without) - truth.delta_ett[j];
    }
    influence.add(row_influence);
  }
  EXPECT_LT(std::fabs(seen.z()), 4);
  EXPECT_LT(std::fabs(seen_by_posterior.z()), 4);
  if (done.squares > 0) {
    EXPECT_LT(std::fabs(done.z()), 4);
  }
  if (mediator.squares > 0) {
    EXPECT_LT(std::fabs(mediator.z()), 4);
  }
  if (influence.squares > 0) {
    EXPECT_LT(std::fabs(influence.z()), 4);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Switches, LevelBRows,
    testing::Values(Case{"plain", with(1.2, 0, 0, false)},
                    Case{"unconfounded", with(0, 0, 0, false)},
                    Case{"unconfounded_u_to_m", with(0, 1.5, 0.1, false)},
                    Case{"u_to_m", with(1.2, 1.5, 0, false)},
                    Case{"direct", with(1.2, 0, 0.1, false)}, Case{"rare", with(1.2, 0, 0, true)},
                    Case{"few", with(1.2, 0, 0, false, 3)}, Case{"all", with(2, -1, 0.2, true)}),
    [](const testing::TestParamInfo<Case>& each) { return std::string(each.param.name); });

TEST(LevelB, RareLogHasOutcomesInAboutOneJourneyOfTwenty) {
  LevelBOptions options;
  options.rare = true;
  const io::Journeys log = rows_of(options, 40000);
  const double rate =
      static_cast<double>(std::count(log.outcome.begin(), log.outcome.end(), 1.0f)) / 40000;
  EXPECT_GT(rate, 0.03);
  EXPECT_LT(rate, 0.08);
}

TEST(LevelB, FeedbackRepeatsTheClusterHalfOfTheTimeAfterAMediatorEvent) {
  LevelBOptions options;
  options.confounding = 0;  // so that the chance of a repeat does not depend on u
  options.feedback = true;
  const LevelBLaw law(options);
  const io::Journeys log = rows_of(options, 20000);
  Exposure exposure;
  ZScore after_event, after_none;
  for (size_t row = 0; row < 20000; ++row) {
    law.expose({log.dense[2 * row], log.dense[2 * row + 1]}, exposure);
    for (int64_t j = log.touch_begin[row] + 1; j < log.touch_begin[row + 1]; ++j) {
      const size_t now = static_cast<size_t>(j), before = now - 1;
      const double by_chance = LevelBLaw::p_cluster(exposure, log.cluster[before], 0);
      const bool same = log.cluster[now] == log.cluster[before];
      if (log.mediator[before]) {
        after_event.add(same - 0.5 - 0.5 * by_chance);
      } else {
        after_none.add(same - by_chance);
      }
    }
  }
  EXPECT_LT(std::fabs(after_event.z()), 4);
  EXPECT_LT(std::fabs(after_none.z()), 4);
  for (const float value : log.delta_ett) ASSERT_TRUE(std::isnan(value));
  for (const float value : log.delta_do) ASSERT_TRUE(std::isfinite(value));
}

TEST(LevelB, ProxiesAndMatchHaveTheRatesOfTheContract) {
  LevelBOptions options;
  options.leak = 0.3;
  const io::Journeys log = rows_of(options, 40000);
  std::map<std::array<int, 3>, std::array<double, 2>> view;  // (v, m, y) -> hits, trials
  std::array<std::array<double, 2>, 2> match{};
  for (size_t row = 0; row < 40000; ++row) {
    const int y = static_cast<int>(log.outcome[row]);
    for (int64_t at = log.touch_begin[row]; at < log.touch_begin[row + 1]; ++at) {
      const size_t j = static_cast<size_t>(at);
      const int m = log.mediator[j];
      for (int v = 0; v < 3; ++v) {
        auto& [hits, trials] = view[{v, m, y}];
        hits += log.proxy[3 * j + static_cast<size_t>(v)];
        ++trials;
      }
      ASSERT_EQ(std::isnan(log.match[j]), y == 0);
      if (y == 0) continue;
      match[static_cast<size_t>(m)][0] += static_cast<double>(log.match[j]);
      ++match[static_cast<size_t>(m)][1];
    }
  }
  const double rate[3][2] = {{0.10, 0.85}, {0.05, 0.70}, {0.05, 0.90}};
  for (const auto& [key, counted] : view) {
    const auto [v, m, y] = key;
    const double clean = rate[v][m];
    expect_share(counted[0], counted[1], v == 2 && y == 1 ? clean + (1 - clean) * 0.3 : clean,
                 "proxy");
  }
  expect_share(match[0][0], match[0][1], 0.08 + 0.92 * 0.3, "match without mediator");
  expect_share(match[1][0], match[1][1], 0.7 + 0.3 * 0.3, "match with mediator");
}

TEST(LevelB, ProxyNoiseFlipsViewsAndNothingElse) {
  LevelBOptions options;
  const io::Journeys clean = rows_of(options, 20000);
  options.proxy_noise = 0.2;
  io::Journeys noisy = rows_of(options, 20000);
  double flipped = 0;
  for (size_t i = 0; i < clean.proxy.size(); ++i) flipped += clean.proxy[i] != noisy.proxy[i];
  expect_share(flipped, static_cast<double>(clean.proxy.size()), 0.2, "flips");
  noisy.proxy = clean.proxy;
  expect_equal(clean, noisy);
}

TEST(LevelB, MediatorLeakSetsTheSeenMediatorAfterOutcomesAndNothingElse) {
  LevelBOptions options;
  const io::Journeys clean = rows_of(options, 20000);
  options.mediator_leak = 0.1;
  io::Journeys leaky = rows_of(options, 20000);
  double set = 0, could = 0;
  for (size_t row = 0; row < 20000; ++row) {
    for (int64_t at = clean.touch_begin[row]; at < clean.touch_begin[row + 1]; ++at) {
      const size_t j = static_cast<size_t>(at);
      if (clean.mediator[j] || clean.outcome[row] == 0) {
        ASSERT_EQ(leaky.mediator[j], clean.mediator[j]);
      } else {
        set += leaky.mediator[j];
        ++could;
      }
      ASSERT_EQ(leaky.mediator_time[j] >= 0, leaky.mediator[j] == 1);
    }
  }
  expect_share(set, could, 0.1, "leaks");
  leaky.mediator = clean.mediator;
  leaky.mediator_time = clean.mediator_time;
  expect_equal(clean, leaky);
}

TEST(LevelB, KeptNegativesCarryTheirWeightAndPositivesAreAllKept) {
  LevelBOptions options;
  const io::Journeys all = rows_of(options, 30000);
  options.keep_negatives = 0.2;
  const io::Journeys kept = rows_of(options, 30000);
  std::set<int64_t> rows(kept.row.begin(), kept.row.end());
  ASSERT_EQ(static_cast<int64_t>(rows.size()), kept.size());
  double negatives = 0, kept_negatives = 0, total = 0;
  for (size_t row = 0; row < 30000; ++row) {
    if (all.outcome[row] == 1) {
      EXPECT_TRUE(rows.count(static_cast<int64_t>(row)));
    } else {
      ++negatives;
      kept_negatives += static_cast<double>(rows.count(static_cast<int64_t>(row)));
    }
  }
  expect_share(kept_negatives, negatives, 0.2, "kept negatives");
  for (size_t i = 0; i < kept.weight.size(); ++i) {
    EXPECT_FLOAT_EQ(kept.weight[i], kept.outcome[i] == 1 ? 1.0f : 5.0f);
    EXPECT_EQ(kept.outcome[i], all.outcome[static_cast<size_t>(kept.row[i])]);
    EXPECT_EQ(kept.p_do[i], all.p_do[static_cast<size_t>(kept.row[i])]);
    total += static_cast<double>(kept.weight[i]);
  }
  EXPECT_EQ(static_cast<int64_t>(kept.weight.size()), kept.size());
  EXPECT_NEAR(total / 30000, 1, 0.05);
  EXPECT_TRUE(all.weight.empty());
}

void expect_ordered_times(const io::Journeys& log) {
  for (int64_t row = 0; row < log.size(); ++row) {
    const size_t i = static_cast<size_t>(row);
    ASSERT_EQ(log.outcome_time[i] >= 0, log.outcome[i] == 1);
    if (log.outcome[i] == 1) {
      ASSERT_GT(log.outcome_time[i], log.time[i]);
    }
    for (int64_t at = log.touch_begin[i]; at < log.touch_begin[i + 1]; ++at) {
      const size_t j = static_cast<size_t>(at);
      const int64_t next = at + 1 < log.touch_begin[i + 1] ? log.touch_time[j + 1] : log.time[i];
      ASSERT_LT(log.touch_time[j], next);
      ASSERT_EQ(log.mediator_time[j] >= 0, log.mediator[j] == 1);
      if (log.mediator[j] == 0) continue;
      ASSERT_GT(log.mediator_time[j], log.touch_time[j]);
      ASSERT_LT(log.mediator_time[j], next);
    }
  }
}

TEST(Simulator, TimesKeepTheOrderOfTheContract) {
  LevelBOptions options;
  options.mediator_leak = 0.5;
  expect_ordered_times(rows_of(options, 20000));
  io::Journeys arms;
  make_level_a(1)->append(0, 20000, arms);
  expect_ordered_times(arms);
}

TEST(LevelB, ReferenceShapeHasTheColumnsOfTheBenchmark) {
  LevelBOptions options;
  const LogShape shape = shape_by_name("reference");
  options.clusters = shape.clusters;
  const auto simulator = make_level_b(options, shape);
  EXPECT_EQ(simulator->schema().dense, 16);
  EXPECT_EQ(simulator->schema().cat, 8);
  EXPECT_EQ(simulator->schema().touch_dense, 4);
  EXPECT_EQ(simulator->schema().clusters, 1000);
  EXPECT_TRUE(simulator->schema().item);
  io::Journeys log;
  constexpr int64_t kRows = 20000;
  simulator->append(0, kRows, log);
  EXPECT_EQ(static_cast<int64_t>(log.dense.size()), 16 * kRows);
  EXPECT_EQ(static_cast<int64_t>(log.cat.size()), 8 * kRows);
  EXPECT_EQ(static_cast<int64_t>(log.touch_dense.size()), 4 * log.touches());
  EXPECT_EQ(static_cast<int64_t>(log.item.size()), log.touches());
  EXPECT_NEAR(static_cast<double>(log.touches()) / kRows, 5.0, 0.1);
  int64_t longest = 0;
  for (int64_t row = 0; row < kRows; ++row) longest = std::max(longest, log.touches_of(row));
  EXPECT_LE(longest, 16);
  double missing = 0;
  for (size_t i = 0; i < log.dense.size(); ++i) {
    missing += std::isnan(log.dense[i]);
    if (i % 16 < 2) {
      ASSERT_FALSE(std::isnan(log.dense[i]));
    }
  }
  expect_share(missing, 14.0 * kRows, 0.02, "missing");
  // An item belongs to one cluster; few items carry much of the traffic.
  std::map<uint64_t, uint32_t> cluster_of_item;
  std::map<uint64_t, int64_t> touches_of_item;
  for (size_t j = 0; j < log.item.size(); ++j) {
    const auto [place, fresh] = cluster_of_item.emplace(log.item[j], log.cluster[j]);
    ASSERT_EQ(place->second, log.cluster[j]);
    ++touches_of_item[log.item[j]];
  }
  EXPECT_GT(cluster_of_item.size(), 20000u);
  int64_t most = 0;
  for (const auto& [item, count] : touches_of_item) most = std::max(most, count);
  EXPECT_GT(most, 100);
}

TEST(LevelB, ShapeNamesAreChecked) {
  EXPECT_THROW(shape_by_name("big"), UserError);
}

TEST(Simulator, RateCountsRowsAndTouches) {
  ThreadPool pool(2);
  const auto simulator = make_level_b({}, shape_by_name("tiny"));
  const SimulationRate rate = measure_simulation(*simulator, pool, 0.01);
  EXPECT_GT(rate.rows, 0);
  EXPECT_GT(rate.seconds, 0);
  EXPECT_NEAR(static_cast<double>(rate.touches) / static_cast<double>(rate.rows), 4.0, 0.2);
}

}  // namespace
}  // namespace alm
