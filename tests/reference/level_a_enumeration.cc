#include "tests/reference/level_a_enumeration.h"

#include <cmath>

namespace alm::reference {
namespace {

double logistic(double z) {
  return std::exp(z) / (1 + std::exp(z));
}

double law_x(int x) {
  return x ? 0.4 : 0.6;
}
double law_u(int u, int x) {
  const double one = x ? 0.6 : 0.3;
  return u ? one : 1 - one;
}
double law_t(int t, int x, int u) {
  const double a[] = {0, 0.2, -0.3, -0.6}, b[] = {0, 0.5, -0.4, 0.3}, c[] = {0, -1.2, 0.8, 2.0};
  double sum = 0;
  for (int i = 0; i < 4; ++i) sum += std::exp(a[i] + b[i] * x + c[i] * u);
  return std::exp(a[t] + b[t] * x + c[t] * u) / sum;
}
double law_m(int m, int t, int x) {
  const double al[] = {-1.5, 0.8, -0.6, -1.4};
  const double one = logistic(al[t] + 0.4 * x);
  return m ? one : 1 - one;
}
double law_y(int m, int u, int x) {
  return 0.03 + 0.10 * m + 0.25 * u + 0.02 * x + 0.08 * m * u;
}

}  // namespace

LevelAEnumeration::LevelAEnumeration(double leak, double noise, double direct) : direct_(direct) {
  for (int x = 0; x < 2; ++x)
    for (int u = 0; u < 2; ++u)
      for (int t = 0; t < kArms; ++t)
        for (int m = 0; m < 2; ++m)
          for (int y = 0; y < 2; ++y) {
            const double one = law_y(m, u, x) + (t == 3 ? direct : 0);
            const double cell =
                law_x(x) * law_u(u, x) * law_t(t, x, u) * law_m(m, t, x) * (y ? one : 1 - one);
            double v_one = m ? 1 - noise : noise;
            if (y) v_one += (1 - v_one) * leak;
            seen_[x][t][1][y] += cell * v_one;
            seen_[x][t][0][y] += cell * (1 - v_one);
          }
}

double LevelAEnumeration::mean(const Statistic& statistic) const {
  double sum = 0;
  for (int x = 0; x < 2; ++x)
    for (int t = 0; t < kArms; ++t)
      for (int v = 0; v < 2; ++v)
        for (int y = 0; y < 2; ++y) sum += seen_[x][t][v][y] * statistic(x, t, v, y);
  return sum;
}

double LevelAEnumeration::deviation(const Statistic& statistic) const {
  const double centre = mean(statistic);
  return std::sqrt(mean([&](int x, int t, int v, int y) {
    const double off = statistic(x, t, v, y) - centre;
    return off * off;
  }));
}

double LevelAEnumeration::p_x(int x) const {
  return mean([&](int xx, int, int, int) { return xx == x; });
}
double LevelAEnumeration::propensity(int t, int x) const {
  return mean([&](int xx, int tt, int, int) { return xx == x && tt == t; }) / p_x(x);
}
double LevelAEnumeration::p_mediator(int v, int t, int x) const {
  return (seen_[x][t][v][0] + seen_[x][t][v][1]) / (p_x(x) * propensity(t, x));
}
double LevelAEnumeration::mu(int v, int t, int x) const {
  return seen_[x][t][v][1] / (seen_[x][t][v][0] + seen_[x][t][v][1]);
}
double LevelAEnumeration::p_arm(int t) const {
  return mean([&](int, int tt, int, int) { return tt == t; });
}
double LevelAEnumeration::mean_outcome() const {
  return mean([](int, int, int, int y) { return y; });
}
double LevelAEnumeration::front_door(int t) const {
  return plug_in(exact(), t);
}

double LevelAEnumeration::naive(int t) const {
  return mean([&](int, int tt, int, int y) { return tt == t && y; }) / p_arm(t);
}
double LevelAEnumeration::x_adjusted(int t) const {
  double sum = 0;
  for (int x = 0; x < 2; ++x) {
    sum += p_x(x) * (p_mediator(0, t, x) * mu(0, t, x) + p_mediator(1, t, x) * mu(1, t, x));
  }
  return sum;
}
double LevelAEnumeration::xm_adjusted(int t) const {
  return mean([&](int x, int, int v, int) { return mu(v, t, x); });
}

double LevelAEnumeration::truth_do(int t, int x) const {
  double sum = 0;
  for (int u = 0; u < 2; ++u)
    for (int m = 0; m < 2; ++m)
      sum += law_u(u, x) * law_m(m, t, x) * (law_y(m, u, x) + (t == 3 ? direct_ : 0));
  return sum;
}
double LevelAEnumeration::truth_do(int t) const {
  return law_x(0) * truth_do(t, 0) + law_x(1) * truth_do(t, 1);
}
double LevelAEnumeration::replaced(int t, int x) const {
  double sum = 0, mass = 0;
  for (int u = 0; u < 2; ++u) {
    const double weight = law_u(u, x) * law_t(t, x, u);
    mass += weight;
    for (int m = 0; m < 2; ++m) {
      sum += weight * law_m(m, 0, x) * (law_y(m, u, x) + (t == 3 ? direct_ : 0));
    }
  }
  return sum / mass;
}
double LevelAEnumeration::psi_removal(int k) const {
  double sum = 0;
  for (int x = 0; x < 2; ++x)
    for (int t = 0; t < kArms; ++t) {
      const double mass = law_x(x) * (law_u(0, x) * law_t(t, x, 0) + law_u(1, x) * law_t(t, x, 1));
      if (t == k) {
        sum += mass * replaced(t, x);
      } else {
        sum += mean([&](int xx, int tt, int, int y) { return xx == x && tt == t && y; });
      }
    }
  return sum;
}

LevelAEnumeration::Nuisances LevelAEnumeration::exact() const {
  return {[this](int t, int x) { return propensity(t, x); },
          [this](int v, int t, int x) { return p_mediator(v, t, x); },
          [this](int v, int t, int x) { return mu(v, t, x); }};
}

double LevelAEnumeration::phi_do(const Nuisances& fit, int arm, int x, int t, int v, int y) {
  const auto xi = [&](int value) {
    double sum = 0;
    for (int other = 0; other < kArms; ++other) {
      sum += fit.propensity(other, x) * fit.mu(value, other, x);
    }
    return sum;
  };
  double theta = 0, eta = 0;
  for (int value = 0; value < 2; ++value) {
    theta += fit.p_mediator(value, arm, x) * xi(value);
    eta += fit.p_mediator(value, arm, x) * fit.mu(value, t, x);
  }
  const double ratio = fit.p_mediator(v, arm, x) / fit.p_mediator(v, t, x);
  const double shown = t == arm ? 1 / fit.propensity(arm, x) : 0;
  return ratio * (y - fit.mu(v, t, x)) + shown * (xi(v) - theta) + eta;
}

double LevelAEnumeration::phi_removal(const Nuisances& fit, int k, int x, int t, int v, int y) {
  const auto target = [&](int arm) { return arm == k ? 0 : arm; };
  const auto kappa = [&](int arm) {
    return fit.p_mediator(0, target(arm), x) * fit.mu(0, arm, x) +
           fit.p_mediator(1, target(arm), x) * fit.mu(1, arm, x);
  };
  double phi =
      fit.p_mediator(v, target(t), x) / fit.p_mediator(v, t, x) * (y - fit.mu(v, t, x)) + kappa(t);
  for (int arm = 0; arm < kArms; ++arm) {
    if (target(arm) != t) continue;
    phi += fit.propensity(arm, x) / fit.propensity(t, x) * (fit.mu(v, arm, x) - kappa(arm));
  }
  return phi;
}

double LevelAEnumeration::plug_in(const Nuisances& fit, int arm) const {
  double sum = 0;
  for (int x = 0; x < 2; ++x)
    for (int v = 0; v < 2; ++v)
      for (int t = 0; t < kArms; ++t)
        sum += p_x(x) * fit.p_mediator(v, arm, x) * fit.propensity(t, x) * fit.mu(v, t, x);
  return sum;
}

}  // namespace alm::reference
