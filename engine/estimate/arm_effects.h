// Effects of arm logs, contract 3 `effects`: naive, back-door, and `do` and `ett` with plug-in,
// one-step, error by user, clipped share and effective sample size. Order-free sums.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/estimate/cluster_totals.h"
#include "engine/estimate/influence.h"
#include "engine/estimate/user_sums.h"
#include "io/json.h"

namespace alm {

// One estimand of one arm.
struct ArmEstimand {
  MeanEstimate plugin;
  MeanEstimate one_step;      // denominators floored
  MeanEstimate one_step_raw;  // not floored; NaN when a denominator was 0
  double clipped_share = 0;   // of the journeys with a value of their own
  double ess = 0;             // smaller of the Kish sizes of the mediator and propensity weights
};

struct ArmEffect {
  int64_t cluster = 0;
  int64_t touches = 0;
  int64_t users = 0;
  bool users_exact = true;
  int64_t reference_touches = 0;
  int64_t reference_users = 0;
  // With an observed mediator, of the arm or the reference, whichever has fewer; of the users only
  // whether they are kLeastUsers.
  int64_t observed_touches = 0;
  int64_t observed_users = 0;
  // Mean outcome minus the reference arm's. Where every user has one journey its se is the plain
  // one of two samples, free of the noise of grouping users.
  MeanEstimate naive;
  MeanEstimate backdoor;  // NaN until add_backdoor is used
  ArmEstimand do_effect;  // mean over all journeys of arm minus reference (method 5.2)
  ArmEstimand ett;        // per journey of the arm, replaced by the reference (method 5.3)
};

// Keys of contract 3; `name` and `unit` included.
io::Json to_json(const ArmEffect& effect, const std::string& name);

// Not thread-safe: one per thread, then merge.
class ArmEffectSums {
 public:
  ArmEffectSums(int64_t arms, int64_t reference, Floors floors = {});

  // A scored journey. mediator 255 counts for naive and plug-in only.
  void add(uint64_t user, int64_t arm, uint8_t mediator, double outcome, double weight,
           const ArmNuisances& nuisances);
  // The back-door replacement effect at a journey of `arm`.
  void add_backdoor(uint64_t user, int64_t arm, double effect, double weight);
  void merge(const ArmEffectSums& other);
  // COLLECTIVE.
  void reduce(Communicator& comm, const char* what);

  ArmEffect effect(int64_t arm) const;
  int64_t arms() const { return arms_; }
  int64_t reference() const { return reference_; }
  int64_t mediator_missing() const { return mediator_missing_; }
  // Gains of grouped_auuc: per journey of the arm.
  const GroupedSums& ett_one_step() const { return ett_.one_step; }
  const GroupedSums& outcomes() const { return outcomes_; }

 private:
  struct Estimand {
    explicit Estimand(int64_t arms);
    GroupedSums plugin, one_step, raw;
    WeightTotals mediator, propensity;       // of arms
    std::vector<FixedSum> clipped, counted;  // [arms] weights
    std::vector<int64_t> raw_undefined;      // [arms]
    void merge(const Estimand& other);
    void reduce(Communicator& comm, const char* what);
    ArmEstimand finish(int64_t arm) const;
  };

  // Variance of the mean outcome of an arm when every journey is a user of its own.
  double variance_of_mean(int64_t arm) const;

  int64_t arms_;
  int64_t reference_;
  Floors floors_;
  GroupedSums outcomes_;
  std::vector<FixedSum> weighted_;  // [arms, 3] sums of w^2, w^2 y, w^2 y^2
  GroupedSums backdoor_;
  DistinctUsers users_;                    // by arm, then all
  DistinctUsers observed_users_;           // by arm: with an observed mediator and weight
  std::vector<int64_t> observed_touches_;  // the same
  Estimand do_;
  Estimand ett_;
  int64_t mediator_missing_ = 0;
};

}  // namespace alm
