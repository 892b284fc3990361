// A pass over this rank's share of a batch: forward, losses, backward.
#pragma once

#include <utility>

#include "engine/train/step.h"

namespace alm {

// Which part of the model learns in a pass over the batch.
enum class Part { model, second_stage, discriminator };
// First and last place of the arena to which such a pass gives a gradient.
std::pair<int64_t, int64_t> learnt_range(const Model& model, Part part);

// Micro-blocks go through the model each on one thread. The dense gradient goes to `into`, that of
// rows to state.rows. `draw`: of what a pass samples. Sums of this rank.
LossTotals forward_and_backward(StepState& state, std::span<const io::Journeys> blocks, Part part,
                                Objective objective, DenseGradientSum& into, uint64_t draw = 0);

}  // namespace alm
