// Estimates in proxy mode (contract 3): `scores` in the place of effects, and what the code looks
// like.
#pragma once

#include "engine/estimate/coordinator.h"

namespace alm {

// Why proxy mode gives no effects.
inline constexpr const char* kNoEffectsOfProxies =
    "--mediator proxy: the mediator is a code learned from what was seen after the outcome could "
    "act; what it gives are scores, not effects";
// Why there are no `do` and `ett` scores.
inline constexpr const char* kNoVariationOfCode =
    "the code is a function of touches and context: it has no variation of its own to tell its "
    "effect from theirs; --proxy-input lets it read proxies";

// COLLECTIVE. Fills prediction, scores, identification, truth and the examples.
void estimate_proxy_log(const EstimateInputs& inputs, const ScoredUsers& users,
                        Estimates& estimates);

}  // namespace alm
