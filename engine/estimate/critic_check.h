// Lambda by the critic beside Lambda by the second stage (contract 5): the second stage is the
// headline, the critic its check. Of every drawn journey i of a group,
//   Lambda_critic(X_i) = sum_r w_ir exp(-h(T_r, X_i)),
// by the weights of critic_weights.h; and where those weights say that a cluster is hardly ever
// shown, a hole in the overlap.
#pragma once

#include <vector>

#include "engine/estimate/critic_sample.h"

namespace alm {

// Disagreement from which Lambda is doubted (neural.md 3).
inline constexpr double kLambdaApart = 0.03;

// COLLECTIVE. `mine`: what this rank drew, by fold. Writes identification.lambda, .overlap.holes,
// warnings and, where the log knows it, truth.lambda into estimates.json.
void put_critic(const EstimateInputs& inputs, const AlmMta& model,
                std::vector<std::vector<CriticJourney>> mine, io::Json& json);

}  // namespace alm
