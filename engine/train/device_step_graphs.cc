// Steps on devices as graphs. What the host decides at each call, sums over ranks and what is timed
// beside them, stays outside: the work between is recorded, a graph for each piece.
#include <algorithm>

#include "engine/train/device_step.h"
#include "kernels/base/range.h"

namespace alm {

// More sizes than a training meets, but for the odd batch.
constexpr size_t kRecordings = 32;

DeviceStep::Situation DeviceStep::situation(const Slot& slot) const {
  return {.journeys = slot.batch.inputs.journeys,
          .touches = slot.batch.inputs.touches,
          .cat_rows = std::ssize(slot.batch.cats.rows),
          .item_rows = std::ssize(slot.batch.items.rows),
          .pairs = slot.batch.refit ? slot.batch.inputs.removal.pairs() : -1,
          .memory = memory_.address(),
          .scratch = queue_->scratch(0),
          .staging = slot.staging.address()};
}

void DeviceStep::run(Slot& slot) {
  memory_.reset();
  if (!graphs_) return queue_step(slot);
  if (ranks_.size() > 1) return run_by_graphs(slot);
  timed(slot, *queue_, Lane::gpu, "step", [&] { run_by_graphs(slot); });
}

// A step of sizes not met before, or after memory has moved, is queued op by op, for it may ask for
// memory; one that went through without is recorded at its next turn, and from then on launched.
void DeviceStep::run_by_graphs(Slot& slot) {
  const Situation before = situation(slot);
  const auto recording = std::ranges::find(slot.recordings, before, &Recording::situation);
  const bool met = recording != slot.recordings.end();
  if (met) {
    if (!recording->rest) record(slot, *recording);
    if (recording->rest) return launch(slot, *recording);
  }
  queue_step(slot);
  if (met || !(situation(slot) == before)) return;
  if (slot.recordings.size() == kRecordings) slot.recordings.erase(slot.recordings.begin());
  slot.recordings.push_back({.situation = before, .parts = {}, .rest = nullptr});
}

// No part of the step is taken, and nothing is said to other ranks.
void DeviceStep::record(Slot& slot, Recording& recording) {
  struct Recorded {  // or given up
    Recording*& under_way;
    ~Recorded() { under_way = nullptr; }
  } const end{recording_};
  recording.parts.clear();
  recording_ = &recording;
  recording.rest = queue_->record([&] { queue_step(slot); });
}

// COLLECTIVE among several ranks; others may queue theirs op by op.
void DeviceStep::launch(Slot& slot, const Recording& recording) {
  const Range range("launch");
  if (!recording.parts.empty()) {
    timed_part(slot, "forward and backward", [&] {
      for (const Recording::Part& part : recording.parts) {
        if (part.graph) queue_->launch(*part.graph);
        send_sum(slot, part.sum);
      }
    });
    await_sums(slot);
  }
  timed_part(slot, "update", [&] { queue_->launch(*recording.rest); });
}

}  // namespace alm
