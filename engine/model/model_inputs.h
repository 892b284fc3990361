// A micro-block as the model reads it: views, in memory of the device that computes. Inputs
// (inputs.h) makes them on the host.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/base/view.h"

namespace alm {

// How columns of a dense data set are standardised; see ColumnScales. [columns] each.
struct ScalesView {
  std::span<const float> mean;
  std::span<const float> inverse_sd;
  std::span<const int64_t> missing_slot;
};

// What proxy mode reads beside; see ProxyInputs.
struct ProxyView {
  Matrix<const float> seen;               // [t, columns]
  std::span<const float> match;           // [t]
  std::span<const float> outcome;         // [t]
  std::span<const float> touch_weight;    // [t]
  std::span<const float> journey_weight;  // [t]
  std::span<const float> log_frequency;   // [t]
  int64_t uploads = 0;
  std::span<const int64_t> pair_upload;  // [pairs] of all uploads
  std::span<const int64_t> pair_touch;   // [pairs]
  std::span<const float> pair_weight;    // [pairs]
  Matrix<const int64_t> pair_ids;        // [pairs, 2]; of uploads of the group
  Matrix<const int64_t> touch_ids;       // [t, 2]
  // Pairs and touches by group, the journeys whose touches are scored against each other: a
  // micro-block.
  std::span<const int64_t> pair_begin;   // [groups + 1]
  std::span<const int64_t> touch_begin;  // [groups + 1]

  int64_t pairs() const { return pair_ids.rows; }
};

// Pairs of a journey and a cluster, for the removal net; see RemovalPairs.
struct RemovalView {
  Csr by_journey;
  std::span<const int64_t> journey;           // [pairs]
  std::span<const int64_t> cluster;           // [pairs]
  Csr parts;                                  // two a pair
  std::span<const float> part_weight;         // [2 pairs]
  std::span<const float> log_left;            // [pairs]
  std::span<const float> start;               // [pairs]
  std::span<const float> present;             // [pairs]
  std::span<const float> weight;              // [pairs]
  std::span<const float> weight_of_presence;  // [pairs]
  std::span<const float> touch_weight;        // [t]

  int64_t pairs() const { return static_cast<int64_t>(cluster.size()); }
};

// What the heads of an arm log learn from; see ArmTargets. [n] each.
struct ArmTargetsView {
  std::span<const float> mediator_input;
  std::span<const float> mediator;
  std::span<const float> outcome;
};

// What the law of the mediator learns from beside a general head; see LawTargets. [t] each.
struct LawTargetsView {
  std::span<const float> mediator;
  std::span<const float> weight;
};

// n journeys, t touches; see Inputs.
struct ModelInputs {
  int64_t journeys = 0;
  int64_t touches = 0;
  Csr csr;                    // touches by journey
  Matrix<const float> dense;  // [n, Fd] raw
  ScalesView dense_scales;
  Matrix<const float> touch_dense;  // [t, Gd] raw
  ScalesView touch_dense_scales;
  Matrix<const float> touch_scalars;   // [t, kTouchScalars]
  std::span<const int64_t> cat_rows;   // [n * Fc]
  std::span<const int64_t> item_rows;  // [t]
  std::span<const int64_t> cluster;    // [t]
  std::span<const int64_t> position;   // [t]
  std::span<const float> outcome;      // [n]
  std::span<const float> weight;       // [n]
  std::span<const uint8_t> mediator;   // [t]
  ArmTargetsView arm;                  // arm logs only
  LawTargetsView law;                  // sequence logs with a general head only
  ProxyView proxy;                     // proxy mode only
  RemovalView removal;                 // where a step of the removal net needs it
};

}  // namespace alm
