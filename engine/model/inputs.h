// A micro-block made ready for the model on the host: ids resolved to table rows, positions and
// counts, targets.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/model/feature_stats.h"
#include "engine/model/model_inputs.h"
#include "engine/model/model_options.h"
#include "engine/model/removal_pairs.h"
#include "io/journeys.h"
#include "kernels/base/view.h"

namespace alm {

struct LossSums;

// What proxy mode reads beside. An upload is known by the touches that match it: journeys with an
// outcome and a match of kMatched or more.
struct ProxyInputs {
  static constexpr float kMatched = 0.5f;

  int64_t columns = 0;                // of `seen`
  std::vector<float> seen;            // [t, columns] a pair for each proxy read: is 1, is 0
  std::vector<float> match;           // [t] NaN: undefined, left out of every loss
  std::vector<float> outcome;         // [t] of the touch's journey
  std::vector<float> touch_weight;    // [t] weight of its journey
  std::vector<float> journey_weight;  // [t] the same over the journey's touches: sums to its weight
  std::vector<float> log_frequency;   // [t] log share of the touch's cluster among training touches
  // Pairs of an upload and a touch that matches it, in order.
  int64_t uploads = 0;
  std::vector<int64_t> pair_upload;  // [pairs] from 0
  std::vector<int64_t> pair_touch;   // [pairs]
  std::vector<float> pair_weight;    // [pairs] the journey's weight over its pairs
  std::vector<int64_t> pair_ids;     // [pairs, 2] cluster of the touch, upload
  std::vector<int64_t> touch_ids;    // [t, 2] cluster, upload it matches or -1
  int64_t pair_begin[2] = {0, 0};    // the whole micro-block is one group
  int64_t touch_begin[2] = {0, 0};

  int64_t pairs() const { return pair_begin[1]; }
  ProxyView view() const;
  // Adds what of the losses is known without the model: weights, and outcomes under them.
  void add_known(LossSums& sums) const;
  void fill(const io::Journeys& from, const FeatureStats& stats, const ModelOptions& options,
            std::span<const float> weight);
};

// Arm logs: an unobserved mediator teaches neither head, and NaN targets are left out of a loss.
struct ArmTargets {
  std::vector<float> mediator_input;  // [n] the mediator, 0 where it is missing
  std::vector<float> mediator;        // [n] the same, NaN where it is missing
  std::vector<float> outcome;         // [n] NaN where the mediator is missing

  void clear();
  void add(std::span<const uint8_t> mediators, std::span<const float> outcomes);
  ArmTargetsView view() const { return {mediator_input, mediator, outcome}; }
};

// Sequence logs with a general head: an unobserved mediator teaches the law nothing, and NaN
// targets are left out of a loss.
struct LawTargets {
  std::vector<float> mediator;  // [t] NaN where it is missing
  std::vector<float> weight;    // [t] weight of the touch's journey

  void clear();
  // Touches of one journey of that weight.
  void add(std::span<const uint8_t> mediators, float of_journey);
  LawTargetsView view() const { return {mediator, weight}; }
};

// Journeys [first, last) of a run of them.
struct JourneyRange {
  const io::Journeys& of;
  int64_t first = 0;
  int64_t last = 0;
};

// A touch of a run of journeys as if it stood elsewhere in its journey.
struct PlacedTouch {
  int64_t journey = 0;
  int64_t touch = 0;     // of the run
  int64_t position = 0;  // touches before it
  int64_t earlier = 0;   // of them, those of its cluster
};

// Reused from block to block; allocates nothing once it has seen the largest. n journeys, t
// touches.
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
  std::vector<uint8_t> mediator;     // [t] 0, 1, kMediatorMissing; proxy mode: all missing
  ArmTargets arm;                    // arm logs only
  LawTargets law;                    // sequence logs with a general head only
  ProxyInputs proxy;                 // proxy mode only
  std::vector<int64_t> log_row;      // [n] row in the log; empty where that is not known
  RemovalPairs removal;              // filled where a step of the removal net needs it

  static constexpr int64_t kTouchScalars = 2;
  // Valid until this changes.
  ModelInputs view() const;
  operator ModelInputs() const { return view(); }
  // Nothing, to be filled with add().
  void clear();
  // touch_scalars of touch j: log(1 + seconds from touch to window) / 10, 0 without times;
  // number of earlier touches of the same cluster in the journey, at most 8.
  void add(const JourneyRange& range, const FeatureStats& stats, const ModelOptions& options,
           int64_t positions);
  // These journeys and no others; the only way in proxy mode.
  void fill(const io::Journeys& from, const FeatureStats& stats, const ModelOptions& options,
            int64_t positions);
  // Adds journeys of weight 0 that share so many touches evenly; what they hold is missing, or the
  // first of its kind. They change no loss and no gradient. journeys > 0.
  void pad(int64_t more_journeys, int64_t more_touches, const FeatureStats& stats,
           const ModelOptions& options);
  // These touches, on no journey, and no others: what the touch encoder reads.
  void fill_touches(const io::Journeys& from, std::span<const PlacedTouch> placed,
                    const FeatureStats& stats, const ModelOptions& options, int64_t positions);
  // After fill(): the pairs of the removal net; see RemovalPairs::fill.
  void fill_removal(const FeatureStats& stats, int64_t absent, uint64_t draw, bool with_present) {
    removal.fill(
        {csr, cluster, mediator, weight, log_row, stats.schema.clusters, stats.touch_share}, absent,
        draw, with_present);
  }
  // After pad(): pairs of weight 0 in place of others.
  void pad_removal(int64_t pairs) { removal.pad(journeys, touches, pairs); }

 private:
  void add_touches(const JourneyRange& range, const FeatureStats& stats,
                   const ModelOptions& options, int64_t positions);
  void add_place(const io::Journeys& from, const PlacedTouch& placed, int64_t positions);

  std::vector<int64_t> touch_begin_{0};  // [n + 1]
  std::vector<float> dense_;
  std::vector<float> touch_dense_;
  ScalesView dense_scales_;
  ScalesView touch_dense_scales_;
};

}  // namespace alm
