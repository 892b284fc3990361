// Nuisances of the journeys of an arm log under one fit, by network or by counting: one face for
// all that estimate from them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/estimate/arm_tabular.h"
#include "engine/estimate/influence.h"
#include "engine/model/arm_model.h"
#include "engine/model/bundle.h"
#include "engine/model/compute.h"

namespace alm {

// The counts of --nuisance tabular of each scoring fit, ready for look-ups; null when the bundle's
// fits are networks.
std::vector<std::unique_ptr<const TabularNuisances>> tabular_nuisances(const Bundle& bundle);

// One per thread. Refers to what it is made from.
class ArmNuisanceSource {
 public:
  // `tabular` null: the networks of `fit`.
  ArmNuisanceSource(const Bundle& bundle, const ArmModel& model, const std::string& fit,
                    const TabularNuisances* tabular, Compute& compute);
  // Computes a micro-batch. `thread`: the calling thread's index in compute.pool().
  void prepare(const io::Journeys& journeys, int64_t thread);
  // Of a row of the prepared micro-batch; views live until the next prepare().
  ArmNuisances at(const io::Journeys& journeys, int64_t row) const;

 private:
  const ArmModel& model_;
  const ModelWeights* weights_;
  const TabularNuisances* tabular_;
  Compute& compute_;
  std::vector<double> mediator_;
  std::vector<double> outcome_[2];
  std::vector<double> propensity_;
};

}  // namespace alm
