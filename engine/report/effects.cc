#include "engine/report/effects.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/report/fields.h"

namespace alm::report {
namespace {

Estimate read_estimate(const io::Json& effect, const std::string& key) {
  const io::Json& json = child(effect, key);
  Estimate estimate;
  estimate.plugin = number(json, "plugin");
  estimate.one_step = number(json, "one_step");
  estimate.se = number(json, "se");
  estimate.ci95 = interval(child(json, "ci95"));
  estimate.clipped_share = number(json, "clipped_share");
  estimate.ess = number(json, "ess");
  estimate.tmle = number(json, "tmle.value");
  estimate.bootstrap_se =
      number(json, estimate.one_step ? "bootstrap.one_step.se" : "bootstrap.plugin.se");
  estimate.why_interval = text(json, "ci95_why");
  estimate.why = json.is_object() ? why(json, "one_step") : why(effect, key);
  return estimate;
}

std::string why_left_out(const Effect& effect, Estimand estimand) {
  const Estimate& estimate = estimate_of(effect, estimand);
  if (!estimate.best()) return estimate.why.empty() ? "no value" : estimate.why;
  return estimate.why_interval.empty() ? "fewer than 20 scored touches" : estimate.why_interval;
}

void count_reason(const std::string& reason, std::vector<std::pair<std::string, double>>& counts) {
  const auto found = std::find_if(counts.begin(), counts.end(),
                                  [&](const auto& known) { return known.first == reason; });
  if (found == counts.end()) {
    counts.emplace_back(reason, 1);
  } else {
    ++found->second;
  }
}

std::vector<double> midranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t end = first;
    while (end < order.size() && values[order[end]] == values[order[first]]) ++end;
    for (size_t at = first; at < end; ++at) {
      ranks[order[at]] = 0.5 * static_cast<double>(first + end - 1);
    }
    first = end;
  }
  return ranks;
}

}  // namespace

const Estimate& estimate_of(const Effect& effect, Estimand estimand) {
  if (estimand == Estimand::do_effect) return effect.do_effect;
  return estimand == Estimand::ett ? effect.ett : effect.removal;
}

bool ranks(const Effect& effect, Estimand estimand) {
  const Estimate& estimate = estimate_of(effect, estimand);
  return estimate.best() && (estimate.ci95 || estimate.why_interval.empty()) &&
         effect.touches.value_or(kLeastTouches) >= kLeastTouches;
}

bool Effects::has(Estimand estimand) const {
  return std::any_of(rows.begin(), rows.end(), [&](const Effect& effect) {
    return estimate_of(effect, estimand).best().has_value();
  });
}

Effects read_effects(const io::Json& config, const io::Json& estimates) {
  Effects effects;
  const io::Json& list = child(estimates, "effects");
  effects.why = why(estimates, "effects");
  if (list.is_array()) {
    for (const io::Json& json : list) {
      if (!json.is_object()) continue;
      Effect effect;
      effect.cluster = static_cast<int64_t>(std::clamp(
          number(json, "cluster").value_or(static_cast<double>(effects.rows.size())), 0.0, 1e15));
      effect.name = text(json, "name");
      if (effect.name.empty()) effect.name = "cluster " + std::to_string(effect.cluster);
      const io::Json& unit = child(json, "unit");
      effect.unit = text(unit.is_object() ? child(unit, "do") : unit);
      effect.ett_unit = text(unit.is_object() ? child(unit, "ett") : unit);
      effect.touches = number(json, "touches");
      effect.users = number(json, "users");
      effect.naive = number(json, "naive");
      effect.backdoor = number(json, "backdoor");
      effect.do_effect = read_estimate(json, "do");
      effect.ett = read_estimate(json, "ett");
      effect.removal = read_estimate(json, "removal");
      effect.truth_do = number(json, "truth.do");
      effect.truth_ett = number(json, "truth.ett");
      effects.rows.push_back(std::move(effect));
    }
  }
  effects.scores = child(estimates, "scores").is_array();
  const std::string kind = text(estimates, "log_kind") + text(config, "log.kind");
  // Only arm logs have an interval for `do` and none for removal.
  effects.arm_log = kind.find("arm") != kind.npos ||
                    (kind.empty() && !effects.has(Estimand::removal) &&
                     std::any_of(effects.rows.begin(), effects.rows.end(),
                                 [](const Effect& row) { return row.do_effect.one_step; }));
  effects.binary = child(child(estimates, "prediction"), "rmse").is_null() &&
                   text(estimates, "outcome") != "continuous";
  effects.main = effects.arm_log ? Estimand::do_effect : Estimand::ett;
  if (!effects.has(effects.main)) {
    const Estimand other = effects.arm_log ? Estimand::ett : Estimand::do_effect;
    if (effects.has(other)) effects.main = other;
  }
  for (size_t row = 0; row < effects.rows.size(); ++row) {
    if (ranks(effects.rows[row], effects.main)) {
      effects.ranked.push_back(row);
    } else {
      count_reason(why_left_out(effects.rows[row], effects.main), effects.left_out);
    }
  }
  std::stable_sort(effects.ranked.begin(), effects.ranked.end(), [&](size_t a, size_t b) {
    return *estimate_of(effects.rows[a], effects.main).best() >
           *estimate_of(effects.rows[b], effects.main).best();
  });
  return effects;
}

Number spearman(const std::vector<std::pair<double, double>>& pairs) {
  if (pairs.size() < 3) return std::nullopt;
  std::vector<double> left, right;
  for (const auto& [a, b] : pairs) left.push_back(a), right.push_back(b);
  const std::vector<double> a = midranks(left);
  const std::vector<double> b = midranks(right);
  const double middle = 0.5 * static_cast<double>(pairs.size() - 1);
  double ab = 0, aa = 0, bb = 0;
  for (size_t at = 0; at < a.size(); ++at) {
    ab += (a[at] - middle) * (b[at] - middle);
    aa += (a[at] - middle) * (a[at] - middle);
    bb += (b[at] - middle) * (b[at] - middle);
  }
  return aa > 0 && bb > 0 ? Number(ab / std::sqrt(aa * bb)) : std::nullopt;
}

}  // namespace alm::report
