// Scoring of a sequence log, and the result made of it.
#include "engine/estimate/sequence_estimates.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/estimate/critic_check.h"
#include "engine/estimate/examples.h"
#include "engine/estimate/few_steps.h"
#include "engine/estimate/fold_batches.h"
#include "engine/estimate/halves.h"
#include "engine/estimate/randomised_check.h"
#include "engine/estimate/removal_sums.h"
#include "engine/estimate/sequence_effects.h"
#include "engine/estimate/sequence_sums.h"
#include "engine/estimate/settled_outcome.h"
#include "engine/estimate/thin_data.h"
#include "engine/model/scan.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

// Of the journeys scored last.
io::Json example(const io::Journeys& journeys, int64_t row, SequenceScorer& scorer,
                 const io::LogSchema& schema) {
  const size_t i = static_cast<size_t>(row);
  const SequenceScores& scores = scorer.last();
  io::Json touches = io::Json::array();
  const std::vector<double> credit = scorer.shapley(journeys, row);
  const double total = std::accumulate(credit.begin(), credit.end(), 0.0);
  for (int64_t at = journeys.touch_begin[i]; at < journeys.touch_begin[i + 1]; ++at) {
    const size_t j = static_cast<size_t>(at);
    io::Json touch{{"cluster", journeys.cluster[j]},
                   {"name", schema.cluster_name(journeys.cluster[j])},
                   {"mediator", journeys.mediator.empty() ? 255 : journeys.mediator[j]},
                   {"p", scores.p[j]},
                   {"ett", scores.ett[j]}};
    put_number(touch, "share", total != 0 ? credit[touches.size()] / total : NAN,
               "the journey's total credit is 0");
    if (!scores.do_effect.empty()) touch["do"] = scores.do_effect[j];
    if (!journeys.time.empty() && !journeys.touch_time.empty()) {
      touch["hours_before"] =
          static_cast<double>(journeys.time[i] - journeys.touch_time[j]) / 3.6e6;
    }
    touches.push_back(touch);
  }
  return {{"row", journeys.row[i]},
          {"user", journeys.user[i]},
          {"outcome", journeys.outcome[i]},
          {"predicted", scores.predicted[i]},
          {"touches", touches}};
}

// One thread's scorers: the main fit and, for the gains, both halves.
struct ThreadScorers {
  explicit ThreadScorers(int64_t count) : folds(count), examples(static_cast<size_t>(count)) {}

  std::vector<std::unique_ptr<SequenceScorer>> main;    // [folds]
  std::vector<std::unique_ptr<RemovalScorer>> removal;  // [folds]; empty with the general head
  std::vector<CriticSample> critic;                     // [folds]; empty without a critic
  std::unique_ptr<SequenceScorer> halves[2];            // [h]: fit on half h, applied to the other
  BackdoorValues backdoor;                              // of the journeys at hand
  FoldBatches folds;
  HalfBatches batches;
  std::vector<Examples> examples;  // [folds], each in the order of the log
};

void put_policy(const SequenceProtocol& protocol, const std::string& no_values, bool has_backdoor,
                io::Json& json) {
  json["policy"] = nullptr;
  if (no_values.empty()) {
    json["policy"] = protocol.policy_json(has_backdoor ? "" : "the regression was not fitted");
  }
  if (json["policy"].is_null()) {
    json["policy_why"] = no_values.empty() ? "no touch has an observed mediator" : no_values;
  }
}

io::Json identification_json(const SequenceSums& sums, double share, const Bundle& bundle) {
  io::Json json;
  put_number(json, "mediator_variance_share", share, MediatorVariation::kNoShare);
  io::Json warnings = mediator_variation_warnings(share);
  const std::string few = few_steps_warning(bundle);
  if (!few.empty()) warnings.push_back(few);
  json["leak_test"] = nullptr;
  json["leak_test_why"] = kNoLeakTest;
  int64_t clipped = 0;
  int64_t thin = 0;
  double clipped_weight = 0;
  double observed_weight = 0;
  for (size_t at = 0; at < sums.clipped.sum.size(); ++at) {
    const int64_t cluster = static_cast<int64_t>(at);
    const double weight = sums.one_step.weight(cluster);
    if (!(weight > 0)) continue;
    observed_weight += weight;
    clipped_weight += sums.clipped.sum[at].value();
    clipped += sums.clipped.sum[at].value() > 0.05 * weight;
    thin += sums.residual_weight.effective_sample(cluster) <
            0.05 * static_cast<double>(sums.clipped.count[at]);
  }
  io::Json& overlap = json["overlap"] = io::Json::object();
  put_number(overlap, "clipped_share", observed_weight > 0 ? clipped_weight / observed_weight : NAN,
             MediatorVariation::kNoShare);
  overlap["clusters_clipped_above_5_percent"] = clipped;
  overlap["clusters_with_ess_below_5_percent"] = thin;
  overlap["touches_without_observed_mediator"] = sums.unobserved;
  if (thin > 0) {
    warnings.push_back(
        format("%lld clusters have an effective sample below 5 %% of their touches: read "
               "their intervals with care",
               static_cast<long long>(thin)));
  }
  json["warnings"] = warnings;
  return json;
}

}  // namespace

void estimate_sequence_log(const EstimateInputs& inputs, const ScoredUsers& users,
                           Estimates& estimates) {
  const Bundle& bundle = inputs.bundle;
  const io::LogSchema& schema = inputs.log->schema();
  const std::unique_ptr<Model> model_owner = bundle.make_model();
  const AlmMta& model = dynamic_cast<const AlmMta&>(*model_owner);
  std::vector<BackdoorPredictor> backdoor;  // [folds]
  for (const FittedBackdoor& fit : bundle.backdoor) {
    backdoor.emplace_back(*bundle.stats, fit.coefficients);
  }
  const bool has_backdoor = !backdoor.empty();
  const bool halves = has_halves(bundle) && bundle.folds == 1;

  std::vector<ThreadScorers> scorers;
  std::vector<std::unique_ptr<SequenceSums>> sums;
  std::vector<RemovalSums> removal;
  for (int64_t thread = 0; thread < inputs.compute.threads(); ++thread) {
    ThreadScorers& of = scorers.emplace_back(bundle.folds);
    for (int64_t fold = 0; fold < bundle.folds; ++fold) {
      of.main.push_back(std::make_unique<SequenceScorer>(
          model, bundle.fits.at(bundle.scoring_fit(fold)), inputs.compute));
      if (!model.general()) {
        of.removal.push_back(std::make_unique<RemovalScorer>(
            model, bundle.fits.at(bundle.scoring_fit(fold)), inputs.compute));
      }
      if (model.critic() == nullptr) continue;
      of.critic.emplace_back(model, bundle.fits.at(bundle.scoring_fit(fold)), inputs.compute,
                             critic_share(users, inputs.log->rows(), bundle.options));
    }
    removal.emplace_back(schema);
    for (int half = 0; half < 2 && halves; ++half) {
      of.halves[half] =
          std::make_unique<SequenceScorer>(model, bundle.fits.at(half_fit(half)), inputs.compute);
    }
    sums.push_back(std::make_unique<SequenceSums>(schema, bundle.options.outcome_head,
                                                  bundle.stats->outcome_mean, inputs.log->rows()));
  }
  io::ColumnSet columns = io::ColumnSet::model();
  columns.truth = schema.truth;
  columns.randomised = schema.randomised;
  const io::ReadReport report = scan_log(
      inputs.log, inputs.compute, inputs.world, users.filter, columns, "scoring",
      [&](const io::Journeys& journeys, int64_t thread) {
        const size_t at = static_cast<size_t>(thread);
        ThreadScorers& of = scorers[at];
        of.folds.each(journeys, schema, [&](size_t fold, const io::Journeys& part) {
          const SequenceScores& scores = of.main[fold]->score(part, thread);
          if (has_backdoor) backdoor[fold].evaluate(part, of.backdoor);
          sums[at]->add(part, scores, has_backdoor ? &of.backdoor : nullptr);
          of.examples[fold].offer(
              part, [&](int64_t row) { return example(part, row, *of.main[fold], schema); });
          if (!of.removal.empty()) {
            removal[at].add(part, of.removal[fold]->score(part, *of.main[fold], thread));
          }
          if (!of.critic.empty()) of.critic[fold].add(part, thread);
        });
        sums[at]->scored.note_training(journeys, users);
        if (!halves) return;
        of.batches.split(journeys, schema);
        for (int half = 0; half < 2; ++half) {
          const io::Journeys& others = of.batches.others(half);
          sums[at]->protocol.add_values(others,
                                        of.halves[half]->score(others, thread, Wanted::one_step),
                                        of.batches.others_rows(half), journeys, of.main[0]->last(),
                                        has_backdoor ? &of.backdoor : nullptr);
        }
      });
  for (size_t thread = 1; thread < sums.size(); ++thread) {
    sums[0]->merge(std::move(*sums[thread]));
    removal[0].merge(removal[thread]);
  }
  Examples examples;
  std::vector<std::vector<CriticJourney>> drawn(static_cast<size_t>(bundle.folds));
  for (ThreadScorers& of : scorers) {
    for (size_t fold = 0; fold < of.critic.size(); ++fold) {
      std::ranges::move(of.critic[fold].take(), std::back_inserter(drawn[fold]));
    }
    for (Examples& some : of.examples) examples.merge(std::move(some));
  }
  SequenceSums& total = *sums[0];
  total.reduce(inputs.world);
  removal[0].reduce(inputs.world);
  estimates.examples = examples.reduce(inputs.world);

  const double share = total.mediator.share();
  const bool identified = share >= kNoVariation;
  const std::string no_interval = undertrained(bundle);
  io::Json& json = estimates.json;
  total.scored.put(*inputs.log, users, sum_over_ranks(report, inputs.world), json);
  json["identification"] = identification_json(total, share, bundle);
  const double mean_ratio = removal[0].mean_ratio();
  const std::string no_removal =
      model.general() ? kNoRemovalWhy : "no journey with the mediators of a whole cluster observed";
  io::Json& overlap = json["identification"]["overlap"];
  put_number(overlap, "removal_mean_ratio", mean_ratio, no_removal);
  put_number(overlap, "removal_odds_ratio", removal[0].odds_ratio(), no_removal);
  const std::string off = removal_warning(mean_ratio);
  if (!off.empty()) json["identification"]["warnings"].push_back(off);
  warn_of_settled_outcome(json);
  const std::string why_not =
      format("the mediator does not vary given touches and context (variance share %.4f)", share);
  json["effects"] =
      effects_json(total, removal[0], schema, identified, why_not, bundle, no_interval);
  put_sensitivity(total.sensitivity, total.one_step.overall(), json["effects"],
                  identified ? "" : why_not, json["identification"]);
  if (schema.randomised) {
    json["identification"]["negative_controls"].push_back(
        model.general() ? no_randomised_check("the general head gives no do to compare with")
                        : randomised_check(total.protocol.randomised(),
                                           total.protocol.all_randomised(), json["effects"]));
  }
  json["auuc"] = nullptr;
  json["auuc_why"] = "given for arm logs only";
  std::string no_values = halves ? "" : kNoHalves;
  if (!identified) no_values = why_not;
  json["grouped_auuc"] = total.protocol.grouped_json(cluster_table(total, schema, bundle),
                                                     schema.randomised, no_values);
  put_policy(total.protocol, no_values, has_backdoor, json);
  if (schema.truth) {
    std::vector<double> backdoor_means;
    std::vector<MeanEstimate> one_step;
    bool shared = false;
    for (int64_t cluster = 0; cluster < schema.clusters; ++cluster) {
      const size_t at = static_cast<size_t>(cluster);
      backdoor_means.push_back(total.backdoor.sum[at].value() /
                               total.ranked_plugin().estimate(cluster).weight);
      one_step.push_back(total.one_step.estimate(cluster));
      shared = shared || (one_step.back().touches > 0 && shares_backdoor(bundle, cluster));
      if (!why_no_interval(total, cluster, no_interval).empty()) one_step.back().se = NAN;
    }
    if (!has_backdoor) backdoor_means.clear();
    io::Json truth = to_json(total.truth.finish(backdoor_means, one_step));
    if (has_backdoor && shared) {
      truth["backdoor_auuc_05"] = nullptr;
      truth["backdoor_auuc_05_why"] =
          "the regression has one coefficient for many clusters together: it does not rank them";
    }
    truth["estimand"] = total.general ? "ett" : "do";
    if (schema.removal_truth && !total.general) {
      truth.update(removal[0].against_truth(no_interval));
    }
    if (total.general && truth.at("touches") == 0) {
      truth = nullptr;
      json["truth_why"] =
          total.ranked_plugin().overall().touches == 0
              ? "no scored journey has a touch"
              : "the log does not know delta_ett (feedback), which the general head has";
    }
    json["truth"] = truth;
  }
  put_critic(inputs, model, std::move(drawn), json);
}

}  // namespace alm
