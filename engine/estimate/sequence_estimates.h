// Estimates of sequence logs (contract 3): effects per touch of a cluster, prediction, grouped
// AUUC, truth.
#pragma once

#include <memory>
#include <vector>

#include "engine/estimate/coordinator.h"

namespace alm {

// COLLECTIVE. Fills prediction, effects, grouped_auuc, identification, truth and the examples;
// returns the number of journeys and users scored in `json`.
void estimate_sequence_log(const EstimateInputs& inputs, const ScoredUsers& users,
                           Estimates& estimates);

}  // namespace alm
