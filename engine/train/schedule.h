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

// Gradient reversal (Ganin et al. 2016): 2 / (1 + exp(-10 p)) - 1, p = share of the steps after
// `warmup` steps that have passed; 0 during those. step counts from 0.
inline double reversal_at(int64_t step, int64_t total, int64_t warmup) {
  if (step < warmup || total <= warmup) return 0;
  const double p = static_cast<double>(step - warmup) / static_cast<double>(total - warmup);
  return 2 / (1 + std::exp(-10 * p)) - 1;
}

}  // namespace alm
