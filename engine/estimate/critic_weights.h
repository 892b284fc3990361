// The critic's weights of one context over a group of journeys (method 2.5): self-normalised
// importance weights of T' | X = x.
#pragma once

#include <span>
#include <vector>

#include "engine/estimate/critic_sample.h"

namespace alm {

// Of a row of a group, the journeys of its own user left out. Reused from row to row.
struct CriticWeights {
  std::vector<double> uniform;  // [n] journey weights alone, sum 1: whom X does not matter for
  std::vector<double> all;      // [n] journey weight times exp(s(x, T_r)), sum 1; the row itself 0
  double ess = 0;               // (sum w)^2 / sum w^2 of `all`

  // False, and nothing is filled in, where the group has no other user.
  bool fill(std::span<const CriticJourney> group, int64_t row);
};

// Those of the k largest of `weights`, ties to the earlier, with sum 1; the rest 0. Returns the
// captured mass: their share of the sum. k at least 1.
double keep_largest(const std::vector<double>& weights, int64_t k, std::vector<double>& kept);

}  // namespace alm
