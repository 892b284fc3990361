#include "engine/estimate/randomised_check.h"

#include <cmath>
#include <map>
#include <optional>

#include "engine/estimate/control_verdict.h"
#include "engine/estimate/thin_data.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

struct FrontDoor {
  double effect = 0, se = 0;
};

// By cluster, those that have both numbers.
std::map<int64_t, FrontDoor> front_door(const io::Json& effects, const char* effect_path,
                                        const char* effect_key, const char* se_path) {
  std::map<int64_t, FrontDoor> found;
  for (const io::Json& effect : effects) {
    const io::Json& value = effect.at(effect_path).at(effect_key);
    const io::Json& se = effect.at(se_path).at("se");
    if (!value.is_number() || !se.is_number()) continue;
    found[effect.at("cluster").get<int64_t>()] = {value.get<double>(), se.get<double>()};
  }
  return found;
}

double z_of(const MeanEstimate& by_chance, double front_door, double se) {
  return (by_chance.mean - front_door) / std::hypot(by_chance.se, se);
}

io::Json result(const std::vector<double>& z) {
  const ControlScore score = score_of(z);
  if (score.clusters == 0) {
    return no_randomised_check(
        "no cluster has enough randomised exposures beside a front-door effect");
  }
  io::Json json{{"control", "randomised_subset"}};
  const Verdict verdict = verdict_of(score);
  const std::string found = found_text(score);
  json["verdict"] = verdict_name(verdict);
  json["sentence"] =
      verdict == Verdict::pass
          ? "Randomised exposures and front-door effects agree: differences of " + found
      : verdict == Verdict::warn
          ? "Randomised exposures and front-door effects differ somewhat: differences of " + found
          : "Randomised exposures contradict the front-door effects: differences of " + found +
                "; touches may act past the mediator, or an assumption is broken";
  put_score(score, json);
  return json;
}

}  // namespace

io::Json no_randomised_check(const std::string& why) {
  return {{"control", "randomised_subset"}, {"verdict", nullptr}, {"why", why}};
}

io::Json randomised_check(const GroupedSums& randomised, const GroupedSums& all,
                          const io::Json& effects) {
  const std::map<int64_t, FrontDoor> known = front_door(effects, "do", "plugin", "ett");
  double sum = 0, weight = 0;  // of front-door effects over randomised exposures
  for (const auto& [cluster, of] : known) {
    sum += randomised.weight(cluster) * of.effect;
    weight += randomised.weight(cluster);
  }
  std::vector<double> z;
  for (const auto& [cluster, of] : known) {
    const double mine = randomised.weight(cluster);
    if (randomised.touches(cluster) < kLeastTouches || !(weight > mine)) continue;
    const double others = (sum - mine * of.effect) / (weight - mine);
    z.push_back(z_of(contrast_with_rest(randomised, cluster, all), of.effect - others, of.se));
  }
  return result(z);
}

io::Json randomised_check_of_arms(const GroupedSums& randomised, int64_t reference,
                                  const io::Json& effects) {
  std::vector<double> z;
  for (const auto& [arm, of] : front_door(effects, "do", "one_step", "do")) {
    if (std::min(randomised.touches(arm), randomised.touches(reference)) < kLeastTouches) continue;
    z.push_back(z_of(contrast(randomised, arm, randomised, reference), of.effect, of.se));
  }
  return result(z);
}

}  // namespace alm
