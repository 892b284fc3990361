// What a pass through a model takes of a workspace, known without memory for it.
#pragma once

#include "engine/model/model.h"
#include "engine/train/largest_batch.h"

namespace alm {

// Numbers handed out as activations, and for gradients of them in a pass with `backward`.
int64_t pass_numbers(const Model& model, const Device& device, const PassSize& size, bool backward);
// Of the critic's pass over a micro-block; 0 without a critic.
int64_t critic_numbers(const Model& model, const Device& device, const PassSize& size);
// Of the largest pass of a fit's threads on a CPU.
int64_t fit_numbers(const Model& model, const Device& device, const LargestBatch& largest);

}  // namespace alm
