// Removal of clusters: the value's law by enumeration, the scorer against sums written out, the
// draw of absent clusters.
#include "engine/estimate/removal_scorer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>

#include "engine/estimate/sequence_scorer.h"
#include "kernels/base/rng.h"

namespace alm {
namespace {

// ---- a small world, enumerated --------------------------------------------------------------

using Touches = std::vector<int>;

// One context; a hidden u chooses touches and outcome; three clusters, one to three touches.
struct World {
  double exposure[2][3] = {{0.5, 0.3, 0.2}, {0.1, 0.3, 0.6}};
  double q[3] = {0.6, 0.25, 0.1};
  double level[3] = {0.3, 0.55, 0.7};
  double again = 0.6;  // factor of p for an earlier touch of the same cluster
  double survival[2] = {0.95, 0.6};

  double p(const Touches& touches, size_t j) const {
    double value = level[touches[j]];
    for (size_t l = 0; l < j; ++l) value *= touches[l] == touches[j] ? again : 1;
    return value;
  }
  double mass(const Touches& touches, int u) const {
    double product = (u ? 0.35 : 0.65) / 3;
    for (const int k : touches) product *= exposure[u][k];
    return product;
  }
  double mass(const Touches& touches) const { return mass(touches, 0) + mass(touches, 1); }
  // exp(-h(T))
  double base(const Touches& touches) const {
    return (mass(touches, 0) * survival[0] + mass(touches, 1) * survival[1]) / mass(touches);
  }
};

std::vector<Touches> all_touches() {
  std::vector<Touches> all;
  for (int a = 0; a < 3; ++a) {
    all.push_back({a});
    for (int b = 0; b < 3; ++b) {
      all.push_back({a, b});
      for (int c = 0; c < 3; ++c) all.push_back({a, b, c});
    }
  }
  return all;
}

bool has(const Touches& touches, int k) {
  return std::find(touches.begin(), touches.end(), k) != touches.end();
}
Touches without(Touches touches, int k) {
  std::erase(touches, k);
  return touches;
}

// E[survival of the touches] under a world's p and q.
double expected_survival(const World& world, const Touches& touches) {
  double product = 1;
  for (size_t j = 0; j < touches.size(); ++j) {
    product *= 1 - world.q[touches[j]] * world.p(touches, j);
  }
  return product;
}

double true_removal(const World& world, int k) {
  double sum = 0, exposed = 0;
  for (const Touches& touches : all_touches()) {
    if (!has(touches, k)) continue;
    exposed += world.mass(touches);
    sum += world.mass(touches) * world.base(touches) *
           (expected_survival(world, without(touches, k)) - expected_survival(world, touches));
  }
  return sum / exposed;
}

// Mean of the one-step value over the world's law, with the nuisances of `fit`: p of its levels, mu
// of its q and exp(-h), odds and S of its exposures.
double one_step(const World& world, const World& fit, double odds_factor, int k, bool absent) {
  double sum = 0, exposed = 0;
  for (const Touches& touches : all_touches()) {
    const size_t length = touches.size();
    const Touches rest = without(touches, k);
    for (unsigned m = 0; m < 1u << length; ++m) {
      double mass = world.mass(touches), alive = world.base(touches);
      double ratio = 1, fitted_alive = fit.base(touches);
      size_t kept = 0;
      for (size_t j = 0; j < length; ++j) {
        const bool one = (m >> j) & 1;
        const double p = world.p(touches, j), p_fit = fit.p(touches, j);
        mass *= one ? p : 1 - p;
        if (one) alive *= 1 - world.q[touches[j]];
        if (one) fitted_alive *= 1 - fit.q[touches[j]];
        if (touches[j] == k) {
          ratio *= one ? 0 : 1 / (1 - p_fit);
        } else {
          const double p_rest = fit.p(rest, kept++);
          ratio *= one ? p_rest / p_fit : (1 - p_rest) / (1 - p_fit);
        }
      }
      const double outcome = 1 - alive;  // its mean; the value is linear in it
      if (has(touches, k)) {
        exposed += mass;
        sum += mass * removal_of_present(outcome, ratio, 1 - fitted_alive,
                                         1 - fit.base(touches) * expected_survival(fit, rest));
      } else if (absent) {
        double odds = 0, survival = 0;  // over all sequences that delete to this one
        for (const Touches& other : all_touches()) {
          if (!has(other, k) || without(other, k) != touches) continue;
          odds += fit.mass(other) / fit.mass(touches);
          survival += fit.mass(other) / fit.mass(touches) * fit.base(other);
        }
        if (odds == 0) continue;
        const double gap =
            survival / odds * (expected_survival(fit, touches) - fitted_alive / fit.base(touches));
        sum += mass * removal_of_absent(gap, odds_factor * odds);
      }
    }
  }
  return sum / exposed;
}

TEST(RemovalOneStep, OfRightNuisancesIsTheTruthWithOrWithoutTheAbsentTerm) {
  const World world;
  for (int k = 0; k < 3; ++k) {
    EXPECT_NEAR(one_step(world, world, 1, k, true), true_removal(world, k), 1e-14);
    EXPECT_NEAR(one_step(world, world, 1, k, false), true_removal(world, k), 1e-14);
  }
}

TEST(RemovalOneStep, OfAWrongOutcomeModelAndWrongOddsIsTheTruthWhileThatOfTheMediatorsIsRight) {
  const World world;
  World fit;
  fit.q[0] = 0.2, fit.q[1] = 0.5;
  fit.survival[1] = 0.9;
  for (int k = 0; k < 3; ++k) {
    EXPECT_NEAR(one_step(world, fit, 1.7, k, true), true_removal(world, k), 1e-14);
    EXPECT_GT(std::fabs(true_removal(fit, k) - true_removal(world, k)), 1e-3);
  }
}

TEST(RemovalOneStep, OfAWrongLawOfTheMediatorsIsTheTruthOnlyByTheAbsentTerm) {
  const World world;
  World fit;
  fit.level[0] = 0.45, fit.level[1] = 0.4, fit.level[2] = 0.6;
  fit.again = 0.8;
  for (int k = 0; k < 3; ++k) {
    EXPECT_NEAR(one_step(world, fit, 1, k, true), true_removal(world, k), 1e-14) << k;
    EXPECT_GT(std::fabs(one_step(world, fit, 1, k, false) - true_removal(world, k)), 1e-3) << k;
  }
}

// ---- the scorer -----------------------------------------------------------------------------

constexpr int64_t kPositions = 16;

struct Scored {
  explicit Scored(bool binary) : compute(make_cpu_device("auto"), 1) {
    // Four clusters: many journeys show one more than once.
    for (int64_t row = 0; row < 61; ++row) {
      Rng rng(9, Stream::test, static_cast<uint64_t>(row));
      journeys.row.push_back(row);
      journeys.user.push_back(static_cast<uint64_t>(row));
      journeys.outcome.push_back(static_cast<float>(rng.below(2)));
      for (int column = 0; column < 2; ++column) {
        journeys.dense.push_back(static_cast<float>(rng.normal()));
      }
      for (int64_t touch = 0; touch < row % 9; ++touch) {
        journeys.cluster.push_back(static_cast<uint32_t>(rng.below(4)));
        journeys.mediator.push_back(rng.below(7) == 0 ? kMediatorMissing
                                                      : static_cast<uint8_t>(rng.below(3) == 0));
      }
      journeys.touch_begin.push_back(static_cast<int64_t>(journeys.cluster.size()));
    }
    FeatureStats stats;
    stats.schema.clusters = 4;
    stats.schema.dense = 2;
    stats.schema.mediator = true;
    if (!binary) {
      stats.schema.outcome = io::OutcomeKind::continuous;
      stats.outcome_mean = 0.3;
      stats.outcome_sd = 2;
    }
    stats.dense = {{0, 0}, {1, 1}, {-1, -1}, 0};
    stats.touch_share = {0.5f, 0.2f, 0.1f, 0.0f};
    model = std::make_unique<AlmMta>(std::make_shared<FeatureStats>(stats),
                                     model_options_by_name("tiny"), kPositions);
    weights = model->fresh_weights(3);
    for (size_t at = 0; at < weights.dense.size(); ++at) {
      weights.dense[at] += static_cast<float>(0.1 * Rng(5, Stream::test, at).normal());
    }
  }
  Compute compute;
  io::Journeys journeys;
  std::unique_ptr<AlmMta> model;
  ModelWeights weights;
};

io::Journeys without_cluster(const io::Journeys& from, int64_t journey, const io::LogSchema& schema,
                             uint32_t cluster) {
  io::Journeys left;
  left.append(from, journey, schema);
  for (;;) {
    const auto at = std::find(left.cluster.begin(), left.cluster.end(), cluster);
    if (at == left.cluster.end()) return left;
    io::Journeys fewer;
    fewer.append(left, 0, schema, at - left.cluster.begin());
    left = std::move(fewer);
  }
}

class RemovalScorerTest : public testing::TestWithParam<bool> {};

TEST_P(RemovalScorerTest, EqualSumsWrittenOutOverRunsOfTheModelOnReducedJourneys) {
  Scored of(GetParam());
  SequenceScorer full(*of.model, of.weights, of.compute);
  full.score(of.journeys, 0);
  RemovalScorer scorer(*of.model, of.weights, of.compute);
  const RemovalScores got = scorer.score(of.journeys, full, 0);
  SequenceScorer reduced_scorer(*of.model, of.weights, of.compute);
  const SequenceScores& scores = full.last();
  int64_t repeated = 0, unobserved = 0;
  for (size_t i = 0; i < static_cast<size_t>(of.journeys.size()); ++i) {
    const size_t begin = static_cast<size_t>(of.journeys.touch_begin[i]);
    const size_t end = static_cast<size_t>(of.journeys.touch_begin[i + 1]);
    std::set<uint32_t> clusters(of.journeys.cluster.begin() + static_cast<int64_t>(begin),
                                of.journeys.cluster.begin() + static_cast<int64_t>(end));
    ASSERT_EQ(got.begin[i + 1] - got.begin[i], static_cast<int64_t>(clusters.size()));
    size_t at = static_cast<size_t>(got.begin[i]);
    for (const uint32_t k : clusters) {
      EXPECT_EQ(got.cluster[at], k);
      const io::Journeys reduced =
          without_cluster(of.journeys, static_cast<int64_t>(i), of.model->stats().schema, k);
      const std::vector<double> p_without = reduced_scorer.score(reduced, 0).p;
      // Factors of the survival, or terms of the sum: by a journey of its own.
      const double y = of.journeys.outcome[i];
      double parts = GetParam() ? 1 : 0, edited = parts, ratio = 1;
      size_t kept = 0, own = 0;
      bool observed = true;
      const auto join = [&](double& to, double q, double share) {
        GetParam() ? to *= 1 - q* share : to += q * share;
      };
      for (size_t touch = begin; touch < end; ++touch) {
        const double p = scores.p[touch], q = full.potency(touch);
        const uint8_t m = of.journeys.mediator[touch];
        join(parts, q, p);
        if (of.journeys.cluster[touch] == k) {
          ++own;
          observed = observed && m != kMediatorMissing;
          ratio *= m == 0 ? 1 / (1 - p) : 0;
          continue;
        }
        const double without_it = p_without[kept++];
        join(edited, q, without_it);
        if (m != kMediatorMissing) ratio *= m ? without_it / p : (1 - without_it) / (1 - p);
      }
      const double base = full.head(static_cast<int64_t>(i)).base;
      const auto value = [&](double of_parts) {
        return GetParam() ? 1 - base * of_parts : 0.3 + 2 * (base + of_parts);
      };
      EXPECT_NEAR(got.plugin[at], value(parts) - value(edited), 1e-6);
      if (own == 1) {
        EXPECT_NEAR(got.plugin[at], scores.ett[static_cast<size_t>(got.touch[at])], 1e-12);
      }
      repeated += own > 1;
      unobserved += !observed;
      if (observed) {
        const double wanted = y - ratio * (y - scores.predicted[i]) - value(edited);
        EXPECT_NEAR(got.one_step[at], wanted, 1e-5 * (1 + ratio));
        EXPECT_NEAR(got.raw[at], wanted, 1e-5 * (1 + ratio));
        EXPECT_NEAR(got.ratio[at], ratio, 1e-5 * (1 + ratio));
        EXPECT_EQ(got.clipped[at], 0);
      } else {
        EXPECT_TRUE(std::isnan(got.one_step[at]));
      }
      EXPECT_EQ(got.alone[at], clusters.size() == 1);
      ++at;
    }
    // Four clusters are fewer than are drawn: all that are absent, whole.
    if (clusters.empty()) continue;
    std::set<uint32_t> absent;
    for (int64_t pair = got.absent.begin[i]; pair < got.absent.begin[i + 1]; ++pair) {
      absent.insert(static_cast<uint32_t>(got.absent.cluster[static_cast<size_t>(pair)]));
    }
    EXPECT_EQ(absent.size() + clusters.size(), 4u);
    for (const uint32_t k : clusters) EXPECT_EQ(absent.count(k), 0u);
  }
  EXPECT_GT(repeated, 20);
  EXPECT_GT(unobserved, 20);
}

INSTANTIATE_TEST_SUITE_P(Outcomes, RemovalScorerTest, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& binary) {
                           return std::string(binary.param ? "binary" : "continuous");
                         });

// ---- absent clusters ------------------------------------------------------------------------

TEST(DrawAbsent, TakesEachAbsentClusterEquallyOftenAndNoneTwice) {
  const std::vector<int64_t> touched = {0, 3, 4, 10};
  std::map<int64_t, int64_t> times;
  std::vector<int64_t> drawn;
  constexpr int64_t kDraws = 20000;
  for (int64_t row = 0; row < kDraws; ++row) {
    draw_absent(touched, 11, 3, 5, row, drawn);
    ASSERT_EQ(drawn.size(), 3u);
    EXPECT_EQ(std::set<int64_t>(drawn.begin(), drawn.end()).size(), 3u);
    for (const int64_t k : drawn) ++times[k];
  }
  EXPECT_EQ(times.size(), 7u);
  const double wanted = kDraws * 3 / 7.0;
  for (const auto& [k, count] : times) {
    EXPECT_EQ(std::count(touched.begin(), touched.end(), k), 0) << k;
    EXPECT_NEAR(static_cast<double>(count), wanted, 4 * std::sqrt(wanted)) << k;
  }
}

TEST(DrawAbsent, OfFewTakesAllAndOfNoneNothing) {
  std::vector<int64_t> drawn;
  draw_absent(std::vector<int64_t>{1, 2}, 5, 3, 0, 0, drawn);
  EXPECT_EQ(drawn, (std::vector<int64_t>{0, 3, 4}));
  draw_absent(std::vector<int64_t>{0, 1, 2}, 3, 16, 0, 0, drawn);
  EXPECT_TRUE(drawn.empty());
  draw_absent({}, 1, 16, 0, 0, drawn);
  EXPECT_EQ(drawn, (std::vector<int64_t>{0}));
}

}  // namespace
}  // namespace alm
