// Influence functions of the front-door estimands for one journey of an arm log with a binary
// mediator: exact sums over m and a. Pure functions; each has a mean over journeys that is the
// estimate.
#pragma once

#include <cstdint>
#include <span>

namespace alm {

// Nuisances at one journey's X, [K] each: p(M=1|a,X), mu(0,a,X), mu(1,a,X), pi(a|X).
struct ArmNuisances {
  std::span<const double> mediator;  // p(M=1|a,X)
  std::span<const double> outcome0;  // mu(0,a,X)
  std::span<const double> outcome1;  // mu(1,a,X)
  std::span<const double> propensity;

  int64_t arms() const { return static_cast<int64_t>(propensity.size()); }
  double p(int64_t m, int64_t a) const {
    const double one = mediator[static_cast<size_t>(a)];
    return m == 1 ? one : 1 - one;
  }
  double mu(int64_t m, int64_t a) const {
    return (m == 1 ? outcome1 : outcome0)[static_cast<size_t>(a)];
  }
  double pi(int64_t a) const { return propensity[static_cast<size_t>(a)]; }
};

struct ArmObservation {
  int64_t arm = 0;
  int64_t mediator = 0;  // 0 or 1
  double outcome = 0;
};

// Least values of the denominators (method 5.6). kNoFloors gives the raw values.
struct Floors {
  double mediator = 0.01;    // p(M|A,X)
  double propensity = 0.01;  // pi(a|X)
};
inline constexpr Floors kNoFloors{0, 0};

// One uncentred influence value and how it was weighted.
struct InfluenceValue {
  double phi = 0;
  double mediator_weight = 0;    // p(M|a,X) / p(M|A,X)
  double propensity_weight = 0;  // 1{A=a} / pi(a|X), or the sum of odds in the replacement
  bool clipped = false;          // a floor was active in a term that counts here
};

// xi(m,X) = sum_a pi(a|X) mu(m,a,X).
double xi(const ArmNuisances& nuisances, int64_t m);
// theta_a(X) = sum_m p(m|a,X) xi(m,X): the plug-in of psi_a at X.
double theta(const ArmNuisances& nuisances, int64_t a);
// eta_a(A,X) = sum_m p(m|a,X) mu(m,A,X).
double eta(const ArmNuisances& nuisances, int64_t a, int64_t observed_arm);

// Method 5.2: phi_a(O) = p(M|a,X)/p(M|A,X) (Y - mu(M,A,X)) + 1{A=a}/pi(a|X) (xi(M,X) - theta_a(X))
// + eta_a(A,X). Mean: psi_a = E[Y(do a)].
InfluenceValue do_influence(const ArmNuisances& nuisances, const ArmObservation& observed,
                            int64_t a, Floors floors);

// Method 5.3 with d(arm) = reference, d(a) = a else. Mean: psi_d. For journeys of neither arm the
// value is Y. kappa(a,X) = sum_m p(m|d(a),X) mu(m,a,X) = eta_{d(a)}(a,X).
InfluenceValue replacement_influence(const ArmNuisances& nuisances, const ArmObservation& observed,
                                     int64_t arm, int64_t reference, Floors floors);

// Plug-in of the replacement effect at X for a journey of `arm`: sum_m [p(m|arm,X) -
// p(m|reference,X)] mu(m,arm,X).
double replacement_plugin(const ArmNuisances& nuisances, int64_t arm, int64_t reference);

}  // namespace alm
