// Arrays of the host on their way to a device: packed into one page-locked buffer, sent in one
// copy.
#pragma once

#include <cstddef>
#include <cstring>

#include "engine/model/model_inputs.h"
#include "kernels/device_array.h"

namespace alm {

// Used again for batch after batch: grows with the first, then never again. What was sent before
// must have arrived, and the ops that read it must have finished, before begin().
class Staging {
 public:
  // The device must outlive it.
  explicit Staging(Device& device) : device_(device) {}

  // Room that an array takes.
  template <class T>
  static int64_t room(std::span<const T> array) {
    return (std::ssize(array) * int64_t{sizeof(T)} + kAlignment - 1) / kAlignment * kAlignment;
  }
  template <class T>
  static int64_t room(Matrix<const T> matrix) {
    return room(flat(matrix));
  }

  // Makes room for arrays of so many bytes in all.
  void begin(int64_t bytes);
  // Where the array will be on the device.
  template <class T>
  std::span<const T> put(std::span<const T> array) {
    const int64_t at = used_;
    used_ += room(array);
    ALM_CHECK(used_ <= memory_.size());
    if (!array.empty()) std::memcpy(host_.data() + at, array.data(), array.size_bytes());
    return {reinterpret_cast<const T*>(memory_.data() + at), array.size()};
  }
  template <class T>
  Matrix<const T> put(Matrix<const T> matrix) {
    return {put(flat(matrix)).data(), matrix.rows, matrix.cols};
  }
  void send(Queue& queue) { queue.upload(memory_.data(), host_.data(), used_); }

 private:
  static constexpr int64_t kAlignment = 256;

  Device& device_;
  HostArray<std::byte> host_;
  DeviceArray<std::byte> memory_;
  int64_t used_ = 0;
};

// Calls with(array) for every array that inputs hold, spans and matrices.
template <class With>
void for_each_array(ModelInputs& inputs, const With& with) {
  with(inputs.csr.begin);
  with(inputs.dense);
  with(inputs.touch_dense);
  for (ScalesView* scales : {&inputs.dense_scales, &inputs.touch_dense_scales}) {
    with(scales->mean);
    with(scales->inverse_sd);
    with(scales->missing_slot);
  }
  with(inputs.touch_scalars);
  for (auto* rows : {&inputs.cat_rows, &inputs.item_rows, &inputs.cluster, &inputs.position}) {
    with(*rows);
  }
  with(inputs.outcome);
  with(inputs.weight);
  with(inputs.mediator);
  with(inputs.arm.mediator_input);
  with(inputs.arm.mediator);
  with(inputs.arm.outcome);
}

}  // namespace alm
