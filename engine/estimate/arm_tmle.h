// `do.tmle` of arm logs (--tmle).
#pragma once

#include "engine/estimate/coordinator.h"

namespace alm {

// COLLECTIVE. Passes over the scored users until the nuisances are targeted, then `tmle` into the
// `do` of every entry of `effects` (rank 0), with an interval where the one-step value has one.
void put_tmle(const EstimateInputs& inputs, const ScoredUsers& users, io::Json& effects);

}  // namespace alm
