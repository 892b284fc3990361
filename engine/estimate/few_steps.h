// Whether a fit took enough steps for its intervals: they know the spread of the scores, not that
// a network had no time to learn.
#pragma once

#include <cstdint>
#include <string>

#include "engine/model/bundle.h"

namespace alm {

// Steps of the main fit below which its values are doubted, and below which none has an interval
// (docs/operations.md has the measurements).
inline constexpr int64_t kFewSteps = 300;
inline constexpr int64_t kTooFewSteps = 50;

// A sentence for the warnings; empty where the steps were enough, or were not counted.
// `consequence`: what that means, where it is not about intervals.
std::string few_steps_warning(const Bundle& bundle, const std::string& consequence = "");
// Why no effect of this fit has an interval; empty where they have.
std::string undertrained(const Bundle& bundle);

}  // namespace alm
