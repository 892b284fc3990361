#include "engine/estimate/sensitivity.h"

#include <algorithm>
#include <cmath>

#include "engine/estimate/thin_data.h"

namespace alm {
namespace {

constexpr size_t kStrengths = kTieStrengths.size();
// Direct effects that are tabled, in sizes of the mean effect.
constexpr std::array<double, 7> kDirects{-1, -0.5, -0.25, 0, 0.25, 0.5, 1};
constexpr double kGridShare = 0.05;

bool is_clear(const MeanEstimate& effect) {
  return std::fabs(effect.mean) > 1.96 * effect.se;  // false where there is no error
}

io::Json list(const auto& values) {
  io::Json json = io::Json::array();
  for (const double value : values) json.push_back(value);
  return json;
}

double median(std::vector<double> values) {
  if (values.empty()) return NAN;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

double tie(double p, double strength) {
  if (!(p > 0 && p < 1) || strength == 0) return 0;
  // p1 = 2p - p0 and p1 (1-p0) = e^s p0 (1-p1): a quadratic in p0, of which the root in [0, p].
  const double odds = std::exp(strength);
  const double a = 1 - odds;
  const double b = odds * (2 * p - 1) - 2 * p - 1;
  const double c = 2 * p;
  // a p0^2 + b p0 + c = 0; the form without cancellation.
  const double root = std::sqrt(b * b - 4 * a * c);
  const double p0 = 2 * c / (-b + root);
  return 2 * (p - p0) / (4 * p * (1 - p));
}

SensitivitySums::SensitivitySums(int64_t clusters)
    : tied_(static_cast<size_t>(clusters) * kStrengths), weight_(static_cast<size_t>(clusters)) {}

void SensitivitySums::add(int64_t cluster, double p, double lowered, double weight) {
  const size_t k = static_cast<size_t>(cluster);
  weight_[k].add(weight);
  for (size_t s = 0; s < kStrengths; ++s) {
    tied_[k * kStrengths + s].add(weight * lowered * tie(p, kTieStrengths[s]));
  }
}

void SensitivitySums::add_residual(double residual, double weight) {
  squares_.add(weight * residual * residual);
  rows_.add(weight);
}

void SensitivitySums::merge(const SensitivitySums& other) {
  for (size_t at = 0; at < tied_.size(); ++at) tied_[at].add(other.tied_[at]);
  for (size_t at = 0; at < weight_.size(); ++at) weight_[at].add(other.weight_[at]);
  squares_.add(other.squares_);
  rows_.add(other.rows_);
}

void SensitivitySums::reduce(Communicator& world) {
  world.all_reduce_sum(std::span<FixedSum>(tied_), "ties of mediators");
  world.all_reduce_sum(std::span<FixedSum>(weight_), "ties of mediators");
  world.all_reduce_sum(std::span<FixedSum>(&squares_, 1), "squared residuals");
  world.all_reduce_sum(std::span<FixedSum>(&rows_, 1), "squared residuals");
}

double SensitivitySums::bias(int64_t cluster, size_t strength) const {
  const size_t k = static_cast<size_t>(cluster);
  return tied_[k * kStrengths + strength].value() / weight_[k].value();
}

double SensitivitySums::bias(size_t strength) const {
  double sum = 0, weight = 0;
  for (size_t k = 0; k < weight_.size(); ++k) {
    sum += tied_[k * kStrengths + strength].value();
    weight += weight_[k].value();
  }
  return sum / weight;
}

double SensitivitySums::effect_of_u(double share) const {
  return 2 * std::sqrt(share * squares_.value() / rows_.value());
}

io::Json sensitivity_json(const SensitivitySums& sums, const MeanEstimate& overall,
                          const std::vector<MeanEstimate>& effects) {
  io::Json json{{"mean_effect", io::number(overall.mean)},
                {"se", io::number(overall.se)},
                {"turned_by_direct", io::number(-overall.mean)},
                {"strengths", list(kTieStrengths)},
                {"shares", list(kTieShares)}};
  std::vector<double> sizes;
  for (const MeanEstimate& effect : effects) {
    if (is_clear(effect)) sizes.push_back(std::fabs(effect.mean));
  }
  json["clear_clusters"] = sizes.size();
  put_number(json, "clear_clusters_turned_by_direct", median(sizes),
             "no cluster has an interval without 0");

  // By strength: the mean effect and the clear clusters that stay clear, for every share; the share
  // that brings the mean effect to 0.
  io::Json means = io::Json::array(), kept = io::Json::array(), turning = io::Json::array();
  for (size_t s = 0; s < kStrengths; ++s) {
    const double bias = sums.bias(s);
    io::Json row = io::Json::array(), clear = io::Json::array();
    for (const double share : kTieShares) {
      const double gamma = sums.effect_of_u(share);
      row.push_back(io::number(overall.mean - gamma * bias));
      int64_t stay = 0;
      for (size_t k = 0; k < effects.size(); ++k) {
        if (!is_clear(effects[k])) continue;
        // A cause of either sign: what is left of the size must still exceed its error.
        const double left =
            std::fabs(effects[k].mean) - gamma * std::fabs(sums.bias(static_cast<int64_t>(k), s));
        stay += left > 1.96 * effects[k].se;
      }
      clear.push_back(stay);
    }
    means.push_back(row);
    kept.push_back(clear);
    const double needed = std::fabs(overall.mean) / (std::fabs(bias) * sums.effect_of_u(1));
    turning.push_back(io::number(needed < 1 ? needed * needed : NAN));
  }
  json["mean_by_strength"] = means;
  json["clear_by_strength"] = kept;
  json["turning_share"] = turning;

  // The grid of method 7.4: direct effect by strength, at one share.
  io::Json grid = io::Json::array(), directs = io::Json::array();
  const double gamma = sums.effect_of_u(kGridShare);
  for (const double times : kDirects) {
    const double direct = times * std::fabs(overall.mean);
    directs.push_back(io::number(direct));
    io::Json row{io::number(overall.mean + direct)};
    for (size_t s = 0; s < kStrengths; ++s) {
      row.push_back(io::number(overall.mean + direct - gamma * sums.bias(s)));
    }
    grid.push_back(row);
  }
  json["grid"] = {{"share", kGridShare}, {"direct", directs}, {"mean_effect", grid}};
  return json;
}

void put_sensitivity(const SensitivitySums& sums, const MeanEstimate& overall,
                     const io::Json& effects, const std::string& why_not,
                     io::Json& identification) {
  identification["sensitivity"] = nullptr;
  if (!why_not.empty()) {
    identification["sensitivity_why"] = why_not;
    return;
  }
  std::vector<MeanEstimate> by_cluster(static_cast<size_t>(sums.clusters()), {NAN, NAN, 0, 0});
  for (const io::Json& effect : effects) {
    const io::Json& ett = effect.at("ett");
    if (!ett.at("one_step").is_number() || !ett.at("se").is_number()) continue;
    MeanEstimate& of = by_cluster[effect.at("cluster").get<size_t>()];
    of.mean = ett.at("one_step").get<double>();
    of.se = ett.at("se").get<double>();
  }
  identification["sensitivity"] = sensitivity_json(sums, overall, by_cluster);
}

}  // namespace alm
