// Effects of clusters and their ranking, from the sums over scored journeys.
#include "engine/estimate/sequence_effects.h"

#include <algorithm>
#include <cmath>

#include "engine/estimate/thin_data.h"

namespace alm {
namespace {

constexpr const char* kNoIntervalWhy =
    "the error of the fitted nuisances is not in the spread of the scores; an interval needs a "
    "bootstrap "
    "that refits them";

constexpr const char* kNoDoWhy =
    "the general head would need the law of whole sequences given the context, to average the "
    "outcome over them; --outcome-head separable gives do";

io::Json estimate_json(const SequenceSums& sums, int64_t cluster, const std::string& undertrained) {
  const size_t at = static_cast<size_t>(cluster);
  const MeanEstimate one_step = sums.one_step.estimate(cluster);
  io::Json json = io::Json::object();
  if (!(one_step.weight > 0)) {
    json = no_estimate("the mediator of no touch of this cluster was observed");
  }
  json["plugin"] = io::number(sums.ett_plugin.estimate(cluster).mean);
  if (sums.general) {
    json["monte_carlo"] = {{"draws", MonteCarlo{}.draws},
                           {"enumerated", MonteCarlo{}.enumerated},
                           {"plugin_se", io::number(sums.monte_carlo_error(cluster))}};
  }
  if (!(one_step.weight > 0)) return json;
  json["one_step"] = io::number(one_step.mean);
  put_interval(json, one_step, why_no_interval(sums, cluster, undertrained),
               "too few users touch this cluster to tell the error");
  if (sums.raw.count[at] == sums.clipped.count[at]) {
    json["one_step_raw"] = io::number(sums.raw.sum[at].value() / one_step.weight);
  } else {
    json["one_step_raw"] = nullptr;
    json["one_step_raw_why"] = "a denominator is 0 without the floor";
  }
  json["clipped_share"] = sums.clipped.sum[at].value() / one_step.weight;
  json["ess"] = io::number(sums.residual_weight.effective_sample(cluster));
  return json;
}

}  // namespace

std::string why_no_interval(const SequenceSums& sums, int64_t cluster,
                            const std::string& undertrained) {
  const std::string thin = sums.thin(cluster);
  return thin.empty() ? undertrained : thin;
}

bool shares_backdoor(const Bundle& bundle, int64_t cluster) {
  return std::any_of(
      bundle.backdoor.begin(), bundle.backdoor.end(), [&](const FittedBackdoor& fit) {
        return !fit.own.empty() && !std::binary_search(fit.own.begin(), fit.own.end(), cluster);
      });
}

io::Json effects_json(const SequenceSums& sums, const RemovalSums& removal,
                      const io::LogSchema& schema, bool identified, const std::string& why_not,
                      const Bundle& bundle, const std::string& undertrained) {
  io::Json effects = io::Json::array();
  for (int64_t cluster = 0; cluster < schema.clusters; ++cluster) {
    const size_t at = static_cast<size_t>(cluster);
    const MeanEstimate plugin = sums.ranked_plugin().estimate(cluster);
    if (plugin.touches == 0) continue;
    io::Json effect{
        {"cluster", cluster},
        {"name", schema.cluster_name(cluster)},
        {"unit", sums.binary ? "probability of the outcome per touch" : "outcome per touch"},
        {"touches", plugin.touches},
        {"users", sums.users.count(cluster)},
        {"users_exact", sums.users.exact(cluster)}};
    put_number(effect, "naive", sums.protocol.outcomes().naive(cluster),
               "every journey touches this cluster");
    if (!bundle.backdoor.empty()) {
      effect["backdoor"] = io::number(sums.backdoor.sum[at].value() / plugin.weight);
      if (shares_backdoor(bundle, cluster)) effect["backdoor_shared"] = true;
    } else {
      effect["backdoor"] = nullptr;
      effect["backdoor_why"] = "the regression was not fitted";
    }
    if (!identified) {
      effect["do"] = effect["removal"] = no_estimate(why_not);
    } else if (sums.general) {
      effect["do"] = no_estimate(kNoDoWhy);
      effect["removal"] = no_estimate(kNoRemovalWhy);
    } else {
      effect["do"] = no_estimate(kNoIntervalWhy);
      effect["do"]["plugin"] = io::number(plugin.mean);
      effect["removal"] = removal.estimate(cluster, undertrained);
    }
    effect["ett"] = identified ? estimate_json(sums, cluster, undertrained) : no_estimate(why_not);
    if (schema.truth) {
      io::Json& truth = effect["truth"] = io::Json::object();
      put_number(truth, "do", sums.general ? NAN : sums.truth.mean_do(cluster),
                 sums.general ? "not gathered: the general head has no do" : kNoTruth);
      put_number(truth, "ett", sums.truth.mean_ett(cluster), kNoTruth);
      put_number(truth, "removal", removal.truth(cluster),
                 sums.general ? "not gathered: the general head has no removal" : kNoTruth);
    }
    effects.push_back(effect);
  }
  return effects;
}

ClusterTable cluster_table(const SequenceSums& sums, const io::LogSchema& schema,
                           const Bundle& bundle) {
  const double journeys = sums.protocol.outcomes().all_total().weight;
  ClusterTable table;
  for (int64_t cluster = 0; cluster < schema.clusters; ++cluster) {
    const MeanEstimate plugin = sums.ranked_plugin().estimate(cluster);
    table.score.push_back(plugin.weight > 0 ? plugin.mean : NAN);
    table.n.push_back(plugin.weight);
    table.exposure.push_back(sums.protocol.outcomes().touched_total(cluster).weight / journeys);
    const bool own = !bundle.backdoor.empty() && !shares_backdoor(bundle, cluster);
    table.rival.push_back(
        own ? sums.backdoor.sum[static_cast<size_t>(cluster)].value() / plugin.weight : NAN);
  }
  table.propensity = sums.protocol.propensity();
  return table;
}

}  // namespace alm
