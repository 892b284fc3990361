// The bucketed protocol (method 6.3) and the policy (6.4) on arm logs: an exposure is a journey of
// an arm other than the reference.
#pragma once

#include <string>

#include "engine/estimate/arm_effects.h"
#include "engine/estimate/backdoor_fit.h"
#include "engine/estimate/grouped_auuc.h"
#include "engine/estimate/policy.h"
#include "engine/estimate/ranked_values.h"
#include "io/journeys.h"

namespace alm {

// Not thread-safe: one per thread, then merge.
class ArmProtocol {
 public:
  explicit ArmProtocol(const io::LogSchema& schema);

  // A scored journey. `backdoor` may be null.
  void add(const io::Journeys& journeys, int64_t row, const BackdoorPredictor* backdoor);
  // Journey `row` with the nuisances of the fit on the other half of the users; those of the main
  // fit choose among exposures.
  void add_values(const io::Journeys& journeys, int64_t row, const ArmNuisances& half,
                  const ArmNuisances& main, const BackdoorPredictor* backdoor);
  void merge(const ArmProtocol& other);
  // COLLECTIVE.
  void reduce(Communicator& world);

  const GroupedSums& randomised() const { return randomised_; }  // outcomes by arm
  // `grouped_auuc` of estimates.json. effects: of the main fit; gains: of the halves.
  // `why_no_values`: not empty where there are none.
  io::Json grouped_json(const ArmEffectSums& effects, const ArmEffectSums& gains, bool has_backdoor,
                        bool randomised, const std::string& why_no_values) const;
  // `policy`; null where nothing has a value.
  io::Json policy_json(bool has_backdoor) const;

 private:
  int64_t arms_;
  int64_t reference_;
  bool truth_;
  StratifiedOutcomes outcomes_;  // by arm
  GroupedSums randomised_;       // outcomes of randomised journeys, by arm
  ValuesByHalf values_;          // of replacing the arm by the reference
  RankedValues by_model_;
  RankedValues by_backdoor_;
  std::vector<FixedSum> outcome_, weight_;  // [arms, 2] by half of the users
};

}  // namespace alm
