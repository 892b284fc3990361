// What a row says where its log has the column, and what stands for it where it has not.
#pragma once

#include <span>

#include "io/journeys.h"
#include "kernels/ops.h"

namespace alm {

inline double weight_of(const io::Journeys& journeys, size_t row) {
  return journeys.weight.empty() ? 1.0 : journeys.weight[row];
}
inline uint8_t mediator_of(const io::Journeys& journeys, size_t touch) {
  return journeys.mediator.empty() ? kMediatorMissing : journeys.mediator[touch];
}
// Of its touches, in order.
inline std::span<const uint32_t> clusters_of(const io::Journeys& journeys, int64_t row) {
  const size_t at = static_cast<size_t>(row);
  const int64_t begin = journeys.touch_begin[at];
  return {journeys.cluster.data() + begin,
          static_cast<size_t>(journeys.touch_begin[at + 1] - begin)};
}

}  // namespace alm
