// Logs that kept only a share of the journeys without an outcome: with /journey/weight every number
// is that of the whole log, and each number shows it where the weight is left out.
//
// One model of arbitrary weights scores a whole log and samples of it. The mean over many samples
// must be the whole log's number within its own Monte Carlo error; without the column it must not.
// Negatives of long and short journeys (arm logs: of the two kinds of X) are kept at two rates:
// under one rate the area under the ROC curve, which compares positives with negatives, would not
// move.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "engine/estimate/arm_estimates.h"
#include "engine/estimate/arm_nuisance_source.h"
#include "engine/estimate/backdoor_fit.h"
#include "engine/estimate/coordinator.h"
#include "engine/simulate/simulator.h"
#include "kernels/base/rng.h"
#include "tests/engine/memory_log.h"

namespace alm {
namespace {

constexpr int64_t kRows = 4000;
constexpr double kKeep = 0.1;
constexpr int64_t kClusters = 6;
constexpr int64_t kSamples = 20;
// The one check: the mean over the samples is within so many Monte Carlo errors of the whole log's.
constexpr double kErrors = 5;

using Quantities = std::map<std::string, double>;

bool everyone(uint64_t) {
  return true;
}

// At which a negative is kept.
double rate_of(const io::Journeys& whole, int64_t row) {
  const bool arm_log = !whole.cat.empty();
  const bool often =
      arm_log ? whole.cat[static_cast<size_t>(row)] == 1 : whole.touches_of(row) <= 3;
  return often ? 3 * kKeep : kKeep;
}

// Rows of `whole`, the negatives each kept with its probability and weighted by the inverse.
io::Journeys sample_of(const io::Journeys& whole, const io::LogSchema& schema, uint64_t number) {
  io::Journeys sample;
  for (int64_t row = 0; row < whole.size(); ++row) {
    const size_t i = static_cast<size_t>(row);
    const double rate = rate_of(whole, row);
    const bool positive = whole.outcome[i] == 1;
    Rng rng(number, Stream::test, static_cast<uint64_t>(row));
    if (!positive && !rng.bernoulli(rate)) continue;
    sample.append(whole, row, schema);
    sample.weight.push_back(static_cast<float>(positive ? 1 : 1 / rate));
  }
  return sample;
}

class KeptNegatives : public testing::Test {
 protected:
  KeptNegatives() : compute_(make_cpu_device("auto"), 1), world_(make_self_communicator()) {}

  // A log of a simulator and fits of arbitrary weights.
  void make(const Simulator& simulator) {
    schema_ = simulator.schema();
    simulator.append(0, kRows, whole_);
    const io::UserFilter all = everyone;
    FirstPass pass = first_pass(log_of(whole_), model_options_by_name("tiny"), std::span(&all, 1),
                                everyone, 1, *world_);
    bundle_.stats = std::make_shared<FeatureStats>(std::move(pass.stats));
    bundle_.options = model_options_by_name("tiny");
    bundle_.positions = 16;
    bundle_.holdout = 0;
    model_ = bundle_.make_model();
    for (const std::string& fit : {std::string(kMainFit), half_fit(0), half_fit(1)}) {
      bundle_.fits[fit] = arbitrary_weights(bundle_.fits.size() + 1);
    }
  }
  void make_sequence_log() {
    LevelBOptions level;
    level.clusters = kClusters;
    level.rare = true;
    make(*make_level_b(level, shape_by_name("tiny")));
  }

  ModelWeights arbitrary_weights(uint64_t seed) const {
    ModelWeights weights = model_->fresh_weights(seed);
    for (const ParameterLayout::Entry& entry : model_->layout().entries()) {
      const std::span<float> values = entry.tensor.vector(weights.dense.data());
      Rng rng(seed, Stream::test, static_cast<uint64_t>(entry.tensor.offset));
      for (float& value : values) value = static_cast<float>(0.25 * rng.normal());
      // Some mediators are nearly sure, so that floors act.
      if (entry.name == "mediator/cluster_bias") values[1] = schema_.is_arm_log() ? 6 : 4;
    }
    return weights;
  }

  std::shared_ptr<const io::Log> log_of(const io::Journeys& rows) const {
    io::LogSchema schema = schema_;
    schema.weight = !rows.weight.empty();
    return std::make_shared<MemoryLog>(schema, rows);
  }

  // Everything the program reports of a log that a weight enters.
  Quantities estimates(const io::Journeys& rows) {
    const std::shared_ptr<const io::Log> log = log_of(rows);
    FittedBackdoor backdoor = fit_backdoor(log, *bundle_.stats, everyone, compute_, *world_);
    Quantities result;
    for (size_t at = 0; at < backdoor.coefficients.size(); ++at) {
      result["back-door coefficient/" + std::to_string(at)] = backdoor.coefficients[at];
    }
    bundle_.backdoor = {std::move(backdoor)};
    if (bundle_.tabular) {
      bundle_.tabular_counts = {count_nuisances(log, everyone, compute_, *world_, "")};
      add_counted(result);
    }
    const io::Json json = make_estimates({log, bundle_, compute_, *world_}).json;
    for (const char* key : {"auc", "logloss", "rig", "pcoc", "ece"}) {
      result[std::string("prediction/") + key] = json.at("prediction").at(key);
    }
    result["mediator variance"] = json.at("identification").at("mediator_variance_share");
    if (!schema_.is_arm_log()) {
      const io::Json& lambda = json.at("identification").at("lambda");
      for (const char* key : {"critic", "uniform"}) {
        result[std::string("lambda ") + key] = lambda.at(key);
      }
    }
    for (const io::Json& effect : json.at("effects")) {
      const std::string at = "/" + std::to_string(effect.at("cluster").get<int64_t>());
      result["naive" + at] = effect.at("naive");
      result["back-door effect" + at] = effect.at("backdoor");
      for (const char* estimand : {"do", "ett", "removal"}) {
        if (!effect.contains(estimand)) continue;
        for (const char* key : {"plugin", "one_step", "one_step_raw", "clipped_share"}) {
          const auto found = effect.at(estimand).find(key);
          if (found == effect.at(estimand).end() || found->is_null()) continue;
          result[std::string(estimand) + " " + key + at] = *found;
        }
      }
    }
    if (json.contains("truth")) {
      for (const char* key : {"ratio", "touch_sd", "touch_rmse", "ate_error"}) {
        result[std::string("truth ") + key] = json.at("truth").at(key);
      }
    }
    for (const auto& [gains, area] : json.at("grouped_auuc").items()) {
      if (!area.is_object() || !area.contains("overall")) continue;
      result["grouped area/" + gains] = area.at("overall").at("raw_area");
      result["grouped touches/" + gains] = area.at("overall").at("weight");
    }
    if (json.at("auuc").is_array()) {
      for (const io::Json& area : json.at("auuc")) {
        const std::string at = "/" + std::to_string(area.at("cluster").get<int64_t>());
        for (const char* key : {"auuc_sk", "qini_sk", "treated", "control"}) {
          result[key + at] = area.at(key);
        }
      }
    }
    return result;
  }

  // The counted nuisances of an arm log themselves.
  void add_counted(Quantities& result) const {
    const std::unique_ptr<const TabularNuisances> counted =
        std::move(tabular_nuisances(bundle_).front());
    for (int64_t x = 0; x < 2; ++x) {
      const ArmNuisances at = counted->at({&x, 1});
      for (int64_t arm = 0; arm < at.arms(); ++arm) {
        const std::string of = "/" + std::to_string(10 * x + arm);
        result["counted mediator" + of] = at.p(1, arm);
        result["counted outcome 0" + of] = at.mu(0, arm);
        result["counted outcome 1" + of] = at.mu(1, arm);
        result["counted propensity" + of] = at.pi(arm);
      }
    }
  }

  // The losses that fits descend and early stopping watches, as means, and the gradient.
  Quantities losses(const io::Journeys& rows) {
    const ModelWeights& weights = bundle_.fits.at(kMainFit);
    Inputs& inputs = compute_.thread(0).inputs;
    inputs.fill(rows, *bundle_.stats, bundle_.options, bundle_.positions);
    std::vector<float> gradient(weights.dense.size());
    LossSums sums{};
    LossSums refit{};
    std::vector<float> refit_gradient(weights.dense.size());
    RowGradients uses;
    model_->loss(compute_.pass(0, weights.dense.data(), gradient.data()), inputs, weights, sums,
                 &uses);
    Quantities result{{"loss mediator", sums.mediator / sums.weight},
                      {"loss outcome", sums.outcome / sums.weight}};
    if (schema_.is_arm_log()) {
      result["loss propensity"] = sums.propensity / sums.weight;
    } else {
      inputs.fill_removal(*bundle_.stats, kClusters, 0, true);
      model_->refit_loss(compute_.pass(0, weights.dense.data(), refit_gradient.data()), inputs,
                         weights, refit);
      result["loss second stage"] = sums.second_stage / sums.weight;
      result["loss second stage, refit"] = refit.second_stage / refit.weight;
    }
    // Along some direction of each tensor.
    for (const ParameterLayout::Entry& entry : model_->layout().entries()) {
      Rng rng(7, Stream::test, static_cast<uint64_t>(entry.tensor.offset));
      double sum = 0, refit_sum = 0;
      for (int64_t at = 0; at < entry.tensor.size(); ++at) {
        const size_t place = static_cast<size_t>(entry.tensor.offset + at);
        const double direction = rng.normal();
        sum += gradient[place] * direction;
        refit_sum += refit_gradient[place] * direction;
      }
      result["gradient/" + entry.name] = sum / sums.weight;
      if (refit.weight > 0) result["refit gradient/" + entry.name] = refit_sum / refit.weight;
    }
    return result;
  }

  template <class Evaluate>
  void expect_weights_matter(const Evaluate& evaluate) {
    const Quantities whole = evaluate(whole_);
    struct Moments {
      double sum = 0, squares = 0;
      // Monte Carlo errors between the mean over the samples and a number.
      double errors_from(double value) const {
        const double n = static_cast<double>(kSamples);
        const double mean = sum / n;
        const double variance = std::max(squares / n - mean * mean, 1e-20) / (n - 1);
        return std::fabs(mean - value) / std::sqrt(variance);
      }
    };
    std::map<std::string, Moments> weighted, bare;
    for (uint64_t number = 1; number <= kSamples; ++number) {
      io::Journeys sample = sample_of(whole_, schema_, number);
      const auto add = [&](std::map<std::string, Moments>& to) {
        for (const auto& [name, value] : evaluate(sample)) {
          to[name].sum += value - whole.at(name);
          to[name].squares += (value - whole.at(name)) * (value - whole.at(name));
        }
      };
      add(weighted);
      sample.weight.clear();
      add(bare);
    }
    ASSERT_EQ(weighted.size(), whole.size());
    std::map<std::string, double> worst;  // by what stands before "/"
    for (const auto& [name, value] : whole) {
      EXPECT_LT(weighted.at(name).errors_from(0), kErrors) << name << " of " << value;
      double& most = worst[name.substr(0, name.find('/'))];
      if (name.starts_with("prediction")) worst[name] = bare.at(name).errors_from(0);
      most = std::max(most, bare.at(name).errors_from(0));
    }
    for (const auto& [name, most] : worst) {
      EXPECT_GT(most, kErrors) << name << " does not notice that the weights are missing";
    }
  }

  Compute compute_;
  std::unique_ptr<Communicator> world_;
  io::LogSchema schema_;
  io::Journeys whole_;
  Bundle bundle_;
  std::unique_ptr<Model> model_;
};

TEST_F(KeptNegatives, EstimatesAreThoseOfTheWholeLogAndOthersWithoutWeights) {
  make_sequence_log();
  expect_weights_matter([&](const io::Journeys& rows) { return estimates(rows); });
}

TEST_F(KeptNegatives, LossesAndGradientsAreThoseOfTheWholeLogAndOthersWithoutWeights) {
  make_sequence_log();
  expect_weights_matter([&](const io::Journeys& rows) { return losses(rows); });
}

// X has two values: the order of the predictions hardly depends on which negatives were kept.
TEST_F(KeptNegatives, EstimatesOfAnArmLogAreThoseOfTheWholeLogAndOthersWithoutWeights) {
  make(*make_level_a(5));
  expect_weights_matter([&](const io::Journeys& rows) {
    Quantities result = estimates(rows);
    result.erase("prediction/auc");
    return result;
  });
}

// Of what rests on the counts: where they follow the sample, predictions do so too and fit it.
TEST_F(KeptNegatives, CountedNuisancesOfAnArmLogAreThoseOfTheWholeLogAndOthersWithoutWeights) {
  make(*make_level_a(5));
  bundle_.tabular = true;
  expect_weights_matter([&](const io::Journeys& rows) {
    Quantities result = estimates(rows);
    std::erase_if(result, [](const auto& of) {
      const std::string& name = of.first;
      return !(name.starts_with("counted") || name.starts_with("do ") ||
               name.starts_with("ett ")) ||
             name.find("clipped") != std::string::npos;
    });
    return result;
  });
}

TEST_F(KeptNegatives, LossesOfAnArmLogAreThoseOfTheWholeLogAndOthersWithoutWeights) {
  make(*make_level_a(5));
  expect_weights_matter([&](const io::Journeys& rows) { return losses(rows); });
}

}  // namespace
}  // namespace alm
