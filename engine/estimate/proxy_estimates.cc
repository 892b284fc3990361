#include "engine/estimate/proxy_estimates.h"

#include <algorithm>
#include <cmath>

#include "engine/estimate/examples.h"
#include "engine/estimate/few_steps.h"
#include "engine/estimate/fold_batches.h"
#include "engine/estimate/proxy_sums.h"
#include "engine/estimate/settled_outcome.h"
#include "engine/estimate/thin_data.h"
#include "engine/model/scan.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

// Variance of the code's value below which it is the same for all touches.
constexpr double kCollapsed = 1e-6;

io::Json example(const io::Journeys& journeys, int64_t row, const ProxyScores& scores,
                 const io::LogSchema& schema) {
  const size_t i = static_cast<size_t>(row);
  const size_t begin = static_cast<size_t>(journeys.touch_begin[i]);
  const size_t end = static_cast<size_t>(journeys.touch_begin[i + 1]);
  io::Json touches = io::Json::array();
  for (size_t j = begin; j < end; ++j) {
    const float match = journeys.match.empty() ? NAN : journeys.match[j];
    io::Json touch{
        {"cluster", journeys.cluster[j]},       {"name", schema.cluster_name(journeys.cluster[j])},
        {"match", io::number(match)},           {"code", scores.value[j]},
        {"omega", io::number(scores.omega[j])}, {"paper", scores.paper[j]}};
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

io::Json scores_json(const ProxySums& sums, const io::LogSchema& schema, bool has_backdoor) {
  io::Json scores = io::Json::array();
  for (int64_t cluster = 0; cluster < schema.clusters; ++cluster) {
    const MeanEstimate paper = sums.paper.estimate(cluster);
    if (paper.touches == 0) continue;
    io::Json score{{"cluster", cluster},
                   {"name", schema.cluster_name(cluster)},
                   {"unit", "score per touch, on the scale of the outcome's probability"},
                   {"touches", paper.touches},
                   {"users", sums.users.count(cluster)},
                   {"users_exact", sums.users.exact(cluster)},
                   {"paper", io::number(paper.mean)}};
    put_number(score, "naive", contrast_with_rest(sums.touched, cluster, sums.all).mean,
               "every journey touches this cluster");
    score["backdoor"] = nullptr;
    if (has_backdoor) {
      score["backdoor"] =
          io::number(sums.backdoor.sum[static_cast<size_t>(cluster)].value() / paper.weight);
    } else {
      score["backdoor_why"] = "the regression was not fitted";
    }
    for (const auto& [name, plugin] :
         {std::pair("do", &sums.do_plugin), std::pair("ett", &sums.ett_plugin)}) {
      if (sums.has_law) {
        score[name] = {{"plugin", io::number(plugin->estimate(cluster).mean)}};
      } else {
        score[name] = nullptr;
        score[std::string(name) + "_why"] = kNoVariationOfCode;
      }
    }
    if (schema.truth) {
      put_number(score["truth"], "do", sums.paper_truth.mean_do(cluster), kNoTruth);
    }
    scores.push_back(score);
  }
  return scores;
}

io::Json identification_json(const ProxySums& sums, const Bundle& bundle) {
  const double share = sums.code.variance_share(sums.paper);
  io::Json code = to_json(sums.code, sums.paper, sums.has_law);
  put_metric(code, "outcome_auc", sums.scored.prediction().finish().auc);
  put_metric(code, "outcome_auc_backdoor", sums.backdoor_prediction.finish().auc);
  io::Json warnings = io::Json::array();
  warnings.push_back(
      "proxy mode: everything here is a score. A code learned from what was seen after the "
      "outcome could act neither removes confounding nor gives magnitudes; no interval is given");
  if (!sums.has_law) {
    warnings.push_back(std::string("mediator_variance_share is 0 by construction: ") +
                       kNoVariationOfCode);
  } else if (share < kLowVariation) {
    warnings.push_back(
        format("the code varies little once touches and context are known (share %.4f, below "
               "%.2f): do and ett scores rest on few journeys",
               share, kLowVariation));
  }
  if (sums.code.matches_without_outcome > 0) {
    warnings.push_back(
        format("/touch/match is defined for %lld touches of journeys without an outcome: it is to "
               "be NaN there. If those were filled in, the match tells the outcome and the code "
               "learns that",
               static_cast<long long>(sums.code.matches_without_outcome)));
  }
  const std::vector<uint8_t>& leaky = bundle.stats->schema.proxy_leaky;
  const int64_t leaks =
      std::count_if(leaky.begin(), leaky.end(), [](uint8_t one) { return one != 0; });
  if (bundle.options.proxy_input == ProxyInput::all && leaks > 0) {
    warnings.push_back(format(
        "--proxy-input all: the code reads %lld proxies that /meta/proxy_leaky marks as made "
        "after the outcome could act",
        static_cast<long long>(leaks)));
  }
  if (!(sums.code.variance() > kCollapsed)) {
    warnings.push_back("the code is the same for all touches: it has collapsed");
  }
  const std::string few = few_steps_warning(bundle, "scores do not know that");
  if (!few.empty()) warnings.push_back(few);
  return {{"mediator_variance_share", io::number(share)},
          {"code", code},
          {"leak_test", nullptr},
          {"leak_test_why", kNoLeakTest},
          {"overlap", nullptr},
          {"overlap_why", "scores of proxy mode have no weights"},
          {"warnings", warnings}};
}

io::Json truth_json(const ProxySums& sums, const io::LogSchema& schema, bool has_backdoor) {
  std::vector<double> backdoor;
  for (int64_t k = 0; k < schema.clusters && has_backdoor; ++k) {
    backdoor.push_back(sums.backdoor.sum[static_cast<size_t>(k)].value() / sums.paper.weight(k));
  }
  io::Json json{{"note", "scores against delta_do"},
                {"paper", to_json(sums.paper_truth.finish(backdoor, {}))},
                {"do", nullptr}};
  if (sums.has_law) {
    json["do"] = to_json(sums.do_truth.finish(backdoor, {}));
  } else {
    json["do_why"] = kNoVariationOfCode;
  }
  return json;
}

}  // namespace

void estimate_proxy_log(const EstimateInputs& inputs, const ScoredUsers& users,
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

  struct Thread {
    std::vector<ProxyScorer> scorers;  // [folds]
    std::vector<Examples> examples;    // [folds], each in the order of the log
    FoldBatches folds;
    ProxySums sums;
  };
  std::vector<std::unique_ptr<Thread>> threads;
  for (int64_t thread = 0; thread < inputs.compute.threads(); ++thread) {
    threads.push_back(std::make_unique<Thread>(
        Thread{{},
               std::vector<Examples>(static_cast<size_t>(bundle.folds)),
               FoldBatches(bundle.folds),
               {schema, bundle.options.code_width, model.has_law(), inputs.log->rows()}}));
    for (int64_t fold = 0; fold < bundle.folds; ++fold) {
      threads.back()->scorers.emplace_back(model, bundle.fits.at(bundle.scoring_fit(fold)),
                                           inputs.compute);
    }
  }
  io::ColumnSet columns = model_columns(bundle.options);
  columns.truth = schema.truth;
  const io::ReadReport report =
      scan_log(inputs.log, inputs.compute, inputs.world, users.filter, columns, "scoring",
               [&](const io::Journeys& journeys, int64_t thread) {
                 Thread& of = *threads[static_cast<size_t>(thread)];
                 of.folds.each(journeys, schema, [&](size_t fold, const io::Journeys& part) {
                   const ProxyScores& scores = of.scorers[fold].score(part, thread);
                   of.sums.add(part, scores, has_backdoor ? &backdoor[fold] : nullptr);
                   of.examples[fold].offer(
                       part, [&](int64_t row) { return example(part, row, scores, schema); });
                 });
                 of.sums.scored.note_training(journeys, users);
               });
  Examples examples;
  ProxySums& total = threads[0]->sums;
  for (size_t at = 0; at < threads.size(); ++at) {
    if (at > 0) total.merge(std::move(threads[at]->sums));
    for (Examples& some : threads[at]->examples) examples.merge(std::move(some));
  }
  total.reduce(inputs.world);
  estimates.examples = examples.reduce(inputs.world);

  io::Json& json = estimates.json;
  total.scored.put(*inputs.log, users, sum_over_ranks(report, inputs.world), json);
  json["identification"] = identification_json(total, bundle);
  warn_of_settled_outcome(json);
  json["effects"] = nullptr;
  json["effects_why"] = kNoEffectsOfProxies;
  json["scores"] = scores_json(total, schema, has_backdoor);
  for (const char* absent : {"auuc", "grouped_auuc", "policy"}) {
    json[absent] = nullptr;
    json[std::string(absent) + "_why"] = kNoEffectsOfProxies;
  }
  if (schema.truth) json["truth"] = truth_json(total, schema, has_backdoor);
}

}  // namespace alm
