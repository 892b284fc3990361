// The ideal critic of level B (method 2.5, 8.2): p(T|x) / p(T) by its definition, u summed out, for
// weighing journeys of everyone as if they were shown to x. Only the clusters' parameters come from
// outside; no formula of engine/simulate is used. The number of touches is independent of x.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "tests/reference/level_b_enumeration.h"

namespace alm::reference {

class LevelBRatio {
 public:
  // What a context is asked for often.
  struct Context {
    std::array<double, 2> x{};
    std::array<double, 2> p_u{};           // P(u | x)
    std::array<std::vector<double>, 2> p;  // [K] P(k | x, u)
    std::array<double, 2> total{};         // what the weights of the clusters sum to
    std::array<double, 2> survival{};      // exp(-lambda(x, u))
    double lambda() const { return p_u[0] * survival[0] + p_u[1] * survival[1]; }
  };
  // p(T) is a mean over `draws` contexts.
  LevelBRatio(LevelBEnumeration::Clusters clusters, double confounding, int64_t draws);

  Context at(std::array<double, 2> x) const;
  // P(T | x) but for the law of the number of touches.
  static double p_touches(const Context& context, std::span<const int64_t> touches);
  double p_touches(std::span<const int64_t> touches) const;
  // E[exp(-lambda) | T, x], what the model's exp(-h) is to be; where T is never shown, what it
  // would be if T were, by the same law.
  double h(const Context& context, std::span<const int64_t> touches) const;

 private:
  LevelBEnumeration::Clusters clusters_;
  double confounding_;
  std::vector<Context> draws_;
};

// Correlation of two lists.
double pearson(std::span<const double> left, std::span<const double> right);

}  // namespace alm::reference
