#include "engine/estimate/targeting.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/logistic.h"

namespace alm {
namespace {

// Counted nuisances may be 0 or 1: nothing moves those.
constexpr double kLeastProbability = 1e-9;

double moved(double probability, double by) {
  if (by == 0) return probability;
  const double p = std::clamp(probability, kLeastProbability, 1 - kLeastProbability);
  return sigmoid(std::log(p / (1 - p)) + by);
}

}  // namespace

TargetingSums::TargetingSums(int64_t arms, const TargetingSetting& setting)
    : arms_(arms),
      setting_(setting),
      outcome_(static_cast<size_t>(arms)),
      mediator_(static_cast<size_t>(arms)),
      eta_(static_cast<size_t>(arms)),
      influence_(arms),
      phi_(static_cast<size_t>(arms)) {}

void TargetingSums::add(uint64_t user, const ArmObservation& observed, double weight,
                        const ArmNuisances& nuisances, const Targeting& targeting) {
  const int64_t own = observed.arm;
  const int64_t m = observed.mediator;
  for (int64_t a = 0; a < arms_; ++a) {
    const size_t at = static_cast<size_t>(a);
    const auto mu = [&](int64_t mediator, int64_t arm) {
      const double value = nuisances.mu(mediator, arm);
      return setting_.binary ? moved(value, targeting.outcome[at]) : value + targeting.outcome[at];
    };
    // xi_a(1,X) - xi_a(0,X); what all arms are needed for, of the row's own arm alone unless its
    // law has moved.
    double gap = 0;
    if (own == a || targeting.mediator[at] != 0) {
      for (int64_t arm = 0; arm < arms_; ++arm) {
        gap += nuisances.pi(arm) * (mu(1, arm) - mu(0, arm));
      }
    }
    const double one = moved(nuisances.p(1, a), targeting.mediator[at] * gap / setting_.scale);
    const double law = m == 1 ? one : 1 - one;
    const double drawn = own == a ? law : nuisances.p(m, own);
    const double ratio = law / std::max(drawn, setting_.floors.mediator);
    const double predicted = mu(m, own);
    const double eta = one * mu(1, own) + (1 - one) * mu(0, own);
    const double residual = ratio * (observed.outcome - predicted);
    outcome_[at].sum.add(weight * residual);
    outcome_[at].slope.add(weight * ratio * (setting_.binary ? predicted * (1 - predicted) : 1.0));
    outcome_[at].weight.add(weight);
    outcome_[at].squares.add(setting_.binary ? weight : weight / (setting_.scale * setting_.scale));
    eta_[at].add(weight * eta);
    phi_[at] = residual + eta;
    if (own == a) {
      const double drawn_weight = 1 / std::max(nuisances.pi(a), setting_.floors.propensity);
      const double score = drawn_weight * gap * (static_cast<double>(m) - one);
      const double direction = gap / setting_.scale;
      mediator_[at].sum.add(weight * score);
      mediator_[at].slope.add(weight * drawn_weight * gap * direction * one * (1 - one));
      mediator_[at].weight.add(weight);
      mediator_[at].squares.add(weight * direction * direction);
      phi_[at] += score;
    }
  }
  weight_.add(weight);
  for (int64_t a = 0; a < arms_; ++a) {
    const double phi = phi_[static_cast<size_t>(a)];
    influence_.add(a, user, phi - phi_[static_cast<size_t>(setting_.reference)], weight);
  }
}

void TargetingSums::merge(const TargetingSums& other) {
  for (size_t at = 0; at < outcome_.size(); ++at) {
    outcome_[at].add(other.outcome_[at]);
    mediator_[at].add(other.mediator_[at]);
    eta_[at].add(other.eta_[at]);
  }
  weight_.add(other.weight_);
  influence_.merge(other.influence_);
}

void TargetingSums::reduce(Communicator& world) {
  const auto each = [&](const auto& use) {
    for (std::vector<Score>* scores : {&outcome_, &mediator_}) {
      for (Score& score : *scores) {
        for (FixedSum* sum : {&score.sum, &score.slope, &score.weight, &score.squares}) use(*sum);
      }
    }
    for (FixedSum& sum : eta_) use(sum);
    use(weight_);
  };
  std::vector<FixedSum> all;
  each([&](const FixedSum& sum) { all.push_back(sum); });
  world.all_reduce_sum(std::span<FixedSum>(all), "targeting");
  size_t at = 0;
  each([&](FixedSum& sum) { sum = all[at++]; });
  influence_.reduce(world, "targeting");
}

void TargetingSums::Score::add(const Score& other) {
  sum.add(other.sum);
  slope.add(other.slope);
  weight.add(other.weight);
  squares.add(other.squares);
}

void TargetingSums::step(const Score& score, double& of) {
  const double slope = score.slope.value();
  const double squares = score.squares.value();
  if (!(slope > 0) || !(squares > 0)) return;
  const double most = std::sqrt(score.weight.value() / squares);
  of += std::clamp(score.sum.value() / slope, -most, most);
}

void TargetingSums::improve(Targeting& targeting) const {
  for (size_t at = 0; at < outcome_.size(); ++at) {
    step(outcome_[at], targeting.outcome[at]);
    step(mediator_[at], targeting.mediator[at]);
  }
}

double TargetingSums::largest_score() const {
  double largest = 0;
  for (size_t at = 0; at < outcome_.size(); ++at) {
    largest = std::max(
        {largest, std::fabs(outcome_[at].sum.value()), std::fabs(mediator_[at].sum.value())});
  }
  return largest / (weight_.value() * setting_.scale);
}

double TargetingSums::arm_mean(int64_t arm) const {
  return eta_[static_cast<size_t>(arm)].value() / weight_.value();
}

MeanEstimate TargetingSums::effect(int64_t arm) const {
  MeanEstimate estimate = influence_.estimate(arm);
  estimate.mean = arm_mean(arm) - arm_mean(setting_.reference);
  return estimate;
}

Targeted target(int64_t arms, const std::function<TargetingSums(const Targeting&)>& pass) {
  const Targeting start(arms);
  Targeted result{pass(start), start};
  while (result.passes < kTargetingPasses && !result.done()) {
    result.sums.improve(result.targeting);
    result.sums = pass(result.targeting);
    ++result.passes;
  }
  return result;
}

}  // namespace alm
