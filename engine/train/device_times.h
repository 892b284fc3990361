// When a step's parts ran on its device, by events on its queues. Nothing waits for them: they are
// read once the step has been reached.
#pragma once

#include <memory>
#include <vector>

#include "engine/train/timeline.h"
#include "kernels/device.h"

namespace alm {

// Of one step at a time. Takes events from the device in the first steps, then never again.
class DeviceTimes {
 public:
  // The device must outlive it.
  explicit DeviceTimes(Device& device) : device_(device) {}
  void clear() { used_ = 0; }
  // What the queue has from here to end() is a span; its number. `name` is kept as a pointer. Not
  // while a graph is recorded: those events have no time.
  size_t begin(Queue& queue, Lane lane, const char* name);
  void end(Queue& queue, size_t span) { queue.mark(*spans_[span].end); }
  // Once the end has been reached.
  double seconds(size_t span) const { return spans_[span].end->seconds_since(*spans_[span].begin); }
  // All of them. `origin`: an event reached at now_seconds() == `origin_seconds`.
  void show(Timeline& timeline, int64_t step, const Event& origin, double origin_seconds) const;

 private:
  struct Span {
    Lane lane{};
    const char* name = nullptr;
    std::unique_ptr<Event> begin, end;
  };
  Device& device_;
  std::vector<Span> spans_;
  size_t used_ = 0;
};

}  // namespace alm
