#include "engine/estimate/arm_estimates.h"

#include <algorithm>
#include <cmath>

#include "engine/estimate/arm_effects.h"
#include "engine/estimate/arm_nuisance_source.h"
#include "engine/estimate/arm_protocol.h"
#include "engine/estimate/arm_scan.h"
#include "engine/estimate/arm_tmle.h"
#include "engine/estimate/auuc.h"
#include "engine/estimate/backdoor_fit.h"
#include "engine/estimate/few_steps.h"
#include "engine/estimate/fold_batches.h"
#include "engine/estimate/halves.h"
#include "engine/estimate/mediator_variation.h"
#include "engine/estimate/randomised_check.h"
#include "engine/estimate/scored_rows.h"
#include "engine/estimate/sensitivity.h"
#include "engine/estimate/settled_outcome.h"
#include "engine/estimate/thin_data.h"
#include "engine/estimate/truth.h"
#include "engine/model/arm_model.h"
#include "engine/model/scan.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

struct ArmSums {
  ArmSums(const io::LogSchema& schema, double outcome_mean, int64_t rows)
      : effects(schema.clusters, *schema.reference_cluster),
        gains(schema.clusters, *schema.reference_cluster),
        scored(schema, outcome_mean, rows),
        uplift(static_cast<size_t>(schema.clusters), UpliftSums(rows)),
        truth(schema.clusters),
        mediator(schema.clusters),
        sensitivity(schema.clusters),
        protocol(schema) {}

  void merge(ArmSums&& other) {
    effects.merge(other.effects);
    gains.merge(other.gains);
    scored.merge(std::move(other.scored));
    for (size_t arm = 0; arm < uplift.size(); ++arm)
      uplift[arm].merge(std::move(other.uplift[arm]));
    truth.merge(other.truth);
    randomised += other.randomised;
    mediator.merge(other.mediator);
    sensitivity.merge(other.sensitivity);
    protocol.merge(other.protocol);
  }
  void reduce(Communicator& world) {
    effects.reduce(world, "arm effects");
    gains.reduce(world, "arm gains");
    scored.reduce(world);
    truth.reduce(world, "truth");
    world.all_reduce_sum(std::span(&randomised, 1), "randomised journeys");
    mediator.reduce(world);
    sensitivity.reduce(world);
    protocol.reduce(world);
  }

  ArmEffectSums effects;
  ArmEffectSums gains;  // nuisances of the halves
  ScoredRows scored;
  std::vector<UpliftSums> uplift;  // [arms] journeys of the arm and of the reference
  TruthSums truth;
  int64_t randomised = 0;
  MediatorVariation mediator;
  SensitivitySums sensitivity;
  ArmProtocol protocol;
};

// What one thread works with.
struct ArmThread {
  explicit ArmThread(int64_t count) : folds(count) {}

  std::vector<std::unique_ptr<ArmNuisanceSource>> main;  // [folds]
  std::unique_ptr<ArmNuisanceSource> halves[2];
  FoldBatches folds;
  HalfBatches batches;
};

void add_row(ArmSums& sums, const io::Journeys& journeys, int64_t row,
             const ArmNuisances& nuisances, const io::LogSchema& schema,
             const BackdoorPredictor* backdoor) {
  const size_t i = static_cast<size_t>(row);
  const int64_t reference = *schema.reference_cluster;
  const int64_t arm = journeys.cluster[i];
  const uint64_t user = journeys.user[i];
  const double weight = weight_of(journeys, i);
  const uint8_t mediator = mediator_of(journeys, i);
  const double outcome = journeys.outcome[i];
  sums.effects.add(user, arm, mediator, outcome, weight, nuisances);
  if (backdoor != nullptr) {
    sums.effects.add_backdoor(
        user, arm,
        backdoor->model().replacement_effect(backdoor->linear(journeys, row), arm, reference),
        weight);
  }
  sums.protocol.add(journeys, row, backdoor);
  sums.randomised += !journeys.randomised.empty() && journeys.randomised[i] == 1;
  const double p = nuisances.p(1, arm);
  sums.mediator.add(p, p, weight);
  if (mediator != kMediatorMissing) sums.mediator.add_observed(arm, mediator, weight);

  const double predicted = predicted_outcome(nuisances, journeys, i);
  if (mediator != kMediatorMissing) {
    sums.sensitivity.add_residual(outcome - predicted, weight);
    if (arm != reference) sums.sensitivity.add(arm, p, p - nuisances.p(1, reference), weight);
  }
  sums.scored.add(journeys, row, predicted);
  const double base = theta(nuisances, reference);
  for (int64_t other = 0; other < schema.clusters; ++other) {
    if (other == reference || (arm != other && arm != reference)) continue;
    sums.uplift[static_cast<size_t>(other)].add(
        {.row = journeys.row[i],
         .user = user,
         .score = static_cast<float>(theta(nuisances, other) - base),
         .outcome = journeys.outcome[i],
         .weight = static_cast<float>(weight),
         .treated = arm == other});
  }
  if (!journeys.delta_do.empty()) {
    sums.truth.add(arm, theta(nuisances, arm) - base, journeys.delta_do[i], weight);
    if (mediator != kMediatorMissing) sums.truth.add_ett(arm, journeys.delta_ett[i], weight);
  }
}

// An arm of a few journeys has no curve worth an area.
void withhold_if_thin(const ArmEffect& arm, UpliftResult& result) {
  const std::string thin = too_thin(std::min(arm.touches, arm.reference_touches),
                                    std::min(arm.users, arm.reference_users), kLeastEss, true);
  if (thin.empty()) return;
  for (Metric* area : {&result.auuc_sk, &result.auuc_05, &result.qini_sk, &result.auuc_causalml,
                       &result.qini_causalml, &result.ci95_low, &result.ci95_high}) {
    *area = {{}, thin};
  }
  result.curve.clear();
}

io::Json auuc_json(ArmSums& sums, const io::LogSchema& schema, Communicator& world) {
  io::Json list = io::Json::array();
  for (int64_t arm = 0; arm < schema.clusters; ++arm) {
    UpliftResult result = sums.uplift[static_cast<size_t>(arm)].finish(world, "uplift");
    if (arm == *schema.reference_cluster) continue;
    withhold_if_thin(sums.effects.effect(arm), result);
    io::Json entry{{"cluster", arm}, {"name", schema.cluster_name(arm)}};
    entry.update(to_json(result));
    const bool causal = sums.randomised == sums.scored.rows();
    entry["causal"] = causal;
    if (!causal) {
      entry["note"] =
          "the log does not mark all arms as randomised: the area compares journeys that "
          "may differ in more than the arm";
    }
    list.push_back(entry);
  }
  return list;
}

}  // namespace

std::vector<int64_t> count_nuisances(std::shared_ptr<const io::Log> log,
                                     const io::UserFilter& training, Compute& compute,
                                     Communicator& world, const std::string& title) {
  const io::LogSchema& schema = log->schema();
  if (!schema.is_arm_log()) {
    throw UserError(
        "--nuisance tabular counts arms: it needs an arm log (root attribute "
        "reference_cluster); use --nuisance network for journeys of many touches");
  }
  if (schema.dense > 0) {
    throw UserError(
        "--nuisance tabular counts in the strata of /journey/cat; this log has "
        "/journey/dense too: import it without those columns (--covariates), or use "
        "--nuisance network");
  }
  std::vector<TabularNuisances> counts(static_cast<size_t>(compute.threads()),
                                       TabularNuisances(schema.clusters, schema.cat));
  const size_t columns = static_cast<size_t>(schema.cat);
  scan_log(log, compute, world, training, io::ColumnSet::model(), title,
           [&](const io::Journeys& journeys, int64_t thread) {
             for (int64_t row = 0; row < journeys.size(); ++row) {
               const size_t i = static_cast<size_t>(row);
               counts[static_cast<size_t>(thread)].add(
                   {journeys.cat.data() + i * columns, columns}, journeys.cluster[i],
                   mediator_of(journeys, i), journeys.outcome[i], weight_of(journeys, i));
             }
           });
  for (size_t thread = 1; thread < counts.size(); ++thread) counts[0].merge(counts[thread]);
  counts[0].reduce(world, "tabular counts");
  return counts[0].pack();
}

void estimate_arm_log(const EstimateInputs& inputs, const ScoredUsers& users,
                      Estimates& estimates) {
  const Bundle& bundle = inputs.bundle;
  const io::LogSchema& schema = inputs.log->schema();
  const std::unique_ptr<Model> model_owner = bundle.make_model();
  const ArmModel& model = dynamic_cast<const ArmModel&>(*model_owner);
  std::vector<BackdoorPredictor> backdoor;  // [folds]
  for (const FittedBackdoor& fit : bundle.backdoor) {
    backdoor.emplace_back(*bundle.stats, fit.coefficients);
  }
  const bool halves = !bundle.tabular && bundle.folds == 1 && has_halves(bundle);
  const std::vector<std::unique_ptr<const TabularNuisances>> tabular = tabular_nuisances(bundle);

  std::vector<ArmThread> threads;
  std::vector<std::unique_ptr<ArmSums>> sums;
  for (int64_t thread = 0; thread < inputs.compute.threads(); ++thread) {
    ArmThread& of = threads.emplace_back(bundle.folds);
    for (size_t fold = 0; fold < tabular.size(); ++fold) {
      const std::string fit = bundle.scoring_fit(static_cast<int64_t>(fold));
      of.main.push_back(std::make_unique<ArmNuisanceSource>(bundle, model, fit, tabular[fold].get(),
                                                            inputs.compute));
    }
    for (int half = 0; half < 2 && halves; ++half) {
      of.halves[half] = std::make_unique<ArmNuisanceSource>(bundle, model, half_fit(half), nullptr,
                                                            inputs.compute);
    }
    sums.push_back(
        std::make_unique<ArmSums>(schema, bundle.stats->outcome_mean, inputs.log->rows()));
  }
  io::ColumnSet columns = io::ColumnSet::model();
  columns.truth = schema.truth;
  columns.randomised = schema.randomised;
  const io::ReadReport report = scan_log(
      inputs.log, inputs.compute, inputs.world, users.filter, columns, "scoring",
      [&](const io::Journeys& journeys, int64_t thread) {
        ArmThread& of = threads[static_cast<size_t>(thread)];
        ArmSums& mine = *sums[static_cast<size_t>(thread)];
        of.folds.each(journeys, schema, [&](size_t fold, const io::Journeys& part) {
          of.main[fold]->prepare(part, thread);
          for (int64_t row = 0; row < part.size(); ++row) {
            add_row(mine, part, row, of.main[fold]->at(part, row), schema,
                    backdoor.empty() ? nullptr : &backdoor[fold]);
          }
        });
        mine.scored.note_training(journeys, users);
        if (!halves) return;
        of.batches.split(journeys, schema);
        for (int half = 0; half < 2; ++half) {
          const io::Journeys& others = of.batches.others(half);
          of.halves[half]->prepare(others, thread);
          for (int64_t row = 0; row < others.size(); ++row) {
            const size_t i = static_cast<size_t>(row);
            mine.gains.add(others.user[i], others.cluster[i], mediator_of(others, i),
                           others.outcome[i], weight_of(others, i),
                           of.halves[half]->at(others, row));
            mine.protocol.add_values(others, row, of.halves[half]->at(others, row),
                                     of.main[0]->at(journeys, of.batches.others_rows(half)[i]),
                                     backdoor.empty() ? nullptr : &backdoor[0]);
          }
        }
      });
  for (size_t thread = 1; thread < sums.size(); ++thread) sums[0]->merge(std::move(*sums[thread]));
  ArmSums& total = *sums[0];
  total.reduce(inputs.world);

  const double share = total.mediator.share();
  io::Json& json = estimates.json;
  total.scored.put(*inputs.log, users, sum_over_ranks(report, inputs.world), json);
  io::Json effects = io::Json::array();
  const bool identified = share >= kNoVariation;
  const std::string no_interval = undertrained(bundle);
  const std::string why_not =
      format("the mediator does not vary given arm and context (variance share %.4f)", share);
  for (int64_t arm = 0; arm < schema.clusters; ++arm) {
    if (arm == *schema.reference_cluster) continue;
    io::Json effect = to_json(total.effects.effect(arm), schema.cluster_name(arm));
    for (const char* estimand : {"do", "ett"}) {
      if (!identified) {
        effect[estimand] = no_estimate(why_not);
      } else if (!no_interval.empty() && effect[estimand].at("ci95").is_array()) {
        put_interval(effect[estimand], {}, no_interval, "");
      }
    }
    if (schema.truth) {
      effect["truth"] = io::Json::object();
      put_number(effect["truth"], "do", total.truth.mean_do(arm), kNoTruth);
      put_number(effect["truth"], "ett", total.truth.mean_ett(arm), kNoTruth);
    }
    effects.push_back(effect);
  }
  if (bundle.tmle) put_tmle(inputs, users, effects);
  json["effects"] = effects;
  json["auuc"] = auuc_json(total, schema, inputs.world);
  std::string no_values = halves ? "" : kNoHalves;
  if (!identified) no_values = why_not;
  json["grouped_auuc"] =
      total.protocol.grouped_json(total.effects, total.gains, !backdoor.empty(),
                                  schema.randomised && total.randomised > 0, no_values);
  json["policy"] = no_values.empty() ? total.protocol.policy_json(!backdoor.empty()) : nullptr;
  if (json["policy"].is_null()) {
    json["policy_why"] = no_values.empty() ? "no journey has a value of its own" : no_values;
  }
  io::Json warnings = mediator_variation_warnings(share);
  const std::string few = few_steps_warning(bundle);
  if (!few.empty()) warnings.push_back(few);
  int64_t empty_cells = 0;
  for (const auto& counts : tabular) empty_cells += counts != nullptr ? counts->empty_cells() : 0;
  if (empty_cells > 0) {
    warnings.push_back(
        format("%lld cells of (stratum, arm, mediator) hold no journey: their values are "
               "borrowed from coarser counts",
               static_cast<long long>(empty_cells)));
  }
  io::Json& identification = json["identification"] = io::Json::object();
  put_number(identification, "mediator_variance_share", share, MediatorVariation::kNoShare);
  identification.update(
      {{"leak_test", nullptr},
       {"leak_test_why", kNoLeakTest},
       {"overlap", {{"touches_without_observed_mediator", total.effects.mediator_missing()}}},
       {"warnings", warnings}});
  warn_of_settled_outcome(json);
  put_sensitivity(total.sensitivity, total.effects.ett_one_step().overall(), json["effects"],
                  identified ? "" : why_not, json["identification"]);
  if (schema.randomised) {
    json["identification"]["negative_controls"].push_back(randomised_check_of_arms(
        total.protocol.randomised(), *schema.reference_cluster, json["effects"]));
  }
}

}  // namespace alm
