#include "engine/estimate/arm_effects.h"

#include <algorithm>
#include <cmath>

#include "engine/estimate/thin_data.h"
#include "kernels/base/check.h"

namespace alm {
namespace {

// An unfloored denominator can be as good as 0.
bool usable(double raw) {
  return std::fabs(raw) < 1e15;
}

io::Json estimand_json(const ArmEstimand& estimand, const ArmEffect& arm) {
  // Nobody got the arm: what the networks say of it is not evidence.
  if (arm.touches == 0) return no_estimate("no scored journey of this arm");
  if (arm.reference_touches == 0) return no_estimate("no scored journey of the reference arm");
  io::Json json;
  put_number(json, "plugin", estimand.plugin.mean, "no journey to average over");
  put_number(json, "one_step", estimand.one_step.mean, "no journey with an observed mediator");
  const std::string thin = too_thin(arm.observed_touches, arm.observed_users, estimand.ess, true);
  put_interval(json, estimand.one_step, thin, "no journey with an observed mediator");
  put_number(json, "one_step_raw", estimand.one_step_raw.mean,
             "a denominator is 0 without the floor");
  json["clipped_share"] = estimand.clipped_share;
  json["ess"] = estimand.ess;
  return json;
}

}  // namespace

io::Json to_json(const ArmEffect& effect, const std::string& name) {
  io::Json json;
  json["cluster"] = effect.cluster;
  json["name"] = name;
  json["touches"] = effect.touches;
  json["users"] = effect.users;
  if (!effect.users_exact) json["users_note"] = "approximate";
  json["unit"] = {{"do", "per scored journey, arm minus reference"},
                  {"ett", "per journey of the arm, replaced by the reference"}};
  put_number(json, "naive", effect.naive.mean, "no journey of the arm or of the reference");
  put_number(json, "naive_se", effect.naive.se, "too few users to tell the error");
  put_number(json, "backdoor", effect.backdoor.mean, "no back-door fit");
  json["do"] = estimand_json(effect.do_effect, effect);
  json["ett"] = estimand_json(effect.ett, effect);
  return json;
}

ArmEffectSums::Estimand::Estimand(int64_t arms)
    : plugin(arms),
      one_step(arms),
      raw(arms),
      mediator(arms),
      propensity(arms),
      clipped(static_cast<size_t>(arms)),
      counted(static_cast<size_t>(arms)),
      raw_undefined(static_cast<size_t>(arms)) {}

void ArmEffectSums::Estimand::merge(const Estimand& other) {
  plugin.merge(other.plugin);
  one_step.merge(other.one_step);
  raw.merge(other.raw);
  mediator.merge(other.mediator);
  propensity.merge(other.propensity);
  const auto add = [](std::vector<FixedSum>& to, const std::vector<FixedSum>& from) {
    for (size_t i = 0; i < to.size(); ++i) to[i].add(from[i]);
  };
  add(clipped, other.clipped);
  add(counted, other.counted);
  for (size_t i = 0; i < raw_undefined.size(); ++i) raw_undefined[i] += other.raw_undefined[i];
}

void ArmEffectSums::Estimand::reduce(Communicator& comm, const char* what) {
  plugin.reduce(comm, what);
  one_step.reduce(comm, what);
  raw.reduce(comm, what);
  mediator.reduce(comm, what);
  propensity.reduce(comm, what);
  for (auto* sums : {&clipped, &counted}) {
    comm.all_reduce_sum(std::span<FixedSum>(*sums), what);
  }
  comm.all_reduce_sum(std::span<int64_t>(raw_undefined), what);
}

ArmEstimand ArmEffectSums::Estimand::finish(int64_t arm) const {
  const size_t a = static_cast<size_t>(arm);
  ArmEstimand result;
  result.plugin = plugin.estimate(arm);
  result.one_step = one_step.estimate(arm);
  result.one_step_raw = raw.estimate(arm);
  if (raw_undefined[a] > 0) result.one_step_raw.mean = result.one_step_raw.se = NAN;
  const double all = counted[a].value();
  result.clipped_share = all > 0 ? clipped[a].value() / all : 0;
  result.ess = std::min(mediator.effective_sample(arm), propensity.effective_sample(arm));
  return result;
}

ArmEffectSums::ArmEffectSums(int64_t arms, int64_t reference, Floors floors)
    : arms_(arms),
      reference_(reference),
      floors_(floors),
      outcomes_(arms),
      weighted_(static_cast<size_t>(arms * 3)),
      backdoor_(arms),
      users_(arms + 1),
      observed_users_(arms, kLeastUsers),
      observed_touches_(static_cast<size_t>(arms)),
      do_(arms),
      ett_(arms) {
  ALM_CHECK(reference >= 0 && reference < arms);
}

void ArmEffectSums::add(uint64_t user, int64_t arm, uint8_t mediator, double outcome, double weight,
                        const ArmNuisances& nuisances) {
  ALM_CHECK(arm >= 0 && arm < arms_ && nuisances.arms() == arms_);
  outcomes_.add(arm, user, outcome, weight);
  FixedSum* weighted = &weighted_[static_cast<size_t>(arm * 3)];
  weighted[0].add(weight * weight);
  weighted[1].add(weight * weight * outcome);
  weighted[2].add(weight * weight * outcome * outcome);
  users_.add(arm, user);
  users_.add(arms_, user);
  const double theta_reference = theta(nuisances, reference_);
  for (int64_t a = 0; a < arms_; ++a) {
    if (a != reference_) do_.plugin.add(a, user, theta(nuisances, a) - theta_reference, weight);
  }
  if (arm != reference_) {
    ett_.plugin.add(arm, user, replacement_plugin(nuisances, arm, reference_), weight);
  }
  if (mediator > 1) {
    ++mediator_missing_;
    return;
  }
  if (weight > 0) {
    observed_users_.add(arm, user);
    ++observed_touches_[static_cast<size_t>(arm)];
  }

  const ArmObservation observed{arm, mediator, outcome};
  const auto at_reference = do_influence(nuisances, observed, reference_, floors_);
  const auto raw_at_reference = do_influence(nuisances, observed, reference_, kNoFloors);
  for (int64_t a = 0; a < arms_; ++a) {
    if (a == reference_) continue;
    const size_t index = static_cast<size_t>(a);
    const auto value = do_influence(nuisances, observed, a, floors_);
    do_.one_step.add(a, user, value.phi - at_reference.phi, weight);
    const double raw = do_influence(nuisances, observed, a, kNoFloors).phi - raw_at_reference.phi;
    if (usable(raw)) {
      do_.raw.add(a, user, raw, weight);
    } else {
      ++do_.raw_undefined[index];
    }
    do_.mediator.add(a, weight * value.mediator_weight);
    if (value.propensity_weight > 0) do_.propensity.add(a, weight * value.propensity_weight);
    do_.counted[index].add(weight);
    if (value.clipped || at_reference.clipped) do_.clipped[index].add(weight);

    // The replacement moves journeys of the arm, and needs the reference's own to be estimated.
    if (arm != a && arm != reference_) continue;
    const auto moved = replacement_influence(nuisances, observed, a, reference_, floors_);
    const double exposed = arm == a ? weight : 0.0;
    ett_.one_step.add_ratio(a, user, weight * (outcome - moved.phi), exposed);
    const double raw_moved =
        outcome - replacement_influence(nuisances, observed, a, reference_, kNoFloors).phi;
    if (usable(raw_moved)) {
      ett_.raw.add_ratio(a, user, weight * raw_moved, exposed);
    } else {
      ++ett_.raw_undefined[index];
    }
    if (arm == a) ett_.mediator.add(a, weight * moved.mediator_weight);
    if (arm == reference_) ett_.propensity.add(a, weight * moved.propensity_weight);
    ett_.counted[index].add(weight);
    if (moved.clipped) ett_.clipped[index].add(weight);
  }
}

void ArmEffectSums::add_backdoor(uint64_t user, int64_t arm, double effect, double weight) {
  backdoor_.add(arm, user, effect, weight);
}

void ArmEffectSums::merge(const ArmEffectSums& other) {
  outcomes_.merge(other.outcomes_);
  for (size_t i = 0; i < weighted_.size(); ++i) weighted_[i].add(other.weighted_[i]);
  backdoor_.merge(other.backdoor_);
  users_.merge(other.users_);
  observed_users_.merge(other.observed_users_);
  for (size_t i = 0; i < observed_touches_.size(); ++i) {
    observed_touches_[i] += other.observed_touches_[i];
  }
  do_.merge(other.do_);
  ett_.merge(other.ett_);
  mediator_missing_ += other.mediator_missing_;
}

void ArmEffectSums::reduce(Communicator& comm, const char* what) {
  outcomes_.reduce(comm, what);
  comm.all_reduce_sum(std::span<FixedSum>(weighted_), what);
  backdoor_.reduce(comm, what);
  users_.reduce(comm, what);
  observed_users_.reduce(comm, what);
  comm.all_reduce_sum(std::span<int64_t>(observed_touches_), what);
  do_.reduce(comm, what);
  ett_.reduce(comm, what);
  comm.all_reduce_sum(std::span<int64_t>(&mediator_missing_, 1), what);
}

double ArmEffectSums::variance_of_mean(int64_t arm) const {
  const FixedSum* weighted = &weighted_[static_cast<size_t>(arm * 3)];
  const double total = outcomes_.weight(arm);
  const double mean = outcomes_.sum(arm) / total;
  const double squares =
      weighted[2].value() - 2 * mean * weighted[1].value() + mean * mean * weighted[0].value();
  return std::max(squares, 0.0) / (total * total);
}

ArmEffect ArmEffectSums::effect(int64_t arm) const {
  ALM_CHECK(arm >= 0 && arm < arms_ && arm != reference_);
  ArmEffect result;
  result.cluster = arm;
  result.touches = outcomes_.touches(arm);
  result.users = users_.count(arm);
  result.users_exact = users_.exact(arm);
  result.reference_touches = outcomes_.touches(reference_);
  result.reference_users = users_.count(reference_);
  result.observed_touches = std::min(observed_touches_[static_cast<size_t>(arm)],
                                     observed_touches_[static_cast<size_t>(reference_)]);
  result.observed_users =
      std::min(observed_users_.at_least(arm), observed_users_.at_least(reference_));
  result.naive = contrast(outcomes_, arm, outcomes_, reference_);
  int64_t journeys = 0;
  for (int64_t a = 0; a < arms_; ++a) journeys += outcomes_.touches(a);
  if (users_.exact(arms_) && users_.count(arms_) == journeys) {
    result.naive.se = std::sqrt(variance_of_mean(arm) + variance_of_mean(reference_));
  }
  result.backdoor = backdoor_.estimate(arm);
  result.do_effect = do_.finish(arm);
  result.ett = ett_.finish(arm);
  return result;
}

}  // namespace alm
