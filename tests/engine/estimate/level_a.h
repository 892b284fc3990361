// Level A of method 8.1, written out for the tests: the joint law by enumeration, the truth from
// it, and a sampler.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

#include "kernels/base/rng.h"

namespace alm::level_a {

inline constexpr int kArms = 4;

inline double sigmoid(double z) {
  return 1 / (1 + std::exp(-z));
}
inline double p_x(int x) {
  return x ? 0.4 : 0.6;
}
inline double p_u(int u, int x) {
  const double one = x ? 0.6 : 0.3;
  return u ? one : 1 - one;
}
inline double p_arm(int t, int x, int u) {
  constexpr std::array<double, kArms> a{0, 0.2, -0.3, -0.6}, b{0, 0.5, -0.4, 0.3},
      c{0, -1.2, 0.8, 2.0};
  double sum = 0;
  for (int s = 0; s < kArms; ++s) sum += std::exp(a[s] + b[s] * x + c[s] * u);
  return std::exp(a[t] + b[t] * x + c[t] * u) / sum;
}
inline double p_mediator(int m, int t, int x) {
  constexpr std::array<double, kArms> level{-1.5, 0.8, -0.6, -1.4};
  const double one = sigmoid(level[t] + 0.4 * x);
  return m ? one : 1 - one;
}
inline double p_outcome(int m, int u, int x) {
  return 0.03 + 0.10 * m + 0.25 * u + 0.02 * x + 0.08 * m * u;
}

// P(X=x, T=t, M=m, Y=y), the confounder summed out.
inline double joint(int x, int t, int m, int y) {
  double sum = 0;
  for (int u = 0; u < 2; ++u) {
    const double one = p_outcome(m, u, x);
    sum += p_u(u, x) * p_arm(t, x, u) * (y ? one : 1 - one);
  }
  return p_x(x) * p_mediator(m, t, x) * sum;
}

// E[Y | do(t)] from the structural model: the confounder keeps its own law.
inline double truth(int t) {
  double sum = 0;
  for (int x = 0; x < 2; ++x) {
    for (int m = 0; m < 2; ++m) {
      for (int u = 0; u < 2; ++u) {
        sum += p_x(x) * p_u(u, x) * p_mediator(m, t, x) * p_outcome(m, u, x);
      }
    }
  }
  return sum;
}

// E[Y] when journeys of arm t get the reference's mediator law instead.
inline double truth_replaced(int t, int reference) {
  double sum = 0;
  for (int x = 0; x < 2; ++x) {
    for (int u = 0; u < 2; ++u) {
      for (int a = 0; a < kArms; ++a) {
        for (int m = 0; m < 2; ++m) {
          sum += p_x(x) * p_u(u, x) * p_arm(a, x, u) * p_mediator(m, a == t ? reference : a, x) *
                 p_outcome(m, u, x);
        }
      }
    }
  }
  return sum;
}

struct Row {
  int x, arm, mediator, outcome;
};

inline Row sample(uint64_t seed, uint64_t index) {
  Rng rng(seed, Stream::test, index);
  Row row{};
  row.x = rng.bernoulli(0.4);
  const int u = rng.bernoulli(p_u(1, row.x));
  double left = rng.uniform();
  for (row.arm = 0; row.arm < kArms - 1; ++row.arm) {
    left -= p_arm(row.arm, row.x, u);
    if (left < 0) break;
  }
  row.mediator = rng.bernoulli(p_mediator(1, row.arm, row.x));
  row.outcome = rng.bernoulli(p_outcome(row.mediator, u, row.x));
  return row;
}

}  // namespace alm::level_a
