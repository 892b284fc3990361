#include "engine/estimate/sequence_protocol.h"
#include "engine/estimate/row_values.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/base/hash.h"

namespace alm {
SequenceProtocol::SequenceProtocol(const io::LogSchema& schema)
    : clusters_(schema.clusters),
      truth_(schema.truth),
      outcomes_(schema.clusters),
      shapley_(schema.clusters),
      randomised_(schema.clusters),
      all_randomised_(1, randomised_.groups()),
      values_(schema.clusters),
      last_(2 * schema.clusters),
      touches_(2 * schema.clusters),
      residual_(schema.clusters),
      clipped_(schema.clusters),
      seen_(static_cast<size_t>(schema.clusters)) {}

void SequenceProtocol::add(const io::Journeys& from, const BackdoorValues* backdoor) {
  shapley_.add(from);
  stratum_.clear();
  for (int64_t row = 0; row < from.size(); ++row) {
    const double x_part = backdoor ? backdoor->context_part[static_cast<size_t>(row)] : 0;
    const double x_scale = backdoor ? backdoor->context_scale : 0;
    stratum_.push_back(stratum_of(x_part, x_scale, from.touches_of(row)));
  }
  // A journey ahead: sums by user group lie anywhere in many megabytes.
  const auto fetch = [&](int64_t row) {
    const size_t i = static_cast<size_t>(row);
    for (const uint32_t cluster : clusters_of(from, row)) {
      outcomes_.prefetch(cluster, stratum_[i], from.user[i]);
    }
  };
  for (int64_t row = 0; row < from.size(); ++row) {
    if (row + 1 < from.size()) fetch(row + 1);
    const size_t i = static_cast<size_t>(row);
    const uint64_t user = from.user[i];
    const double weight = weight_of(from, i);
    const double outcome = from.outcome[i];
    const size_t begin = static_cast<size_t>(from.touch_begin[i]);
    const size_t end = static_cast<size_t>(from.touch_begin[i + 1]);
    const int64_t half = half_of(user);
    outcomes_.add(stratum_[i], user, outcome, weight);
    constexpr uint8_t kTouched = 1, kRandomised = 2;
    for (size_t j = begin; j < end; ++j) {
      const int64_t cluster = from.cluster[j];
      uint8_t& seen = seen_[from.cluster[j]];
      touches_.add(2 * cluster + half, 1, weight);
      if ((seen & kTouched) == 0) {
        outcomes_.add_touched(cluster, stratum_[i], user, outcome, weight);
      }
      seen |= kTouched;
      const bool by_chance = !from.randomised.empty() && from.randomised[j] == 1;
      if (!by_chance || (seen & kRandomised) != 0) continue;
      seen |= kRandomised;
      randomised_.add(cluster, user, outcome, weight);
      all_randomised_.add(0, user, outcome, weight);
    }
    for (size_t j = begin; j < end; ++j) seen_[from.cluster[j]] = 0;
    if (end > begin) last_.add(2 * from.cluster[end - 1] + half, outcome, weight);
  }
}

void SequenceProtocol::add_values(const io::Journeys& from, const SequenceScores& scores,
                                  std::span<const int64_t> rows, const io::Journeys& all,
                                  const SequenceScores& main, const BackdoorValues* backdoor) {
  const auto main_begin = [&](int64_t row) {
    return static_cast<size_t>(
        all.touch_begin[static_cast<size_t>(rows[static_cast<size_t>(row)])]);
  };
  const auto score = [&](size_t at) { return static_cast<float>(main.ranked()[at]); };
  const auto regression = [&](size_t at) { return static_cast<float>(backdoor->removal[at]); };
  const auto fetch = [&](int64_t row) {
    const uint64_t user = from.user[static_cast<size_t>(row)];
    size_t at = main_begin(row);
    for (const uint32_t cluster : clusters_of(from, row)) {
      values_.values.prefetch(2 * int64_t{cluster} + half_of(user), user);
      by_model_.prefetch(score(at), user);
      if (backdoor) by_backdoor_.prefetch(regression(at), user);
      ++at;
    }
  };
  for (int64_t row = 0; row < from.size(); ++row) {
    if (row + 1 < from.size()) fetch(row + 1);
    const size_t i = static_cast<size_t>(row);
    const uint64_t user = from.user[i];
    const double weight = weight_of(from, i);
    const int64_t half = half_of(user);
    const size_t begin = static_cast<size_t>(from.touch_begin[i]);
    const size_t end = static_cast<size_t>(from.touch_begin[i + 1]);
    for (size_t j = begin; j < end; ++j) {
      const double value = scores.one_step[j];
      if (std::isnan(value)) continue;
      const int64_t cluster = from.cluster[j];
      const size_t at = main_begin(row) + (j - begin);
      values_.values.add(2 * cluster + half, user, value, weight);
      residual_.add(cluster, scores.weight[j] * weight);
      clipped_.add(cluster, scores.clipped[j], 1);
      by_model_.add(score(at), user, value, weight);
      if (backdoor) by_backdoor_.add(regression(at), user, value, weight);
      if (from.delta_do.empty()) continue;
      by_model_.add_truth(score(at), from.delta_do[j], from.delta_ett[j], weight);
      if (backdoor) {
        by_backdoor_.add_truth(regression(at), from.delta_do[j], from.delta_ett[j], weight);
      }
      values_.true_do.add(2 * cluster + half, user, from.delta_do[j], weight);
      if (!std::isnan(from.delta_ett[j])) {
        values_.true_ett.add(2 * cluster + half, user, from.delta_ett[j], weight);
      }
    }
  }
}

void SequenceProtocol::merge(const SequenceProtocol& other) {
  outcomes_.merge(other.outcomes_);
  shapley_.merge(other.shapley_);
  randomised_.merge(other.randomised_);
  all_randomised_.merge(other.all_randomised_);
  values_.merge(other.values_);
  last_.merge(other.last_);
  touches_.merge(other.touches_);
  residual_.merge(other.residual_);
  clipped_.merge(other.clipped_);
  by_model_.merge(other.by_model_);
  by_backdoor_.merge(other.by_backdoor_);
}

void SequenceProtocol::reduce(Communicator& world) {
  outcomes_.reduce(world, "outcomes by cluster");
  shapley_.reduce(world, "sampled orders");
  randomised_.reduce(world, "randomised exposures");
  all_randomised_.reduce(world, "randomised exposures");
  values_.reduce(world);
  last_.reduce(world, "last touches");
  touches_.reduce(world, "touches");
  residual_.reduce(world, "weights of gains");
  clipped_.reduce(world, "clipped gains");
  by_model_.reduce(world, "values by score");
  by_backdoor_.reduce(world, "values by back-door effect");
}

std::vector<std::vector<Weighted>> SequenceProtocol::propensity() const {
  std::vector<std::vector<Weighted>> shares;
  for (int64_t k = 0; k < clusters_; ++k) shares.push_back(propensities(outcomes_, k));
  return shares;
}

io::Json SequenceProtocol::shapley_json(const ClusterTable& table) const {
  if (shapley_.orders() == 0) return nullptr;
  ShapleyGain shapley = shapley_.finish();
  io::Json json = to_json(grouped_auuc(table, {shapley.mean, {}}),
                          "mean rise of the outcome rate as the cluster joins those before it in "
                          "a random order, over journeys that touch no others: confounded, and "
                          "of the whole log, not of one touch");
  // Jackknife over the orders: what the area owes to which were drawn.
  const double n = static_cast<double>(shapley.deltas.size());
  std::vector<double> without;
  for (const auto& delta : shapley.deltas) {
    GroupedGain rest{shapley.mean, {}};
    for (size_t k = 0; k < rest.gain.size(); ++k)
      rest.gain[k] = (n * rest.gain[k] - delta[k]) / (n - 1);
    without.push_back(grouped_area(table.score, table.n, rest).auuc_05.value.value_or(NAN));
  }
  const double mean = std::accumulate(without.begin(), without.end(), 0.0) / n;
  double squares = 0;
  for (const double value : without) squares += (value - mean) * (value - mean);
  std::vector<double> errors;
  for (size_t k = 0; k < shapley.se.size(); ++k) {
    if (table.n[k] > 0) errors.push_back(shapley.se[k]);
  }
  std::sort(errors.begin(), errors.end());
  json["monte_carlo"] = {
      {"orders", shapley_.orders()},
      {"gain_se_median", io::number(errors.empty() ? NAN : errors[errors.size() / 2])},
      {"gain_se_largest", io::number(errors.empty() ? NAN : errors.back())},
      {"auuc_05_se", io::number(std::sqrt((n - 1) / n * squares))}};
  return json;
}

io::Json SequenceProtocol::grouped_json(const ClusterTable& table, bool randomised,
                                        const std::string& why_no_values) const {
  io::Json json;
  const auto none = [&](const char* key, const std::string& why) {
    json[key] = nullptr;
    json[std::string(key) + "_why"] = why;
  };
  const StratifiedGain difference = gain_by_difference(outcomes_);
  json["difference"] = to_json(
      grouped_auuc(table, difference.gain, difference.overlap),
      "confounded wherever exposure follows what also moves the outcome; not evidence of a causal "
      "ranking");
  const StratifiedGain ipw = gain_by_propensity(outcomes_);
  json["ipw"] = to_json(grouped_auuc(table, ipw.gain, ipw.overlap),
                        "weights know the stratum only: confounded as `difference` is");
  if (!why_no_values.empty()) {
    none("front_door", why_no_values);
    none("rate", why_no_values);
  } else {
    ClusterOverlap overlap;
    for (size_t k = 0; k < static_cast<size_t>(clusters_); ++k) {
      overlap.rows.push_back(static_cast<double>(residual_.count[k]));
      overlap.ess.push_back(residual_.effective_sample(static_cast<int64_t>(k)));
      overlap.clipped.push_back(clipped_.sum[k].value());
    }
    json["front_door"] =
        to_json(grouped_auuc(table, gain_of_means(values_.values, 2), overlap),
                "one-step values by fits that saw neither these users nor made the score");
    int64_t exposures = 0;
    for (int64_t k = 0; k < 2 * clusters_; ++k) exposures += values_.values.touches(k);
    const Choice model = choice_by_score("model", by_model_, false);
    const Choice backdoor = choice_by_score("backdoor", by_backdoor_, false);
    json["rate"] = rate_json(model, backdoor.why.empty() ? &backdoor : nullptr,
                             static_cast<double>(exposures));
  }
  if (randomised) {
    json["randomised"] =
        to_json(grouped_auuc(table, gain_of_difference(randomised_, all_randomised_)),
                "mean outcome of randomised exposures of the cluster minus that "
                "of the others");
  } else {
    none("randomised", "the log marks no exposure as randomised");
  }
  json["shapley"] = shapley_json(table);
  if (json["shapley"].is_null()) none("shapley", "too many clusters to sample orders of");
  return json;
}

io::Json SequenceProtocol::policy_json(const std::string& why_no_backdoor) const {
  // Outcomes per touch that the cluster was last before.
  std::vector<double> credit;
  for (size_t at = 0; at < touches_.sum.size(); ++at) {
    const double touches = touches_.sum[at].value();
    credit.push_back(touches > 0 ? last_.sum[at].value() / touches : 0);
  }
  std::vector<Choice> choices = {choice_by_score("model", by_model_, truth_),
                                 choice_by_score("backdoor", by_backdoor_, truth_),
                                 choice_by_credit("last_touch", values_, credit, truth_)};
  if (!choices[0].why.empty()) return nullptr;
  if (!why_no_backdoor.empty()) choices[1].why = why_no_backdoor;
  return alm::policy_json(choices);
}

}  // namespace alm
