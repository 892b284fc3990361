// A micro-block as the model reads it: ids resolved to table rows, positions and counts, targets.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/model/feature_stats.h"
#include "engine/model/model_options.h"
#include "io/journeys.h"
#include "kernels/base/view.h"

namespace alm {

// Reused from block to block; allocates nothing once it has seen the largest. Points into the
// Journeys it was filled from, which must outlive it. n journeys, t touches.
struct Inputs {
  int64_t journeys = 0;
  int64_t touches = 0;
  Csr csr;                           // touches by journey
  Matrix<const float> dense;         // [n, Fd] raw
  Matrix<const float> touch_dense;   // [t, Gd] raw
  std::vector<int64_t> cat_rows;     // [n * Fc]
  std::vector<int64_t> item_rows;    // [t]; row 0 is shared by ids without a row of their own
  std::vector<int64_t> cluster;      // [t]
  std::vector<int64_t> position;     // [t] from 0, at most positions - 1
  std::vector<float> touch_scalars;  // [t, kTouchScalars]
  std::vector<float> outcome;        // [n] 0/1, or standardised
  std::vector<float> weight;         // [n]
  std::vector<uint8_t> mediator;     // [t] 0, 1, kMediatorMissing

  static constexpr int64_t kTouchScalars = 2;
  // touch_scalars of touch j: log(1 + seconds from touch to window) / 10, 0 without times;
  // number of earlier touches of the same cluster in the journey, at most 8.
  void fill(const io::Journeys& from, const FeatureStats& stats, const ModelOptions& options,
            int64_t positions);
};

}  // namespace alm
