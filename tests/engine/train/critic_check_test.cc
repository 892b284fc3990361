// The critic's weights and its Lambda against their definitions, and what they miss where a journey
// weight is left out.
#include "engine/estimate/critic_check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "engine/estimate/critic_sums.h"
#include "engine/estimate/critic_weights.h"
#include "engine/simulate/simulator.h"
#include "kernels/base/rng.h"
#include "tests/engine/estimate/thread_world.h"
#include "tests/engine/memory_log.h"

namespace alm {
namespace {

CriticJourney some_journey(Rng& draw, uint64_t user) {
  CriticJourney of;
  of.user = user;
  of.weight = 0.5 + 2 * draw.uniform();
  for (int at = 0; at < 3; ++at) {
    of.x.push_back(static_cast<float>(draw.normal()));
    of.y.push_back(static_cast<float>(draw.normal()));
  }
  return of;
}

TEST(CriticWeights, AreTheSoftmaxTimesTheJourneyWeightsWithoutTheOwnUser) {
  Rng draw(1, Stream::test, 0);
  std::vector<CriticJourney> group;
  for (uint64_t row = 0; row < 37; ++row) group.push_back(some_journey(draw, row / 2));
  CriticWeights weights;
  for (int64_t row = 0; row < 37; ++row) {
    ASSERT_TRUE(weights.fill(group, row));
    std::vector<double> wanted;
    double sum = 0, squares = 0, uniform = 0;
    for (const CriticJourney& other : group) {
      const CriticJourney& own = group[static_cast<size_t>(row)];
      double score = 0;
      for (size_t at = 0; at < 3; ++at) score += double{own.x[at]} * double{other.y[at]};
      const bool same = other.user == own.user;
      wanted.push_back(same ? 0 : other.weight * std::exp(score));
      sum += wanted.back();
      squares += wanted.back() * wanted.back();
      uniform += same ? 0 : other.weight;
    }
    for (size_t r = 0; r < group.size(); ++r) {
      EXPECT_NEAR(weights.all[r], wanted[r] / sum, 1e-12);
      EXPECT_NEAR(weights.uniform[r], wanted[r] > 0 ? group[r].weight / uniform : 0, 1e-12);
    }
    EXPECT_NEAR(weights.ess, sum * sum / squares, 1e-9 * weights.ess);
  }
  for (CriticJourney& of : group) of.user = 7;
  EXPECT_FALSE(weights.fill(group, 0));
}

TEST(CriticWeights, TheLargestAreKeptAndTheirMassIsTold) {
  std::vector<double> kept;
  EXPECT_DOUBLE_EQ(keep_largest({0.1, 0.4, 0.2, 0.2, 0.1}, 2, kept), 0.6);
  EXPECT_NEAR(kept[1], 0.4 / 0.6, 1e-15);
  EXPECT_NEAR(kept[2], 0.2 / 0.6, 1e-15);  // of equals the earlier
  EXPECT_EQ(kept[3], 0);
  EXPECT_DOUBLE_EQ(keep_largest({0.25, 0.75}, 5, kept), 1);
  EXPECT_DOUBLE_EQ(kept[1], 0.75);
}

// Contexts and journeys of one number each, a critic that knows log p(t|x) / p(t) of a bivariate
// normal with correlation rho but for a function of x; Lambda(x) = E[f(t) | x], f = exp(-h).
struct World {
  static constexpr double kRho = 0.6;
  static double survival(double t) { return 1 / (1 + std::exp(t - 1)); }

  // log p(t|x) / p(t) = (rho x t - rho^2 (x^2 + t^2) / 2) / (1 - rho^2) + constant.
  static CriticJourney draw(uint64_t number) {
    Rng rng(11, Stream::test, number);
    const double x = rng.normal();
    const double t = kRho * x + std::sqrt(1 - kRho * kRho) * rng.normal();
    CriticJourney of;
    of.user = number;
    const double scale = 1 / (1 - kRho * kRho);
    of.x = {static_cast<float>(scale * kRho * x), static_cast<float>(-scale * kRho * kRho / 2)};
    of.y = {static_cast<float>(t), static_cast<float>(t * t)};
    return of;
  }
  static double t(const CriticJourney& of) { return double{of.y[0]}; }
};

// Mean over the rows, by their weights, of Lambda by the critic.
double mean_lambda(const std::vector<CriticJourney>& group, bool columns_weighted) {
  std::vector<CriticJourney> columns = group;
  if (!columns_weighted) {
    for (CriticJourney& of : columns) of.weight = 1;
  }
  CriticWeights weights;
  double sum = 0, total = 0;
  for (size_t row = 0; row < group.size(); ++row) {
    EXPECT_TRUE(weights.fill(columns, static_cast<int64_t>(row)));
    double lambda = 0;
    for (size_t r = 0; r < group.size(); ++r) {
      lambda += weights.all[r] * World::survival(World::t(group[r]));
    }
    sum += group[row].weight * lambda;
    total += group[row].weight;
  }
  return sum / total;
}

// Negatives kept at a tenth: the mass of the critic must be that of the whole log.
TEST(CriticWeights, OfASampleOnTheOutcomeNeedTheJourneyWeightsInTheSoftmax) {
  constexpr int64_t kSamples = 12;
  double weighted = 0, weighted_squares = 0, bare = 0, whole = 0;
  for (uint64_t sample = 0; sample < kSamples; ++sample) {
    std::vector<CriticJourney> kept;
    double sum = 0;
    for (uint64_t number = 0; number < 2500; ++number) {
      CriticJourney of = World::draw(sample * 2500 + number);
      const double survival = World::survival(World::t(of));
      sum += survival;
      Rng rng(13, Stream::test, of.user);
      const bool positive = !rng.bernoulli(survival);
      if (!positive && !rng.bernoulli(0.1)) continue;
      of.weight = positive ? 1 : 10;
      kept.push_back(std::move(of));
    }
    whole += sum / 2500 / kSamples;  // E[f(t)] = E[Lambda(x)]
    const double value = mean_lambda(kept, true);
    weighted += value / kSamples;
    weighted_squares += value * value / kSamples;
    bare += mean_lambda(kept, false) / kSamples;
  }
  const double error =
      std::sqrt((weighted_squares - weighted * weighted) / static_cast<double>(kSamples - 1));
  const double tolerance = 5 * error + 0.002;
  EXPECT_NEAR(weighted, whole, tolerance);
  EXPECT_GT(std::fabs(bare - whole), 2 * tolerance) << "the omission is not noticed";
}

// ---- the check of a whole bundle ------------------------------------------------------------

class CriticCheck : public testing::Test {
 protected:
  static constexpr int64_t kRows = 2300;  // two groups and something left over

  void make(const ModelOptions& options) {
    LevelBOptions level;
    level.clusters = 12;
    const std::unique_ptr<Simulator> simulator = make_level_b(level, shape_by_name("tiny"));
    simulator->append(0, kRows, rows_);
    for (int64_t row = 0; row < kRows; ++row) rows_.weight.push_back(row % 3 == 0 ? 2.5f : 1.0f);
    io::LogSchema schema = simulator->schema();
    schema.weight = true;
    log_ = std::make_shared<MemoryLog>(schema, rows_);
    const std::unique_ptr<Communicator> world = make_self_communicator();
    const io::UserFilter everyone = [](uint64_t) { return true; };
    FirstPass pass = first_pass(log_, options, std::span(&everyone, 1), everyone, 1, *world);
    bundle_.stats = std::make_shared<FeatureStats>(std::move(pass.stats));
    bundle_.options = options;
    bundle_.positions = 16;
    bundle_.holdout = 0;
    const std::unique_ptr<Model> model = bundle_.make_model();
    for (const std::string& fit : {std::string(kMainFit), fold_fit(0), fold_fit(1)}) {
      ModelWeights weights = model->fresh_weights(1);
      Rng draw(2, Stream::test, bundle_.fits.size());
      for (float& value : weights.dense) value = static_cast<float>(0.25 * draw.normal());
      for (const ParameterLayout::Entry& entry : model->layout().entries()) {
        if (!entry.name.starts_with("critic/")) continue;  // of some strength: there are holes
        for (float& value : entry.tensor.vector(weights.dense.data())) value *= 1.6f;
      }
      bundle_.fits[fit] = std::move(weights);
    }
  }
  io::Json estimates(Communicator& world, int64_t threads) const {
    Compute compute(make_cpu_device("auto"), threads);
    return make_estimates({log_, bundle_, compute, world}).json;
  }
  io::Json estimates() const { return estimates(*make_self_communicator(), 1); }

  // All journeys, as the check draws them.
  std::vector<CriticJourney> drawn(const AlmMta& model, Compute& compute,
                                   const std::string& fit) const {
    CriticSample sample(model, bundle_.fits.at(fit), compute, 1);
    sample.add(rows_, 0);
    return gather(sample.take(), *make_self_communicator());
  }

  io::Journeys rows_;
  std::shared_ptr<const io::Log> log_;
  Bundle bundle_;
};

TEST_F(CriticCheck, ThePairsSurvivalIsTheModelsOfTheTouchesUnderTheOtherContext) {
  make(model_options_by_name("tiny"));
  Compute compute(make_cpu_device("auto"), 1);
  const std::unique_ptr<Model> owner = bundle_.make_model();
  const AlmMta& model = dynamic_cast<const AlmMta&>(*owner);
  const ModelWeights& weights = bundle_.fits.at(kMainFit);
  const std::vector<CriticJourney> all = drawn(model, compute, kMainFit);
  ASSERT_EQ(std::ssize(all), kRows);
  const size_t dense = static_cast<size_t>(bundle_.stats->schema.dense);
  Inputs& inputs = compute.thread(0).inputs;
  for (size_t at = 0; at + 1 < 60; ++at) {
    io::Journeys pair;
    pair.append(rows_, all[at + 1].row, bundle_.stats->schema);
    std::copy_n(&rows_.dense[static_cast<size_t>(all[at].row) * dense], dense, pair.dense.begin());
    inputs.fill(pair, model.stats(), model.options(), model.positions());
    const AlmMta::Scores scores =
        model.score(compute.pass(0, weights.dense.data(), nullptr), inputs, weights);
    EXPECT_NEAR(model.survival_of_pair(weights, all[at + 1].touches.data(), all[at].context.data()),
                1 / (1 + std::exp(double{scores.confounding(0, 0)})), 1e-5);
  }
}

TEST_F(CriticCheck, EveryNumberIsItsDefinitionOverWholeGroups) {
  ModelOptions options = model_options_by_name("tiny");
  options.critic_top_k = 64;
  make(options);
  Compute compute(make_cpu_device("auto"), 1);
  const std::unique_ptr<Model> owner = bundle_.make_model();
  const AlmMta& model = dynamic_cast<const AlmMta&>(*owner);
  const ModelWeights& weights = bundle_.fits.at(kMainFit);
  const std::vector<CriticJourney> all = drawn(model, compute, kMainFit);
  std::map<std::string, double> sums;
  std::map<int64_t, std::pair<double, double>> holes;
  double total = 0, second_bias = 0;
  for (size_t first : {0, 1024}) {
    for (size_t i = first; i < first + 1024; ++i) {
      const CriticJourney& own = all[i];
      double mass = 0, squares = 0, lambda = 0, plain = 0, plain_mass = 0;
      std::vector<std::pair<double, double>> terms;  // weight, survival
      std::map<int64_t, double> shown, base;
      std::map<int64_t, int64_t> journeys;
      double everyone = 0;
      for (size_t r = first; r < first + 1024; ++r) {
        const CriticJourney& other = all[r];
        everyone += other.weight;
        double score = 0;
        for (size_t at = 0; at < own.x.size(); ++at) {
          score += double{own.x[at]} * double{other.y[at]};
        }
        const double w = other.user == own.user ? 0 : other.weight * std::exp(score);
        const double s = model.survival_of_pair(weights, other.touches.data(), own.context.data());
        terms.emplace_back(w, s);
        mass += w;
        squares += w * w;
        lambda += w * s;
        plain += other.user == own.user ? 0 : other.weight * s;
        plain_mass += other.user == own.user ? 0 : other.weight;
        for (const int64_t k : other.clusters) {
          shown[k] += w;
          base[k] += other.weight;
          ++journeys[k];
        }
      }
      std::ranges::sort(terms, std::greater<>());
      double top = 0, top16 = 0, top_lambda = 0;
      for (size_t at = 0; at < 64; ++at) {
        top += terms[at].first;
        top_lambda += terms[at].first * terms[at].second;
        if (at == 15) top16 = top;
      }
      total += own.weight;
      sums["critic"] += own.weight * top_lambda / top;
      sums["uniform"] += own.weight * plain / plain_mass;
      sums["second_stage"] += own.weight * own.second_stage;
      sums["captured_mass"] += own.weight * top / mass;
      sums["mass_top16"] += own.weight * top16 / mass;
      sums["ess"] += own.weight * mass * mass / squares;
      sums["squares"] += own.weight * std::pow(top_lambda / top - own.second_stage, 2);
      sums["all error"] += own.weight * (lambda / mass - own.truth);
      second_bias += own.weight * (own.second_stage - own.truth);
      for (const auto& [k, count] : journeys) {
        if (count < 20) continue;
        holes[k].second += own.weight;
        if (shown[k] / mass < 0.1 * base[k] / everyone) holes[k].first += own.weight;
      }
    }
  }
  const io::Json json = estimates();
  const io::Json& lambda = json.at("identification").at("lambda");
  for (const char* key :
       {"critic", "uniform", "second_stage", "captured_mass", "mass_top16", "ess"}) {
    EXPECT_NEAR(lambda.at(key).get<double>(), sums[key] / total, 1e-6 * sums[key] / total) << key;
  }
  EXPECT_NEAR(lambda.at("disagreement").get<double>(), std::sqrt(sums["squares"] / total), 1e-7);
  EXPECT_NEAR(lambda.at("difference").get<double>(),
              (sums["critic"] - sums["second_stage"]) / total, 1e-7);
  EXPECT_EQ(lambda.at("groups"), 2);
  EXPECT_EQ(lambda.at("group_size"), 1024);
  EXPECT_EQ(lambda.at("weights"), "top 64");
  EXPECT_NEAR(json.at("truth").at("lambda").at("all").at("bias").get<double>(),
              sums["all error"] / total, 1e-7);
  EXPECT_NEAR(json.at("truth").at("lambda").at("second_stage").at("bias").get<double>(),
              second_bias / total, 1e-7);
  // Holes from 5 % on, widest first.
  std::map<int64_t, double> named;
  double before = 1;
  for (const io::Json& hole : json.at("identification").at("overlap").at("holes")) {
    const double share = hole.at("share");
    EXPECT_LE(share, before);
    before = share;
    named[hole.at("cluster")] = share;
  }
  int64_t wanted = 0;
  for (const auto& [k, of] : holes) {
    if (of.first < 0.05 * of.second) continue;
    ++wanted;
    ASSERT_EQ(named.count(k), 1u) << k;
    EXPECT_NEAR(named[k], of.first / of.second, 1e-9);
  }
  EXPECT_EQ(std::ssize(named), wanted);
  EXPECT_GT(wanted, 0);
}

TEST_F(CriticCheck, IsTheSameForAnyNumberOfRanksThreadsAndFolds) {
  for (const int64_t folds : {1, 2}) {
    make(model_options_by_name("tiny"));
    bundle_.folds = folds;
    const io::Json alone = estimates();
    ASSERT_TRUE(alone.at("identification").at("lambda").is_object());
    for (const int64_t ranks : {2, 3, 4}) {
      ThreadWorld(ranks).run([&](Communicator& world) {
        const io::Json json = estimates(world, 2);
        if (world.rank() != 0) return;
        EXPECT_EQ(json.at("identification"), alone.at("identification")) << ranks;
        EXPECT_EQ(json.at("truth"), alone.at("truth")) << ranks;
      });
    }
    rows_ = {};
    bundle_.fits.clear();
  }
}

TEST_F(CriticCheck, SaysWhyThereIsNone) {
  ModelOptions options = model_options_by_name("tiny");
  options.critic = false;
  make(options);
  const io::Json json = estimates();
  EXPECT_TRUE(json.at("identification").at("lambda").is_null());
  EXPECT_NE(json.at("identification").at("lambda_why").get<std::string>().find("--critic off"),
            std::string::npos);
  EXPECT_TRUE(json.at("identification").at("overlap").at("holes").is_null());
  EXPECT_EQ(json.at("identification").at("overlap").at("holes_why"),
            "not looked for; that takes the critic (--critic off)");
}

}  // namespace
}  // namespace alm
