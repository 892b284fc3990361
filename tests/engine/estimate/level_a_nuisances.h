// The exact nuisances of level A, by summing its joint law.
#pragma once

#include <vector>

#include "engine/estimate/arm_effects.h"
#include "tests/engine/estimate/level_a.h"

namespace alm::level_a {

// Nuisances of one x, owned.
struct Owned {
  std::vector<double> mediator, outcome0, outcome1, propensity;
  ArmNuisances view() const { return {mediator, outcome0, outcome1, propensity}; }
};

inline Owned exact(int x) {
  Owned n;
  double all = 0;
  for (int t = 0; t < kArms; ++t) {
    double p[2], y[2];
    for (int m = 0; m < 2; ++m) {
      p[m] = level_a::joint(x, t, m, 0) + level_a::joint(x, t, m, 1);
      y[m] = level_a::joint(x, t, m, 1) / p[m];
    }
    n.mediator.push_back(p[1] / (p[0] + p[1]));
    n.outcome0.push_back(y[0]);
    n.outcome1.push_back(y[1]);
    n.propensity.push_back(p[0] + p[1]);
    all += p[0] + p[1];
  }
  for (double& pi : n.propensity) pi /= all;
  return n;
}

}  // namespace alm::level_a
