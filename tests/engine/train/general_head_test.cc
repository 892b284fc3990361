// --outcome-head general from end to end: a law with an interaction that the separable head cannot
// hold, numbers that no ranks or threads change, and what a run with it says of what it lacks.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "engine/estimate/coordinator.h"
#include "engine/estimate/sequence_scorer.h"
#include "engine/simulate/simulator.h"
#include "engine/train/run_dir.h"
#include "engine/train/trainer.h"
#include "kernels/base/rng.h"
#include "tests/engine/estimate/thread_world.h"
#include "tests/engine/train/memory_run.h"

namespace alm {
namespace {

ModelOptions options_of(OutcomeHead head) {
  ModelOptions options = model_options_by_name("tiny");
  options.outcome_head = head;
  return options;
}

using GeneralHeadRun = MemoryRun;

// Two touches, of clusters 0 or 1 and then 2 or 3; a hidden U moves both and the outcome. The first
// mediator acts where the second touch is of cluster 3, and nowhere else:
//   P(Y=1 | m, T, U) = .08 + .25 U + .5 m_1 1{second is 3} + .1 m_2,   P(m_1 = 1) = .5 - .2 c_1.
constexpr double kJoint = 0.5;
double law_of_first(int64_t cluster) {
  return cluster == 0 ? 0.5 : 0.3;
}

struct InteractionLog {
  io::LogSchema schema;
  io::Journeys rows;
};
InteractionLog interaction_log(int64_t journeys) {
  InteractionLog log;
  log.schema.clusters = 4;
  log.schema.dense = 1;
  log.schema.mediator = true;
  for (int64_t row = 0; row < journeys; ++row) {
    Rng rng(5, Stream::test, static_cast<uint64_t>(row));
    const bool u = rng.bernoulli(0.5);
    const bool first = rng.bernoulli(u ? 0.7 : 0.3), second = rng.bernoulli(u ? 0.65 : 0.35);
    const bool m1 = rng.bernoulli(law_of_first(first)), m2 = rng.bernoulli(0.4);
    const double p = 0.08 + 0.25 * u + kJoint * (m1 && second) + 0.1 * m2;
    log.rows.row.push_back(row);
    log.rows.user.push_back(static_cast<uint64_t>(row));
    log.rows.outcome.push_back(static_cast<float>(rng.bernoulli(p)));
    log.rows.dense.push_back(static_cast<float>(rng.normal()));
    log.rows.cluster.insert(log.rows.cluster.end(), {uint32_t{first}, 2 + uint32_t{second}});
    log.rows.mediator.insert(log.rows.mediator.end(),
                             {static_cast<uint8_t>(m1), static_cast<uint8_t>(m2)});
    log.rows.touch_begin.push_back(2 * row + 2);
  }
  return log;
}

TEST_F(GeneralHeadRun, HoldsAnInteractionThatTheSeparableHeadAveragesAway) {
  const InteractionLog log = interaction_log(16'000);
  TrainOptions options;
  options.batch = 128;
  options.epochs = 8;
  options.holdout = 0.25;
  options.deterministic = true;
  double log_loss[2] = {};
  for (const OutcomeHead head : {OutcomeHead::separable, OutcomeHead::general}) {
    options.model = options_of(head);
    const std::string name = outcome_head_name(head);
    const Bundle bundle = trained(log.schema, log.rows, options, name);
    const std::unique_ptr<Model> model = bundle.make_model();
    SequenceScorer scorer(dynamic_cast<const AlmMta&>(*model), bundle.fits.at(kMainFit), compute_);
    const SequenceScores& scores = scorer.score(log.rows, 0);
    // Error of the effect of first touches, by what the second is.
    double error[2] = {}, journeys[2] = {};
    for (int64_t row = 0; row < log.rows.size(); ++row) {
      const size_t touch = static_cast<size_t>(2 * row);
      const bool joint = log.rows.cluster[touch + 1] == 3;
      const double truth = joint ? kJoint * law_of_first(log.rows.cluster[touch]) : 0;
      error[joint] += scores.ett[touch] - truth;
      ++journeys[joint];
    }
    const double alone = error[0] / journeys[0], together = error[1] / journeys[1];
    if (head == OutcomeHead::general) {
      EXPECT_NEAR(alone, 0, 0.025);
      EXPECT_NEAR(together, 0, 0.025);
    } else {
      EXPECT_GT(alone, 0.05) << "there is nothing to hold";
      EXPECT_LT(together, -0.05) << "there is nothing to hold";
    }
    const double loss = estimates_.at("prediction").at("logloss").get<double>();
    log_loss[head == OutcomeHead::general] = loss;
    std::printf("%s: log loss %.3f, first touches off by %.3f and %.3f\n", name.c_str(), loss,
                alone, together);
    EXPECT_EQ(estimates_.at("outcome_head"), name);
  }
  EXPECT_LT(log_loss[1], log_loss[0] - 0.005);
}

TEST_F(GeneralHeadRun, EstimatesAreTheSameOnAnyRanksAndThreads) {
  LevelBOptions level;
  level.clusters = 6;
  const std::unique_ptr<Simulator> simulator = make_level_b(level, shape_by_name("tiny"));
  io::Journeys rows;
  simulator->append(0, 1500, rows);
  // Journeys of more touches than are enumerated, and mediators that are not known.
  for (size_t touch = 0; touch < rows.mediator.size(); touch += 7) rows.mediator[touch] = 255;
  const auto log = std::make_shared<MemoryLog>(simulator->schema(), rows);
  for (const int64_t folds : {1, 2}) {
    Bundle bundle;
    const io::UserFilter everyone = [](uint64_t) { return true; };
    const ModelOptions options = options_of(OutcomeHead::general);
    FirstPass pass = first_pass(log, options, std::span(&everyone, 1), everyone, 1, *world_);
    bundle.stats = std::make_shared<FeatureStats>(std::move(pass.stats));
    bundle.options = options;
    bundle.positions = 16;
    bundle.holdout = 0;
    bundle.folds = folds;
    const std::unique_ptr<Model> model = bundle.make_model();
    for (const std::string& fit :
         {std::string(kMainFit), half_fit(0), half_fit(1), fold_fit(0), fold_fit(1)}) {
      ModelWeights weights = model->fresh_weights(1);
      Rng draw(2, Stream::test, bundle.fits.size());
      for (float& value : weights.dense) value = static_cast<float>(0.25 * draw.normal());
      bundle.fits[fit] = std::move(weights);
    }
    const auto estimates = [&](Communicator& world, int64_t threads) {
      Compute compute(make_cpu_device("auto"), threads);
      Estimates made = make_estimates({log, bundle, compute, world});
      if (world.rank() == 0) made.json.erase("world_size");
      return io::Json{{"estimates", made.json}, {"examples", made.examples}};
    };
    const io::Json alone = estimates(*world_, 1);
    const io::Json& ett = alone.at("estimates").at("effects").at(0).at("ett");
    EXPECT_GT(ett.at("monte_carlo").at("plugin_se").get<double>(), 0) << "nothing was drawn";
    EXPECT_LT(ett.at("monte_carlo").at("plugin_se").get<double>(),
              0.1 * ett.at("se").get<double>());
    EXPECT_EQ(estimates(*world_, 3).dump(), alone.dump());
    for (const int64_t ranks : {2, 3, 4}) {
      ThreadWorld(ranks).run([&](Communicator& world) {
        const io::Json json = estimates(world, 1 + ranks % 2);
        if (world.rank() != 0) return;
        EXPECT_EQ(json.dump(), alone.dump()) << ranks;
      });
    }
  }
}

TEST_F(GeneralHeadRun, GivesEttAloneAndSaysWhy) {
  LevelBOptions level;
  level.clusters = 5;
  const std::unique_ptr<Simulator> simulator = make_level_b(level, shape_by_name("tiny"));
  io::Journeys rows;
  simulator->append(0, 12'000, rows);
  TrainOptions options;
  options.batch = 64;
  options.epochs = 2;
  options.holdout = 0.4;
  options.bootstrap_fits = 2;
  options.model = options_of(OutcomeHead::general);
  const Bundle bundle = trained(simulator->schema(), rows, options, "run");
  EXPECT_EQ(bundle.options.outcome_head, OutcomeHead::general);
  EXPECT_EQ(estimates_.at("outcome_head"), "general");
  EXPECT_NE(estimates_.at("estimand_note").get<std::string>().find("ett.plugin"),
            std::string::npos);
  ASSERT_EQ(estimates_.at("effects").size(), 5U);
  for (const io::Json& effect : estimates_.at("effects")) {
    for (const char* estimand : {"do", "removal"}) {
      for (const char* key : {"plugin", "one_step", "se", "ci95"}) {
        EXPECT_TRUE(effect.at(estimand).at(key).is_null()) << estimand << " " << key;
      }
      EXPECT_NE(effect.at(estimand).at("why").get<std::string>().find("--outcome-head separable"),
                std::string::npos);
      EXPECT_FALSE(effect.at(estimand).contains("bootstrap"));
    }
    EXPECT_TRUE(effect.at("ett").at("ci95").is_array());
    EXPECT_TRUE(effect.at("ett").at("bootstrap").at("one_step").at("se").is_number());
    EXPECT_TRUE(effect.at("truth").at("do").is_null());
    EXPECT_TRUE(effect.at("truth").at("ett").is_number());
  }
  EXPECT_TRUE(estimates_.at("policy").is_array());
  EXPECT_TRUE(estimates_.at("grouped_auuc").at("front_door").is_object());
  EXPECT_EQ(estimates_.at("truth").at("estimand"), "ett");
  EXPECT_TRUE(estimates_.at("truth").at("cluster_spearman").is_number());
  EXPECT_FALSE(estimates_.at("truth").contains("removal_spearman"));
  const io::Json& identification = estimates_.at("identification");
  EXPECT_TRUE(identification.at("lambda").is_null());
  EXPECT_NE(identification.at("lambda_why").get<std::string>().find("general head"),
            std::string::npos);
  EXPECT_TRUE(identification.at("overlap").at("removal_mean_ratio").is_null());
  EXPECT_TRUE(identification.at("overlap").at("holes").is_null());
  const std::string no_holes = identification.at("overlap").at("holes_why").get<std::string>();
  EXPECT_TRUE(no_holes.starts_with("not looked for; that takes the critic")) << no_holes;
  EXPECT_NE(no_holes.find("general head has none"), std::string::npos) << no_holes;
}

TEST_F(GeneralHeadRun, HasNoTruthToStandAgainstWhereTheLogKnowsNoEtt) {
  LevelBOptions level;
  level.clusters = 5;
  level.feedback = true;
  const std::unique_ptr<Simulator> simulator = make_level_b(level, shape_by_name("tiny"));
  io::Journeys rows;
  simulator->append(0, 3000, rows);
  TrainOptions options;
  options.batch = 64;
  options.epochs = 1;
  options.holdout = 0.4;
  options.model = options_of(OutcomeHead::general);
  trained(simulator->schema(), rows, options, "run");
  EXPECT_TRUE(estimates_.at("truth").is_null());
  EXPECT_NE(estimates_.at("truth_why").get<std::string>().find("feedback"), std::string::npos);
}

}  // namespace
}  // namespace alm
