#include "engine/estimate/effect_replicates.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "engine/estimate/arm_effects.h"
#include "engine/estimate/arm_scan.h"
#include "engine/estimate/bootstrap.h"
#include "engine/estimate/fold_batches.h"
#include "engine/estimate/removal_sums.h"
#include "engine/estimate/thin_data.h"
#include "engine/model/scan.h"

namespace alm {
namespace {

constexpr ReplicateValue kArmValues[] = {
    {"do", "plugin"}, {"do", "one_step"}, {"ett", "plugin"}, {"ett", "one_step"}};
constexpr ReplicateValue kSequenceValues[] = {{"do", "plugin"},
                                              {"ett", "plugin"},
                                              {"ett", "one_step"},
                                              {"removal", "plugin"},
                                              {"removal", "one_step"}};
// Fewer replicates have no 2.5 % point.
constexpr size_t kLeastForPercentiles = 40;

// Sums of a sequence log, one set a thread.
struct SequenceReplicate {
  explicit SequenceReplicate(const io::LogSchema& schema)
      : do_plugin(schema.clusters, 1),
        ett_plugin(schema.clusters, 1),
        one_step(schema.clusters, 1),
        removal(schema) {}

  void add(const io::Journeys& journeys, const SequenceScores& scores,
           const RemovalScores* removed) {
    for (size_t i = 0; i < journeys.user.size(); ++i) {
      const double weight = weight_of(journeys, i);
      for (int64_t touch = journeys.touch_begin[i]; touch < journeys.touch_begin[i + 1]; ++touch) {
        const size_t j = static_cast<size_t>(touch);
        const int64_t cluster = journeys.cluster[j];
        if (!scores.do_effect.empty()) {
          do_plugin.add(cluster, journeys.user[i], scores.do_effect[j], weight);
        }
        ett_plugin.add(cluster, journeys.user[i], scores.ett[j], weight);
        if (std::isnan(scores.one_step[j])) continue;
        one_step.add(cluster, journeys.user[i], scores.one_step[j], weight);
      }
    }
    if (removed != nullptr) removal.add(journeys, *removed);
  }
  void merge(const SequenceReplicate& other) {
    do_plugin.merge(other.do_plugin);
    ett_plugin.merge(other.ett_plugin);
    one_step.merge(other.one_step);
    removal.merge(other.removal);
  }
  void reduce(Communicator& world) {
    do_plugin.reduce(world, "bootstrap");
    ett_plugin.reduce(world, "bootstrap");
    one_step.reduce(world, "bootstrap");
    removal.reduce(world);
  }
  // As kSequenceValues.
  std::vector<double> of(int64_t cluster) const {
    return {do_plugin.estimate(cluster).mean, ett_plugin.estimate(cluster).mean,
            one_step.estimate(cluster).mean, removal.plugin(cluster).mean,
            removal.one_step(cluster).mean};
  }

  GroupedSums do_plugin, ett_plugin, one_step;
  RemovalSums removal;
};

struct SequenceThread {
  explicit SequenceThread(int64_t count) : folds(count) {}

  std::vector<std::unique_ptr<SequenceScorer>> main;    // [folds]
  std::vector<std::unique_ptr<RemovalScorer>> removal;  // [folds]; empty with the general head
  FoldBatches folds;
};

std::vector<std::vector<double>> sequence_replicate(const EstimateInputs& inputs) {
  const Bundle& bundle = inputs.bundle;
  const io::LogSchema& schema = inputs.log->schema();
  const std::unique_ptr<Model> owner = bundle.make_model();
  const AlmMta& model = dynamic_cast<const AlmMta&>(*owner);
  std::vector<SequenceThread> threads;
  std::vector<SequenceReplicate> sums;
  for (int64_t thread = 0; thread < inputs.compute.threads(); ++thread) {
    SequenceThread& of = threads.emplace_back(bundle.folds);
    for (int64_t fold = 0; fold < bundle.folds; ++fold) {
      const ModelWeights& weights = bundle.fits.at(bundle.scoring_fit(fold));
      of.main.push_back(std::make_unique<SequenceScorer>(model, weights, inputs.compute));
      if (model.general()) continue;
      of.removal.push_back(std::make_unique<RemovalScorer>(model, weights, inputs.compute));
    }
    sums.emplace_back(schema);
  }
  const auto score = [&](const io::Journeys& journeys, int64_t thread) {
    SequenceThread& of = threads[static_cast<size_t>(thread)];
    of.folds.each(journeys, schema, [&](size_t fold, const io::Journeys& part) {
      const SequenceScores& scores = of.main[fold]->score(part, thread);
      const RemovalScores* const removed =
          of.removal.empty() ? nullptr : &of.removal[fold]->score(part, *of.main[fold], thread);
      sums[static_cast<size_t>(thread)].add(part, scores, removed);
    });
  };
  // The weighted log says which users are scored as the one trained on does: it has its hash.
  scan_log(inputs.log, inputs.compute, inputs.world, scored_users(bundle, *inputs.log).filter,
           io::ColumnSet::model(), "", score);
  for (size_t thread = 1; thread < sums.size(); ++thread) sums[0].merge(sums[thread]);
  sums[0].reduce(inputs.world);
  std::vector<std::vector<double>> rows;
  for (int64_t cluster = 0; cluster < schema.clusters; ++cluster) {
    rows.push_back(sums[0].of(cluster));
  }
  return rows;
}

std::vector<std::vector<double>> arm_replicate(const EstimateInputs& inputs) {
  const io::LogSchema& schema = inputs.log->schema();
  std::vector<ArmEffectSums> sums(static_cast<size_t>(inputs.compute.threads()),
                                  ArmEffectSums(schema.clusters, *schema.reference_cluster));
  scan_arm_rows(
      inputs, scored_users(inputs.bundle, *inputs.log).filter, "",
      [&](const io::Journeys& journeys, size_t row, const ArmNuisances& nuisances, int64_t thread) {
        sums[static_cast<size_t>(thread)].add(journeys.user[row], journeys.cluster[row],
                                              mediator_of(journeys, row), journeys.outcome[row],
                                              weight_of(journeys, row), nuisances);
      });
  for (size_t thread = 1; thread < sums.size(); ++thread) sums[0].merge(sums[thread]);
  sums[0].reduce(inputs.world, "bootstrap");
  std::vector<std::vector<double>> rows;
  for (int64_t arm = 0; arm < schema.clusters; ++arm) {
    if (arm == *schema.reference_cluster) {
      rows.push_back(std::vector<double>(std::size(kArmValues), NAN));
      continue;
    }
    const ArmEffect effect = sums[0].effect(arm);
    rows.push_back({effect.do_effect.plugin.mean, effect.do_effect.one_step.mean,
                    effect.ett.plugin.mean, effect.ett.one_step.mean});
  }
  return rows;
}

// Standard deviation over replicates; NaN where less than half of them have a value.
double spread(const std::vector<double>& all) {
  std::vector<double> values = all;
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  if (values.size() < 2 || values.size() * 2 < all.size()) return NAN;
  const double n = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  for (const double value : values) squares += (value - sum / n) * (value - sum / n);
  return std::sqrt(squares / (n - 1));
}

io::Json error_json(const io::Json& value, const std::vector<double>& replicates) {
  MeanEstimate estimate;
  estimate.mean = value.is_number() ? value.get<double>() : NAN;
  estimate.se = std::isfinite(estimate.mean) ? spread(replicates) : NAN;
  io::Json json;
  put_interval(json, estimate, "", "too few replicates have this value");
  json["percentile95"] = nullptr;
  if (replicates.size() < kLeastForPercentiles) {
    json["percentile95_why"] = "it takes 40 replicates";
    return json;
  }
  const std::array<double, 2> points = percentile_interval(replicates);
  if (std::isfinite(points[0]) && std::isfinite(estimate.mean)) {
    json["percentile95"] = {points[0], points[1]};
  } else {
    json["percentile95_why"] = "too few replicates have this value";
  }
  return json;
}

// Why an estimand has no interval of its own, so that this bootstrap gives none either. `do` of
// sequence logs never has one: `ett` speaks for its data.
std::string withheld(const io::Json& effect, const std::string& estimand, bool arm_log) {
  const io::Json& judge = effect.at(!arm_log && estimand == "do" ? "ett" : estimand);
  if (judge.at("ci95").is_array()) return "";
  return judge.value("ci95_why", judge.value("why", std::string("it has no interval")));
}

}  // namespace

std::span<const ReplicateValue> replicate_values(bool arm_log) {
  if (arm_log) return kArmValues;
  return kSequenceValues;
}

std::vector<double> replicate_effects(const EstimateInputs& inputs) {
  const io::LogSchema& schema = inputs.log->schema();
  const std::vector<std::vector<double>> rows =
      schema.is_arm_log() ? arm_replicate(inputs) : sequence_replicate(inputs);
  std::vector<double> effects;
  for (size_t value = 0; value < replicate_values(schema.is_arm_log()).size(); ++value) {
    for (const std::vector<double>& of_cluster : rows) effects.push_back(of_cluster[value]);
  }
  return effects;
}

void put_replicates(const Bundle& bundle, bool same_log, io::Json& estimates) {
  if (bundle.replicates.empty() || !same_log) return;
  const bool arm_log = bundle.stats->schema.is_arm_log();
  const std::span<const ReplicateValue> values = replicate_values(arm_log);
  const size_t clusters = static_cast<size_t>(bundle.stats->schema.clusters);
  for (io::Json& effect : estimates.at("effects")) {
    for (size_t at = 0; at < values.size(); ++at) {
      io::Json& of = effect[values[at].estimand];
      if (!of.at("plugin").is_number()) continue;
      const std::string why = withheld(effect, values[at].estimand, arm_log);
      if (!why.empty()) {
        of["bootstrap"] = nullptr;
        of["bootstrap_why"] = why;
        continue;
      }
      std::vector<double> replicates;
      for (const std::vector<double>& one : bundle.replicates) {
        replicates.push_back(one[at * clusters + effect.at("cluster").get<size_t>()]);
      }
      of["bootstrap"]["replicates"] = replicates.size();
      of["bootstrap"][values[at].estimate] = error_json(of.at(values[at].estimate), replicates);
    }
    if (arm_log) continue;
    io::Json& plugin = effect["do"];
    if (!plugin.contains("bootstrap")) continue;
    plugin["why"] = "there is no one-step form: it would need the law of whole sequences";
    if (plugin["bootstrap"].is_null()) {
      plugin["se_why"] = plugin["ci95_why"] = plugin["bootstrap_why"];
    } else {
      plugin["se"] = plugin["bootstrap"]["plugin"]["se"];
      plugin["ci95"] = plugin["bootstrap"]["plugin"]["ci95"];
    }
  }
}

}  // namespace alm
