// Targeted estimates (TMLE, method 5.5) of E[Y(do a)] in arm logs with a binary mediator, in the
// direct-density variant: for each arm a the outcome head and the arm's mediator law are moved
// along one parameter each,
//   logit mu_a(m,A,X) = logit mu(m,A,X) + outcome[a]          (continuous outcomes: mu +
//   outcome[a]) logit p_a(1|a,X)  = logit p(1|a,X) + mediator[a] (xi_a(1,X) - xi_a(0,X))
// until the means of the terms of the influence function (5.2) that hold them are 0:
//   p_a(M|a,X)/p_a(M|A,X) (Y - mu_a(M,A,X))   and   1{A=a}/pi(a|X) (xi_a(M,X) - theta_a(X)).
// The estimate is then the mean of eta_a(A,X) = sum_m p_a(m|a,X) mu_a(m,A,X): a mean of
// predictions, so never beyond the outcome's bounds, and equal to the mean of the influence values
// by the moved nuisances, so right where the one-step value is. pi need not move: averaging eta
// over the arms as they were drawn leaves its term at 0.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/estimate/influence.h"
#include "engine/estimate/user_sums.h"

namespace alm {

// How far the nuisances are moved, [arms] each.
struct Targeting {
  explicit Targeting(int64_t arms)
      : outcome(static_cast<size_t>(arms)), mediator(static_cast<size_t>(arms)) {}

  std::vector<double> outcome;
  std::vector<double> mediator;
};

// What targeting is for; the same in every pass.
struct TargetingSetting {
  int64_t reference = 0;
  bool binary = true;  // outcomes
  double scale = 1;    // of outcomes: their standard deviation where they are not binary
  Floors floors = {};
};

// Order-free sums of one pass. One per thread, then merge.
class TargetingSums {
 public:
  TargetingSums(int64_t arms, const TargetingSetting& setting);

  // A scored row with an observed mediator.
  void add(uint64_t user, const ArmObservation& observed, double weight,
           const ArmNuisances& nuisances, const Targeting& targeting);
  void merge(const TargetingSums& other);
  // COLLECTIVE.
  void reduce(Communicator& world);

  // One Newton step of both parameters of every arm; neither moves a logit by more than 1 (a
  // continuous outcome by more than its scale), by root mean square over the rows that hold it.
  void improve(Targeting& targeting) const;
  // Largest mean of a term that should be 0, in units of the outcome's scale.
  double largest_score() const;
  // E[Y(do arm)]; NaN without rows.
  double arm_mean(int64_t arm) const;
  // Difference to the reference arm; the error is that of the influence values.
  MeanEstimate effect(int64_t arm) const;

 private:
  struct Score {
    FixedSum sum, slope;
    FixedSum weight, squares;  // of the rows that hold it; what a parameter of 1 moves them by
    void add(const Score& other);
  };
  // Moves `of` along its score.
  static void step(const Score& score, double& of);

  int64_t arms_;
  TargetingSetting setting_;
  std::vector<Score> outcome_, mediator_;  // [arms]
  std::vector<FixedSum> eta_;              // [arms]
  FixedSum weight_;
  GroupedSums influence_;    // [arms] value of the arm minus that of the reference
  std::vector<double> phi_;  // [arms] of the row at hand
};

// Scores below this are far below any standard error; passes until they are, at most.
inline constexpr double kTargeted = 1e-9;
inline constexpr int64_t kTargetingPasses = 25;

// The sums of the last pass, by nuisances that are targeted unless kTargetingPasses were too few.
struct Targeted {
  TargetingSums sums;
  Targeting targeting;
  int64_t passes = 1;

  bool done() const { return sums.largest_score() <= kTargeted; }
};
// pass(targeting): the sums over all rows, the same on every rank.
Targeted target(int64_t arms, const std::function<TargetingSums(const Targeting&)>& pass);

}  // namespace alm
