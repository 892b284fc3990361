#include "engine/estimate/removal_sums.h"

#include <cmath>

#include "engine/estimate/thin_data.h"
#include "engine/estimate/truth.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

// A mean residual weight further from 1 than this is more than noise.
constexpr double kRatioOff = 0.05;

}  // namespace

RemovalSums::RemovalSums(const io::LogSchema& schema)
    : plugin_(schema.clusters, 1),
      one_step_(schema.clusters),
      raw_(schema.clusters, 1),
      absent_(schema.clusters, 1),
      truth_(schema.clusters, 1),
      one_step_truth_(schema.clusters, 1),
      ratio_(schema.clusters),
      weight_(schema.clusters),
      clipped_(schema.clusters),
      users_(schema.clusters, kLeastUsers) {}

void RemovalSums::add(const io::Journeys& journeys, const RemovalScores& scores) {
  const RemovalScores::Absent& absent = scores.absent;
  // A journey ahead: sums by user group lie anywhere in many megabytes.
  const auto fetch = [&](size_t i) {
    const uint64_t user = journeys.user[i];
    for (int64_t pair = scores.begin[i]; pair < scores.begin[i + 1]; ++pair) {
      one_step_.prefetch(scores.cluster[static_cast<size_t>(pair)], user);
    }
    for (int64_t pair = absent.begin[i]; pair < absent.begin[i + 1]; ++pair) {
      one_step_.prefetch(absent.cluster[static_cast<size_t>(pair)], user);
    }
  };
  for (size_t i = 0; i < journeys.user.size(); ++i) {
    if (i + 1 < journeys.user.size()) fetch(i + 1);
    const uint64_t user = journeys.user[i];
    const double weight = journeys.weight.empty() ? 1.0 : journeys.weight[i];
    for (int64_t pair = scores.begin[i]; pair < scores.begin[i + 1]; ++pair) {
      const size_t at = static_cast<size_t>(pair);
      const int64_t cluster = scores.cluster[at];
      const float truth = journeys.delta_removal.empty()
                              ? NAN
                              : journeys.delta_removal[static_cast<size_t>(scores.touch[at])];
      plugin_.add(cluster, user, scores.plugin[at], weight);
      if (std::isfinite(truth)) truth_.add(cluster, user, truth, weight);
      if (std::isnan(scores.one_step[at])) continue;
      one_step_.add(cluster, user, scores.one_step[at], weight);
      if (std::isfinite(truth)) one_step_truth_.add(cluster, user, truth, weight);
      if (!std::isnan(scores.raw[at])) raw_.add(cluster, user, scores.raw[at], weight);
      ratio_.add(cluster, scores.ratio[at], weight);
      weight_.add(cluster, scores.ratio[at] * weight);
      clipped_.add(cluster, scores.clipped[at], weight);
      if (weight > 0) users_.add(cluster, user);
      if (scores.alone[at] == 0) exposed_.add(weight);
    }
    for (int64_t pair = absent.begin[i]; pair < absent.begin[i + 1]; ++pair) {
      const size_t at = static_cast<size_t>(pair);
      one_step_.add_ratio(absent.cluster[at], user, absent.value[at] * weight, 0);
      absent_.add(absent.cluster[at], user, absent.value[at], weight);
      expected_.add(absent.odds[at] * weight);
    }
  }
}

void RemovalSums::merge(const RemovalSums& other) {
  plugin_.merge(other.plugin_);
  one_step_.merge(other.one_step_);
  raw_.merge(other.raw_);
  absent_.merge(other.absent_);
  ratio_.merge(other.ratio_);
  weight_.merge(other.weight_);
  clipped_.merge(other.clipped_);
  truth_.merge(other.truth_);
  one_step_truth_.merge(other.one_step_truth_);
  users_.merge(other.users_);
  expected_.add(other.expected_);
  exposed_.add(other.exposed_);
}

void RemovalSums::reduce(Communicator& world) {
  plugin_.reduce(world, "removal plug-in");
  one_step_.reduce(world, "removal one-step");
  raw_.reduce(world, "removal raw");
  absent_.reduce(world, "removal, absent clusters");
  ratio_.reduce(world, "removal ratios");
  weight_.reduce(world, "removal weights");
  clipped_.reduce(world, "removal clipped");
  truth_.reduce(world, "removal truth");
  one_step_truth_.reduce(world, "removal truth");
  users_.reduce(world, "users by removed cluster");
  FixedSum odds[2] = {expected_, exposed_};
  world.all_reduce_sum(std::span<FixedSum>(odds), "removal odds");
  expected_ = odds[0];
  exposed_ = odds[1];
}

std::string RemovalSums::thin(int64_t cluster) const {
  return too_thin(one_step_.touches(cluster), users_.at_least(cluster),
                  weight_.effective_sample(cluster), false);
}

io::Json RemovalSums::estimate(int64_t cluster, const std::string& undertrained) const {
  const size_t at = static_cast<size_t>(cluster);
  const MeanEstimate one_step = one_step_.estimate(cluster);
  io::Json json;
  if (!(one_step.weight > 0)) {
    json = no_estimate("no journey has the mediators of all its touches of this cluster observed");
  } else {
    const std::string why = thin(cluster);
    json["one_step"] = io::number(one_step.mean);
    put_interval(json, one_step, why.empty() ? undertrained : why,
                 "too few users touch this cluster to tell the error");
    if (raw_.touches(cluster) == one_step_.touches(cluster)) {
      json["one_step_raw"] =
          io::number((raw_.sum(cluster) + absent_.sum(cluster)) / one_step.weight);
    } else {
      json["one_step_raw"] = nullptr;
      json["one_step_raw_why"] = "a denominator is 0 without the floor";
    }
    json["clipped_share"] = clipped_.sum[at].value() / one_step.weight;
    json["ess"] = io::number(weight_.effective_sample(cluster));
    json["mean_ratio"] = io::number(ratio_.sum[at].value() / one_step.weight);
  }
  put_number(json, "plugin", plugin_.estimate(cluster).mean, "no journey to average over");
  json["journeys"] = plugin_.touches(cluster);
  return json;
}

double RemovalSums::mean_ratio() const {
  double sum = 0, weight = 0;
  for (int64_t cluster = 0; cluster < one_step_.clusters(); ++cluster) {
    sum += ratio_.sum[static_cast<size_t>(cluster)].value();
    weight += one_step_.weight(cluster);
  }
  return weight > 0 ? sum / weight : NAN;
}

double RemovalSums::odds_ratio() const {
  return exposed_.value() > 0 ? expected_.value() / exposed_.value() : NAN;
}

double RemovalSums::truth(int64_t cluster) const {
  return truth_.estimate(cluster).mean;
}

io::Json RemovalSums::against_truth(const std::string& undertrained) const {
  std::vector<double> plugin, truth;
  double sum = 0, true_sum = 0;
  int64_t held = 0, intervals = 0;
  for (int64_t cluster = 0; cluster < plugin_.clusters(); ++cluster) {
    const double actual = this->truth(cluster);
    if (!std::isfinite(actual)) continue;
    const MeanEstimate mean = plugin_.estimate(cluster);
    sum += mean.mean * mean.weight;
    true_sum += actual * mean.weight;
    if (mean.touches < kLeastTouches) continue;
    plugin.push_back(mean.mean);
    truth.push_back(actual);
    const MeanEstimate one_step = one_step_.estimate(cluster);
    if (!undertrained.empty() || !thin(cluster).empty() || !std::isfinite(one_step.se)) continue;
    const double target = one_step_truth_.estimate(cluster).mean;
    held += std::fabs(one_step.mean - target) <= 1.96 * one_step.se;
    ++intervals;
  }
  const char* const few = "too few clusters with a known effect of removal";
  io::Json json;
  put_number(json, "removal_spearman", spearman(plugin, truth), few);
  put_number(json, "removal_ratio", true_sum != 0 ? sum / true_sum : NAN, few);
  put_number(json, "removal_coverage95",
             intervals > 0 ? static_cast<double>(held) / static_cast<double>(intervals) : NAN, few);
  return json;
}

std::string removal_warning(double mean_ratio) {
  if (!(std::fabs(mean_ratio - 1) > kRatioOff)) return "";
  return format(
      "the residual weights of `removal` have mean %.3f where a right law of the mediators gives "
      "1: "
      "read its intervals with care",
      mean_ratio);
}

}  // namespace alm
