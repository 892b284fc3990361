#include "engine/estimate/influence.h"

#include <algorithm>

namespace alm {

double xi(const ArmNuisances& nuisances, int64_t m) {
  double sum = 0;
  for (int64_t a = 0; a < nuisances.arms(); ++a) sum += nuisances.pi(a) * nuisances.mu(m, a);
  return sum;
}

double theta(const ArmNuisances& nuisances, int64_t a) {
  return nuisances.p(0, a) * xi(nuisances, 0) + nuisances.p(1, a) * xi(nuisances, 1);
}

double eta(const ArmNuisances& nuisances, int64_t a, int64_t observed_arm) {
  return nuisances.p(0, a) * nuisances.mu(0, observed_arm) +
         nuisances.p(1, a) * nuisances.mu(1, observed_arm);
}

InfluenceValue do_influence(const ArmNuisances& nuisances, const ArmObservation& observed,
                            int64_t a, Floors floors) {
  const int64_t m = observed.mediator;
  InfluenceValue value;
  const double law = nuisances.p(m, observed.arm);
  value.mediator_weight = nuisances.p(m, a) / std::max(law, floors.mediator);
  value.clipped = law < floors.mediator;
  value.phi = value.mediator_weight * (observed.outcome - nuisances.mu(m, observed.arm)) +
              eta(nuisances, a, observed.arm);
  if (observed.arm == a) {
    value.propensity_weight = 1 / std::max(nuisances.pi(a), floors.propensity);
    value.clipped = value.clipped || nuisances.pi(a) < floors.propensity;
    value.phi += value.propensity_weight * (xi(nuisances, m) - theta(nuisances, a));
  }
  return value;
}

InfluenceValue replacement_influence(const ArmNuisances& nuisances, const ArmObservation& observed,
                                     int64_t arm, int64_t reference, Floors floors) {
  const int64_t m = observed.mediator;
  InfluenceValue value;
  value.mediator_weight = 1;
  value.phi = observed.outcome;
  if (observed.arm == arm) {
    const double law = nuisances.p(m, arm);
    value.mediator_weight = nuisances.p(m, reference) / std::max(law, floors.mediator);
    value.clipped = law < floors.mediator;
    value.phi = value.mediator_weight * (observed.outcome - nuisances.mu(m, arm)) +
                eta(nuisances, reference, arm);
  } else if (observed.arm == reference) {
    // The terms of the reference itself add up to Y; what is left is the odds of the arm that lands
    // here.
    const double share = nuisances.pi(reference);
    value.propensity_weight = nuisances.pi(arm) / std::max(share, floors.propensity);
    value.clipped = share < floors.propensity;
    value.phi += value.propensity_weight * (nuisances.mu(m, arm) - eta(nuisances, reference, arm));
  }
  return value;
}

double replacement_plugin(const ArmNuisances& nuisances, int64_t arm, int64_t reference) {
  return eta(nuisances, arm, arm) - eta(nuisances, reference, arm);
}

}  // namespace alm
