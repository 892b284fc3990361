#include "engine/estimate/arm_protocol.h"
#include "engine/estimate/row_values.h"

#include <cmath>

#include "kernels/base/hash.h"

namespace alm {
ArmProtocol::ArmProtocol(const io::LogSchema& schema)
    : arms_(schema.clusters),
      reference_(*schema.reference_cluster),
      truth_(schema.truth),
      outcomes_(schema.clusters),
      randomised_(schema.clusters),
      values_(schema.clusters),
      outcome_(static_cast<size_t>(2 * schema.clusters)),
      weight_(outcome_.size()) {}

void ArmProtocol::add(const io::Journeys& journeys, int64_t row,
                      const BackdoorPredictor* backdoor) {
  const size_t i = static_cast<size_t>(row);
  const uint64_t user = journeys.user[i];
  const int64_t arm = journeys.cluster[i];
  const double weight = weight_of(journeys, i), outcome = journeys.outcome[i];
  double x_part = 0, x_scale = 0;
  if (backdoor) {
    x_part = backdoor->context_part(journeys, row, backdoor->linear(journeys, row));
    x_scale = backdoor->context_scale();
  }
  outcomes_.add_touched(arm, stratum_of(x_part, x_scale, 1), user, outcome, weight);
  if (!journeys.randomised.empty() && journeys.randomised[i] == 1) {
    randomised_.add(arm, user, outcome, weight);
  }
  const size_t at = static_cast<size_t>(2 * arm + half_of(user));
  outcome_[at].add(weight * outcome);
  weight_[at].add(weight);
}

void ArmProtocol::add_values(const io::Journeys& journeys, int64_t row, const ArmNuisances& half,
                             const ArmNuisances& main, const BackdoorPredictor* backdoor) {
  const size_t i = static_cast<size_t>(row);
  if (journeys.mediator.empty() || journeys.mediator[i] > 1) return;
  const uint64_t user = journeys.user[i];
  const int64_t arm = journeys.cluster[i];
  const double weight = weight_of(journeys, i), outcome = journeys.outcome[i];
  const ArmObservation observed{arm, journeys.mediator[i], outcome};
  const double base = theta(main, reference_);
  const double linear = backdoor ? backdoor->linear(journeys, row) : 0;
  for (int64_t a = 0; a < arms_; ++a) {
    // Journeys of the reference tell what those of other arms, at the same X, would be without.
    if (a == reference_ || (arm != a && arm != reference_)) continue;
    const double exposed = arm == a ? weight : 0;
    const double value =
        weight * (outcome - replacement_influence(half, observed, a, reference_, Floors()).phi);
    const float model = static_cast<float>(theta(main, a) - base);
    by_model_.add_ratio(model, user, value, exposed);
    values_.values.add_ratio(2 * a + half_of(user), user, value, exposed);
    float regression = 0;
    if (backdoor) {
      const std::vector<double>& all = backdoor->model().coefficients();
      const double moved =
          linear - all[static_cast<size_t>(1 + arm)] + all[static_cast<size_t>(1 + a)];
      regression = static_cast<float>(backdoor->model().replacement_effect(moved, a, reference_));
      by_backdoor_.add_ratio(regression, user, value, exposed);
    }
    if (arm != a || journeys.delta_do.empty()) continue;
    const double delta_do = journeys.delta_do[i], delta_ett = journeys.delta_ett[i];
    by_model_.add_truth(model, delta_do, delta_ett, weight);
    if (backdoor) by_backdoor_.add_truth(regression, delta_do, delta_ett, weight);
    values_.true_do.add(2 * a + half_of(user), user, delta_do, weight);
    if (!std::isnan(delta_ett)) {
      values_.true_ett.add(2 * a + half_of(user), user, delta_ett, weight);
    }
  }
}

void ArmProtocol::merge(const ArmProtocol& other) {
  outcomes_.merge(other.outcomes_);
  randomised_.merge(other.randomised_);
  values_.merge(other.values_);
  by_model_.merge(other.by_model_);
  by_backdoor_.merge(other.by_backdoor_);
  for (size_t at = 0; at < outcome_.size(); ++at) {
    outcome_[at].add(other.outcome_[at]);
    weight_[at].add(other.weight_[at]);
  }
}

void ArmProtocol::reduce(Communicator& world) {
  outcomes_.reduce(world, "outcomes by arm");
  randomised_.reduce(world, "randomised journeys");
  values_.reduce(world);
  by_model_.reduce(world, "values by score");
  by_backdoor_.reduce(world, "values by back-door effect");
  world.all_reduce_sum(std::span<FixedSum>(outcome_), "outcomes by half");
  world.all_reduce_sum(std::span<FixedSum>(weight_), "outcomes by half");
}

io::Json ArmProtocol::grouped_json(const ArmEffectSums& effects, const ArmEffectSums& gains,
                                   bool has_backdoor, bool randomised,
                                   const std::string& why_no_values) const {
  ClusterTable table;
  ClusterOverlap overlap;
  double all = 0, exposures = 0;
  for (int64_t arm = 0; arm < arms_; ++arm) all += outcomes_.touched_total(arm).weight;
  for (int64_t arm = 0; arm < arms_; ++arm) {
    const double weight = outcomes_.touched_total(arm).weight;
    table.n.push_back(weight);
    table.exposure.push_back(weight / all);
    const bool exposed = arm != reference_ && weight > 0;
    table.score.push_back(exposed ? effects.effect(arm).do_effect.plugin.mean : NAN);
    table.rival.push_back(exposed && has_backdoor ? effects.effect(arm).backdoor.mean : NAN);
    table.propensity.push_back(arm == reference_ ? std::vector<Weighted>()
                                                 : propensities(outcomes_, arm, reference_));
    const ArmEffect of_halves = arm == reference_ ? ArmEffect() : gains.effect(arm);
    overlap.rows.push_back(static_cast<double>(of_halves.touches));
    overlap.ess.push_back(of_halves.ett.ess);
    overlap.clipped.push_back(of_halves.ett.clipped_share * static_cast<double>(of_halves.touches));
    if (arm != reference_) exposures += static_cast<double>(of_halves.touches);
  }
  io::Json json;
  const auto none = [&](const char* key, const std::string& why) {
    json[key] = nullptr;
    json[std::string(key) + "_why"] = why;
  };
  const char* const kConfounded =
      "against the reference arm, within coarse strata of X: confounded wherever the arm follows "
      "what else moves the outcome";
  const StratifiedGain difference = gain_by_difference(outcomes_, reference_);
  json["difference"] =
      to_json(grouped_auuc(table, difference.gain, difference.overlap), kConfounded);
  const StratifiedGain ipw = gain_by_propensity(outcomes_, reference_);
  json["ipw"] = to_json(grouped_auuc(table, ipw.gain, ipw.overlap), kConfounded);
  if (!why_no_values.empty()) {
    none("front_door", why_no_values);
    none("rate", why_no_values);
  } else {
    json["front_door"] =
        to_json(grouped_auuc(table, gain_of_means(gains.ett_one_step()), overlap),
                "one-step values by fits that saw neither these users nor made the score");
    const Choice model = choice_by_score("model", by_model_, false);
    const Choice backdoor = choice_by_score("backdoor", by_backdoor_, false);
    json["rate"] = rate_json(model, backdoor.why.empty() ? &backdoor : nullptr, exposures);
  }
  if (randomised) {
    json["randomised"] = to_json(grouped_auuc(table, gain_against(randomised_, reference_)),
                                 "mean outcome of randomised journeys of the arm minus that of the "
                                 "reference arm");
  } else {
    none("randomised", "the log marks no journey as randomised");
  }
  none("shapley", "journeys of an arm log have one touch each: nothing to share out");
  return json;
}

io::Json ArmProtocol::policy_json(bool has_backdoor) const {
  // Outcomes per journey of the arm, which its one touch is last before.
  std::vector<double> credit;
  for (size_t at = 0; at < outcome_.size(); ++at) {
    const double weight = weight_[at].value();
    credit.push_back(weight > 0 ? outcome_[at].value() / weight : 0);
  }
  std::vector<Choice> choices = {choice_by_score("model", by_model_, truth_),
                                 choice_by_score("backdoor", by_backdoor_, truth_),
                                 choice_by_credit("last_touch", values_, credit, truth_)};
  if (!choices[0].why.empty()) return nullptr;
  if (!has_backdoor) choices[1].why = "the regression was not fitted";
  return alm::policy_json(choices);
}

}  // namespace alm
