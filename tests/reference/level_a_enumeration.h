// Method 8.1 by brute enumeration: one table of the joint law over every cell, and everything else
// sums of it. Shares nothing with engine/simulate or engine/estimate.
#pragma once

#include <array>
#include <functional>

namespace alm::reference {

class LevelAEnumeration {
 public:
  static constexpr int kArms = 4;
  // How the seen mediator v differs from the true one: flipped with probability `noise`, then set
  // to 1 with probability `leak` when Y = 1. `direct`: added to P(Y=1) of arm 3.
  explicit LevelAEnumeration(double leak = 0, double noise = 0, double direct = 0);

  // Of the seen law (x, t, v, y).
  double p_x(int x) const;
  double propensity(int t, int x) const;
  double p_mediator(int v, int t, int x) const;
  double mu(int v, int t, int x) const;
  double p_arm(int t) const;
  double mean_outcome() const;
  double front_door(int t) const;
  double naive(int t) const;
  double x_adjusted(int t) const;
  double xm_adjusted(int t) const;

  // Of the whole law: E[Y | do(t)] by setting t in every cell, E[Y] when arm `t` is replaced by arm
  // 0 (the mediator's part only), and both for one x (and those who had t).
  double truth_do(int t) const;
  double truth_do(int t, int x) const;
  double replaced(int t, int x) const;
  double psi_removal(int t) const;

  struct Nuisances {
    std::function<double(int t, int x)> propensity;
    std::function<double(int v, int t, int x)> p_mediator;
    std::function<double(int v, int t, int x)> mu;
  };
  Nuisances exact() const;
  // Uncentred influence values, methods 5.2 and 5.3 (removal: arm k is replaced by arm 0).
  static double phi_do(const Nuisances& fit, int arm, int x, int t, int v, int y);
  static double phi_removal(const Nuisances& fit, int k, int x, int t, int v, int y);
  double plug_in(const Nuisances& fit, int arm) const;

  // Mean and standard deviation of a function of what is seen.
  using Statistic = std::function<double(int x, int t, int v, int y)>;
  double mean(const Statistic& statistic) const;
  double deviation(const Statistic& statistic) const;

 private:
  // P(x, t, v, y), and P(Y=1 | m, u, x, t) with P(u | x), P(m | t, x) for the interventions.
  std::array<std::array<std::array<std::array<double, 2>, 2>, kArms>, 2> seen_{};
  double direct_;
};

}  // namespace alm::reference
