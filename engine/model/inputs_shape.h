// Inputs of a size, without numbers: for a pass on a device without memory.
#pragma once

#include "engine/model/feature_stats.h"
#include "engine/model/model_inputs.h"
#include "engine/model/model_options.h"
#include "kernels/device_without_memory.h"

namespace alm {

// In address space of a device, which must outlive it.
class InputsShape {
 public:
  // As Inputs of so many journeys and touches have it. In proxy mode each touch matches an upload
  // of its own, and each journey is a group: so many there can be. `pairs` of the removal net; 0:
  // not of its step.
  InputsShape(DeviceWithoutMemory& device, int64_t journeys, int64_t touches,
              const FeatureStats& stats, const ModelOptions& options, int64_t pairs = 0);
  const ModelInputs& inputs() const { return inputs_; }
  // `count` numbers anywhere in that space, of an array that is no larger than the largest of the
  // inputs.
  template <class T>
  std::span<const T> any(int64_t count) const {
    ALM_CHECK(count * int64_t{sizeof(T)} <= space_.bytes());
    return {reinterpret_cast<const T*>(space_.data()), static_cast<size_t>(count)};
  }

 private:
  DeviceArray<int64_t> space_;
  ModelInputs inputs_;
};

}  // namespace alm
