// Laws of the mediators after a deletion: edited journeys through the mediator head, in chunks.
#pragma once

#include <span>
#include <vector>

#include "engine/model/alm_mta.h"
#include "engine/model/compute.h"
#include "io/journeys.h"

namespace alm {

// One per thread. Refers to what it is made from.
class EditedMediators {
 public:
  EditedMediators(const AlmMta& model, const ModelWeights& weights, Compute& compute)
      : model_(model), weights_(weights), compute_(compute) {}

  // Begins anew. `context` [journeys, context_width]: encoded contexts of the journeys that edits
  // are made from; it is read until finish(). `thread`: the calling thread's index.
  void start(std::span<const float> context, int64_t journeys, int64_t thread);
  // append(edited) puts one edit of `journey`, of at most `touches` touches, behind the others.
  template <class Append>
  void add(int64_t journey, int64_t touches, const Append& append) {
    if (edited_.touches() + touches > kTouches) run();
    append(edited_);
    from_.push_back(journey);
  }
  // Mediator logits of the touches of all edits, in the order they were added. Live until the next
  // start().
  const std::vector<double>& finish() {
    run();
    return logits_;
  }

 private:
  // Touches that go through the model at once: bounds memory for long journeys.
  static constexpr int64_t kTouches = 8192;
  void run();

  const AlmMta& model_;
  const ModelWeights& weights_;
  Compute& compute_;
  std::span<const float> context_;
  int64_t journeys_ = 0;
  int64_t thread_ = 0;
  io::Journeys edited_;
  std::vector<int64_t> from_;  // [edited] journey each was made from
  std::vector<double> logits_;
};

}  // namespace alm
