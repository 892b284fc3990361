// What a row says where its log has the column, and what stands for it where it has not.
#pragma once

#include "io/journeys.h"
#include "kernels/ops.h"

namespace alm {

inline double weight_of(const io::Journeys& journeys, size_t row) {
  return journeys.weight.empty() ? 1.0 : journeys.weight[row];
}
inline uint8_t mediator_of(const io::Journeys& journeys, size_t touch) {
  return journeys.mediator.empty() ? kMediatorMissing : journeys.mediator[touch];
}

}  // namespace alm
