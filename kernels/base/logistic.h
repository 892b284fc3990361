// The logistic function and its relatives in double, safe for any argument.
#pragma once

#include <algorithm>
#include <cmath>

namespace alm {

// 1 / (1 + exp(-z))
inline double sigmoid(double z) {
  if (z >= 0) return 1 / (1 + std::exp(-z));
  const double e = std::exp(z);
  return e / (1 + e);
}

// log(1 + exp(z))
inline double softplus(double z) {
  return std::max(z, 0.0) + std::log1p(std::exp(-std::fabs(z)));
}

// log P of an event of that logit, or of its absence.
inline double log_probability(double logit, bool happens) {
  return -softplus(happens ? -logit : logit);
}

// Entropy in nats of an outcome that happens at this rate.
inline double binary_entropy(double rate) {
  if (!(rate > 0) || !(rate < 1)) return 0;
  return -rate * std::log(rate) - (1 - rate) * std::log1p(-rate);
}

}  // namespace alm
