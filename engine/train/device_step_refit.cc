// Steps of the second stage on devices: those of training but for the pass, and in that one range
// of the arena learns and no row.
#include "engine/train/device_step.h"

namespace alm {

std::string refit_not_yet_on_device(const TrainOptions& options) {
  return options.deterministic ? "--deterministic is set" : "";
}

DeviceStep::Gradient DeviceStep::pass_of_refit(const DeviceBatch& batch) {
  const DeviceSpan<float> dense = learnt(weights_.gradient, batch);
  queue_->clear(dense.data(), dense.bytes());
  queue_->clear(sums_.data(), sums_.bytes());
  const Pass pass{*queue_, ops_, memory_, weights_.dense.data(), weights_.gradient.data()};
  model_.refit_loss(pass, batch.inputs, weights_.view(), sums_.data()->losses);
  const DeviceSpan<float> none = memory_.device_floats(0);
  return {.dense = dense, .cats = none, .items = none};
}

}  // namespace alm
