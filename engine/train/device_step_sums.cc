// Sums over ranks of a step on devices, on a queue of their own beside the backward pass.
#include <functional>
#include <optional>

#include "engine/train/device_step.h"
#include "kernels/base/range.h"

namespace alm {

// COLLECTIVE, in one order on all ranks. Values that the queue has made so far are summed while it
// goes on. Of a step that is recorded the sum is noted, and what led up to it is a graph.
void DeviceStep::send_sum(Slot& slot, const RankSum& sum) {
  if (recording_ != nullptr) {
    recording_->parts.push_back({queue_->cut_recording(), sum});
    return;
  }
  queue_->mark(*made_);
  wire_->wait_for(*made_);
  const char* const what = sum.last ? "last gradients, losses" : "dense gradient";
  timed(slot, *wire_, Lane::gpu_sums, what, [&] {
    if (!sum.last) return ranks_.all_reduce_sum(*wire_, sum.dense, what);
    constexpr int64_t kLosses = sizeof(LossSums) / sizeof(double);
    const DeviceNumbers together[] = {sum.dense, DeviceSpan<double>::first_of(sums_, kLosses),
                                      sum.last->cats, sum.last->items};
    ranks_.all_reduce_sum(*wire_, together, what);
  });
}

// What follows on the queue has all that was sent.
void DeviceStep::await_sums(Slot& slot) {
  if (recording_ != nullptr) return;
  wire_->mark(*summed_);
  slot.waits = slot.times.begin(*queue_, Lane::gpu, "sums over ranks");
  queue_->wait_for(*summed_);
  slot.times.end(*queue_, *slot.waits);
}

// COLLECTIVE. Losses and gradient over all ranks, which are the same on each. The dense gradient is
// sent in pieces, last modules first, as the backward pass comes to their borders; a rank without
// journeys comes to none, and sends the same. Of the second stage it is one piece.
DeviceStep::Gradient DeviceStep::summed_gradient(Slot& slot) {
  const DeviceSpan<float> dense = learnt(weights_.gradient, slot.batch);
  int64_t unsent = dense.size();
  const auto send_from = [&](int64_t from) {
    send_sum(slot, {dense.part(from, unsent - from), std::nullopt});
    unsent = from;
  };
  const std::function<void(int64_t)> complete = std::cref(send_from);  // takes no memory
  const Gradient gradient = own_gradient(slot, &complete);
  const Range range("sums over ranks");
  for (const int64_t cut : gradient_cuts_) {
    if (cut < unsent && !slot.batch.refit) send_from(cut);
  }
  send_sum(slot, {dense.part(0, unsent), gradient});
  await_sums(slot);
  return gradient;
}

}  // namespace alm
