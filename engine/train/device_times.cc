#include "engine/train/device_times.h"

namespace alm {

size_t DeviceTimes::begin(Queue& queue, Lane lane, const char* name) {
  if (used_ == spans_.size()) {
    spans_.push_back({lane, name, device_.make_event_with_time(), device_.make_event_with_time()});
  }
  Span& span = spans_[used_];
  span.lane = lane;
  span.name = name;
  queue.mark(*span.begin);
  return used_++;
}

void DeviceTimes::show(Timeline& timeline, int64_t step, const Event& origin,
                       double origin_seconds) const {
  for (size_t at = 0; at < used_; ++at) {
    const Span& span = spans_[at];
    timeline.add(span.lane, span.name, origin_seconds + span.begin->seconds_since(origin),
                 origin_seconds + span.end->seconds_since(origin), step);
  }
}

}  // namespace alm
