// Times of a simulated journey, in unix ms, in the order contract 2 asks for: touches do not go
// back and lie before the window, a mediator event comes after its touch and before the next one,
// an upload comes inside the window. They carry nothing about the confounder.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/base/rng.h"

namespace alm {

inline constexpr int64_t kHour = 3600 * 1000;
inline constexpr int64_t kDay = 24 * kHour;

// Start of the outcome window: within 30 days from a fixed day.
inline int64_t window_start(Rng& rng) {
  return int64_t{1700000000000} + static_cast<int64_t>(rng.below(30 * kDay));
}
// From a touch to the next one, or to the window: at least 2 ms, 6 hours in the mean.
inline int64_t touch_gap(Rng& rng) {
  return 2 + static_cast<int64_t>(-std::log(1 - rng.uniform()) * 6 * kHour);
}
// From a touch to its mediator event: in [1, gap).
inline int64_t mediator_delay(Rng& rng, int64_t gap) {
  return 1 + static_cast<int64_t>(rng.below(static_cast<uint64_t>(gap - 1)));
}
// From the start of the window to the upload: at most 7 days.
inline int64_t upload_delay(Rng& rng) {
  return 1 + static_cast<int64_t>(rng.below(7 * kDay));
}

}  // namespace alm
