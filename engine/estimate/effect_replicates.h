// What the bootstrap with refitted nuisances (--bootstrap-fits) keeps of a replicate, and the
// errors it tells: users drawn again, every nuisance fitted again, the effects computed again.
#pragma once

#include <span>
#include <vector>

#include "engine/estimate/coordinator.h"

namespace alm {

// A value of each cluster that a replicate holds.
struct ReplicateValue {
  const char* estimand;  // key of an entry of `effects`
  const char* estimate;  // "plugin" or "one_step"
};
// In the order of replicate_effects().
std::span<const ReplicateValue> replicate_values(bool arm_log);

// COLLECTIVE. [values * clusters] effects by the fits of `inputs.bundle` on its scored users, from
// order-free sums; NaN where there is no row. The log is the one trained on, its users weighted as
// the replicate drew them. The same on every rank.
std::vector<double> replicate_effects(const EstimateInputs& inputs);

// Puts `bootstrap` into every estimand of `effects`, and the interval of the plug-in where nothing
// else gives one (`do` of sequence logs). Nothing without replicates, or on a log they are not of.
void put_replicates(const Bundle& bundle, bool same_log, io::Json& estimates);

}  // namespace alm
