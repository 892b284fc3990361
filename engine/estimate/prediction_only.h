// How well a run predicts outcomes and nothing else: one forward pass a journey, no edits of it.
#pragma once

#include "engine/estimate/coordinator.h"

namespace alm {

inline constexpr const char* kPredictionOnly = "not asked for: --prediction-only";

// COLLECTIVE. `samples`, `users`, `prediction` and what was met while reading, the same bits as the
// whole estimates give.
void estimate_prediction(const EstimateInputs& inputs, const ScoredUsers& users, io::Json& json);

}  // namespace alm
