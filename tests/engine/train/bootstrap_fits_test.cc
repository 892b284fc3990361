// The user bootstrap with refitted nuisances: a replicate is the ordinary training of a log that
// carries its weights, and its spread is the error it claims to be.
#include "engine/train/bootstrap_fits.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "engine/estimate/bootstrap.h"
#include "engine/estimate/effect_replicates.h"
#include "engine/simulate/simulator.h"
#include "engine/train/run_dir.h"
#include "io/weighted_log.h"
#include "tests/engine/train/memory_run.h"

namespace alm {
namespace {

constexpr int64_t kClusters = 5;

TEST(UserWeights, ArePoissonOfMeanOneAndGoByUserAndReplicate) {
  constexpr int64_t kUsers = 100'000;
  int64_t counts[5] = {};
  double products = 0;
  const uint64_t seeds[2] = {replicate_seed(7, 0), replicate_seed(7, 1)};
  for (uint64_t user = 0; user < kUsers; ++user) {
    const int one = user_weight(user, seeds[0]);
    ASSERT_EQ(one, user_weight(user, seeds[0]));
    ++counts[std::min(one, 4)];
    products += (one - 1.0) * (user_weight(user, seeds[1]) - 1.0);
  }
  double chance = std::exp(-1.0), left = 1;
  for (int k = 0; k < 5; ++k) {
    const double p = k < 4 ? chance : left;
    EXPECT_NEAR(static_cast<double>(counts[k]) / kUsers, p, 5 * std::sqrt(p * (1 - p) / kUsers));
    left -= chance;
    chance /= k + 1;
  }
  EXPECT_LT(std::fabs(products), 5 * std::sqrt(kUsers));
  EXPECT_NE(replicate_seed(7, 0), replicate_seed(8, 0));
}

class BootstrapFits : public MemoryRun {
 protected:
  BootstrapFits() {
    options_.epochs = 2;
    options_.batch = 64;
    options_.seed = 3;
    options_.holdout = 0.4;
    options_.deterministic = true;
    options_.model = model_options_by_name("tiny");
  }

  void make(const Simulator& simulator, int64_t rows) {
    schema_ = simulator.schema();
    simulator.append(0, rows, rows_);
  }
  void make_sequences(int64_t rows) {
    LevelBOptions level;
    level.clusters = kClusters;
    make(*make_level_b(level, shape_by_name("tiny")), rows);
  }

  Bundle trained(const io::Journeys& rows, const TrainOptions& options, const std::string& name) {
    io::LogSchema schema = schema_;
    schema.weight = !rows.weight.empty();
    return MemoryRun::trained(schema, rows, options, name);
  }

  // Value `value` of a cluster in the estimates made last; NaN where it is null.
  double estimated(const ReplicateValue& value, int64_t cluster) const {
    for (const io::Json& effect : estimates_.at("effects")) {
      if (effect.at("cluster") != cluster) continue;
      const io::Json& number = effect.at(value.estimand).at(value.estimate);
      return number.is_number() ? number.get<double>() : NAN;
    }
    return NAN;
  }

  // Every effect of replicate 1 against a training of the log with a column of its weights.
  void expect_ordinary_training() {
    TrainOptions options = options_;
    options.bootstrap_fits = 2;
    const std::vector<std::vector<double>> replicates = trained(rows_, options, "run").replicates;
    ASSERT_EQ(replicates.size(), 2U);
    EXPECT_NE(replicates[0], replicates[1]);

    const uint64_t seed = replicate_seed(options_.seed, 1);
    io::Journeys weighted = rows_;
    for (const uint64_t user : rows_.user) {
      weighted.weight.push_back(static_cast<float>(user_weight(user, seed)));
    }
    options.bootstrap_fits = 0;
    options.seed = seed;
    trained(weighted, options, "weighted");
    const std::span<const ReplicateValue> values = replicate_values(schema_.is_arm_log());
    int64_t compared = 0;
    for (size_t at = 0; at < values.size(); ++at) {
      for (int64_t k = 0; k < schema_.clusters; ++k) {
        const double one =
            replicates[1][at * static_cast<size_t>(schema_.clusters) + static_cast<size_t>(k)];
        const double wanted = estimated(values[at], k);
        if (!std::isfinite(wanted)) continue;
        EXPECT_EQ(one, wanted) << values[at].estimand << "." << values[at].estimate << " of " << k;
        ++compared;
      }
    }
    EXPECT_GE(compared, static_cast<int64_t>(values.size()) * 3);
  }

  TrainOptions options_;
  io::LogSchema schema_;
  io::Journeys rows_;
};

TEST_F(BootstrapFits, AReplicateIsTheOrdinaryTrainingOfALogThatCarriesItsWeights) {
  make_sequences(1201);
  expect_ordinary_training();
}

TEST_F(BootstrapFits, AReplicateOfFoldsFitsThemAll) {
  make_sequences(901);
  options_.folds = 3;
  expect_ordinary_training();
}

TEST_F(BootstrapFits, AReplicateOfAnArmLogIsTheOrdinaryTrainingOfALogThatCarriesItsWeights) {
  make(*make_level_a(5), 1201);
  expect_ordinary_training();
}

TEST_F(BootstrapFits, AReplicateOfCountedNuisancesCountsAgain) {
  make(*make_level_a(5), 1201);
  options_.tabular = true;
  expect_ordinary_training();
}

// A log's own weights stay in what is drawn.
TEST_F(BootstrapFits, WeightsOfTheLogAndOfTheReplicateMultiply) {
  make(*make_level_a(5), 130);
  for (const uint64_t user : rows_.user) rows_.weight.push_back(user % 3 == 0 ? 2.5f : 1.0f);
  schema_.weight = true;
  const auto log = io::weigh_users(std::make_shared<MemoryLog>(schema_, rows_),
                                   [](uint64_t user) { return static_cast<float>(user % 4); });
  io::Journeys block;
  int64_t row = 0;
  for (int64_t at = 0; at < static_cast<int64_t>(log->blocks().size()); ++at) {
    log->read_block(at, io::ColumnSet::model(), block);
    for (size_t i = 0; i < block.user.size(); ++i, ++row) {
      const uint64_t user = block.user[i];
      EXPECT_EQ(user, rows_.user[static_cast<size_t>(row)]);
      EXPECT_EQ(block.weight[i], static_cast<float>(user % 4) * (user % 3 == 0 ? 2.5f : 1.0f));
    }
  }
  EXPECT_EQ(row, 130);
}

// Counted nuisances hardly add to the error: the bootstrap must find the influence function's.
TEST_F(BootstrapFits, FindsTheErrorOfTheOneStepValueAndReportsIt) {
  constexpr int64_t kReplicates = 100;
  make(*make_level_a(5), 6000);
  options_.tabular = true;
  options_.holdout = 0;
  options_.bootstrap_fits = kReplicates;
  const Bundle bundle = trained(rows_, options_, "run");
  const std::span<const ReplicateValue> values = replicate_values(true);
  for (const io::Json& effect : estimates_.at("effects")) {
    const size_t arm = effect.at("cluster").get<size_t>();
    for (size_t at = 0; at < values.size(); ++at) {
      const io::Json& of = effect.at(values[at].estimand);
      const io::Json& boot = of.at("bootstrap").at(values[at].estimate);
      double sum = 0, squares = 0;
      std::multiset<double> sorted;
      for (const std::vector<double>& one : bundle.replicates) {
        const double value = one[at * static_cast<size_t>(schema_.clusters) + arm];
        sum += value;
        sorted.insert(value);
      }
      for (const double value : sorted) {
        squares += (value - sum / kReplicates) * (value - sum / kReplicates);
      }
      const double se = std::sqrt(squares / (kReplicates - 1));
      EXPECT_NEAR(boot.at("se").get<double>(), se, 1e-12);
      const double value = of.at(values[at].estimate);
      EXPECT_NEAR(boot.at("ci95").at(1).get<double>(), value + 1.96 * se, 1e-12);
      // Between the 3rd and the 4th of 100 values.
      EXPECT_GE(boot.at("percentile95").at(0).get<double>(), *std::next(sorted.begin(), 2));
      EXPECT_LE(boot.at("percentile95").at(0).get<double>(), *std::next(sorted.begin(), 3));
      if (values[at].estimate == std::string("one_step")) {
        // A spread of 100 values is known to 1 / sqrt(200) = 7 %.
        EXPECT_NEAR(se / of.at("se").get<double>(), 1, 4 * 0.07) << arm;
      }
    }
  }
}

TEST_F(BootstrapFits, TheDoEffectOfASequenceLogGetsAnIntervalAndNothingElseChanges) {
  make_sequences(4001);
  options_.epochs = 4;
  trained(rows_, options_, "without");
  const io::Json without = estimates_;
  options_.bootstrap_fits = 3;
  trained(rows_, options_, "with");
  int64_t intervals = 0;
  for (io::Json& effect : estimates_.at("effects")) {
    io::Json& of = effect.at("do");
    ASSERT_TRUE(of.at("ci95").is_array());
    EXPECT_EQ(of.at("se"), of.at("bootstrap").at("plugin").at("se"));
    EXPECT_TRUE(of.at("bootstrap").at("plugin").at("percentile95").is_null());  // of three
    ++intervals;
    for (const char* estimand : {"do", "ett", "removal"}) effect[estimand].erase("bootstrap");
  }
  EXPECT_EQ(intervals, kClusters);
  for (size_t at = 0; at < without.at("effects").size(); ++at) {
    io::Json& effect = estimates_.at("effects")[at];
    for (const char* key : {"se", "ci95", "why"}) {
      effect["do"][key] = without.at("effects")[at].at("do").at(key);
    }
  }
  EXPECT_EQ(estimates_, without);
}

TEST_F(BootstrapFits, MoreReplicatesMayBeAddedToAFinishedRun) {
  make_sequences(601);
  options_.bootstrap_fits = 3;
  const std::vector<std::vector<double>> all = trained(rows_, options_, "whole").replicates;
  options_.bootstrap_fits = 2;
  EXPECT_EQ(trained(rows_, options_, "run").replicates.size(), 2U);
  options_.bootstrap_fits = 3;
  options_.resume = true;
  EXPECT_EQ(trained(rows_, options_, "run").replicates, all);
  options_.bootstrap_fits = 2;
  const Bundle fewer = trained(rows_, options_, "run");
  EXPECT_EQ(estimates_.at("effects")[0].at("ett").contains("bootstrap"), true);
  EXPECT_EQ(std::vector(all.begin(), all.begin() + 2),
            std::vector(fewer.replicates.begin(), fewer.replicates.begin() + 2));
}

}  // namespace
}  // namespace alm
