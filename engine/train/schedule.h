// Schedules: pure functions of the step.
#pragma once

#include <cmath>
#include <cstdint>

namespace alm {

// Linear warm-up, then cosine to zero at `total`. step counts from 0.
inline double learning_rate_at(int64_t step, int64_t total, double peak, int64_t warmup) {
  const double start = warmup > 0 && step < warmup
                           ? static_cast<double>(step + 1) / static_cast<double>(warmup)
                           : 1.0;
  const double share = total > 0 ? static_cast<double>(step) / static_cast<double>(total) : 0;
  return peak * start * 0.5 * (1 + std::cos(3.14159265358979323846 * share));
}

}  // namespace alm
