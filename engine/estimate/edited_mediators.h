// Laws of the mediators after a deletion. Of an edited journey only what comes after the first
// deletion differs, and there a touch depends on how many were deleted before it, of its cluster
// and of others, not on which: each touch goes through the encoder once for every such pair of
// numbers, and edits are put together of the results.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "engine/model/alm_mta.h"
#include "engine/model/compute.h"
#include "io/journeys.h"

namespace alm {

// Journeys as they are, encoded: what their edits are made of.
struct EncodedJourneys {
  std::vector<float> context;  // [n, context_width]
  std::vector<float> qkv;      // [t, 3 touch_width]
  std::vector<double> logit;   // [t] of the mediators

  void assign(const AlmMta::Scores& scores);
};

// One per thread. Refers to what it is made from.
class EditedMediators {
 public:
  EditedMediators(const AlmMta& model, const ModelWeights& weights, Compute& compute)
      : model_(model), weights_(weights), compute_(compute) {}

  // Begins anew. Both are read until finish(). `thread`: the calling thread's index.
  void start(const io::Journeys& journeys, const EncodedJourneys& encoded, int64_t thread);
  // Puts one edit of `journey` behind the others: what is left without its touches `removed`,
  // counted in the run of journeys, increasing, at least one. Journeys come in increasing order.
  void add(int64_t journey, std::span<const int64_t> removed);
  // Mediator logits of the touches of all edits, in the order they were added. Live until the next
  // start().
  const std::vector<double>& finish();

 private:
  // Touches of edits that go through attention at once: what they leave stays in the second cache.
  static constexpr int64_t kTouches = 512;
  void begin_chunk(int64_t journey);
  // Takes the journeys up to `journey` into the chunk.
  void reach(int64_t journey);
  // Number of the variant in `placed_`.
  int64_t variant(const PlacedTouch& placed);
  void run();
  AlmMta::TouchRows encode_variants(const Pass& pass) const;
  int64_t touch_begin(int64_t journey) const {
    return journeys_->touch_begin[static_cast<size_t>(journey)];
  }

  const AlmMta& model_;
  const ModelWeights& weights_;
  Compute& compute_;
  const io::Journeys* journeys_ = nullptr;
  const EncodedJourneys* encoded_ = nullptr;
  int64_t thread_ = 0;
  std::optional<EditedHead> head_;  // made when it is first asked for
  std::vector<int64_t> earlier_;    // [t] touches of its cluster before it
  std::vector<double> logits_;

  // The chunk that is being filled, of journeys [first_, last_).
  int64_t first_ = 0;
  int64_t last_ = 0;
  std::vector<PlacedTouch> placed_;  // variants: touches after deletions
  std::vector<int64_t> older_;       // [variants] another one of the same touch, or -1
  std::vector<int64_t> newest_;      // [touches of the journeys] variant that was made last, or -1
  // As in EditedJourneys. Rows: touches as they are, counted from the chunk's first; variant v is
  // -1 - v, until all are known.
  std::vector<int64_t> edit_begin_;
  std::vector<int64_t> row_;
  std::vector<int64_t> asked_begin_;
  std::vector<int64_t> asked_;
  std::vector<int64_t> asked_row_;
  std::vector<int64_t> cluster_;
  std::vector<int64_t> place_;  // [asked] of its logit in logits_
};

}  // namespace alm
