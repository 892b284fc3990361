// What a module needs while it computes: where it runs, the weights, and memory for activations.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "kernels/device_array.h"

namespace alm {

// Memory of a device for the activations of one micro-block: a stack that is reset before each.
// Grows in the first steps and then never again. One thread at a time; the device must outlive it.
class Workspace {
 public:
  explicit Workspace(Device& device) : device_(&device), activations_(device.activations()) {}
  // What was queued with the memory handed out so far may still run, but on that queue alone.
  void reset() {
    if (overflow_ > 0) {
      buffer_ = {};
      spill_.clear();
      buffer_ = {*device_, used_ + overflow_ + used_ / 4};
      overflow_ = 0;
    }
    used_ = 0;
  }
  // Starts over, with room for so many numbers at once.
  void reserve(int64_t count) {
    reset();
    if (count <= buffer_.size()) return;
    buffer_ = {};
    buffer_ = {*device_, count};
  }
  // Numbers handed out since the last reset, and bytes held.
  int64_t handed_out() const { return used_ + overflow_; }
  int64_t bytes() const {
    int64_t bytes = buffer_.bytes();
    for (const DeviceArray<float>& spilled : spill_) bytes += spilled.bytes();
    return bytes;
  }
  // Of what is handed out from: another one after it grew.
  const void* address() const { return buffer_.data(); }
  DeviceSpan<float> device_floats(int64_t count) {
    const int64_t size = (count + 15) / 16 * 16;
    if (used_ + size <= buffer_.size() && overflow_ == 0) {
      used_ += size;
      return DeviceSpan<float>(buffer_).part(used_ - size, count);
    }
    overflow_ += size;
    spill_.emplace_back(*device_, size);
    return DeviceSpan<float>(spill_.back()).part(0, count);
  }
  std::span<float> floats(int64_t count) { return device_floats(count).span(); }
  Matrix<float> matrix(int64_t rows, int64_t cols) {
    return {floats(rows * cols).data(), rows, cols};
  }
  // Of what layers make of touches, as the device holds it.
  MixedMatrix<float> activations(int64_t rows, int64_t cols) {
    const int64_t size = activations_ == Precision::bf16 ? (rows * cols + 1) / 2 : rows * cols;
    return {floats(size).data(), rows, cols, cols, activations_};
  }

 private:
  Device* device_;
  Precision activations_;
  DeviceArray<float> buffer_;
  std::vector<DeviceArray<float>> spill_;
  int64_t used_ = 0;
  int64_t overflow_ = 0;
};

// Which losses a backward pass is of: all; or, for PCGrad, those of the outcome, or those of the
// mediator (in proxy mode of the code, its adversary and its matching score).
enum class Objective { all, outcome, mediator };

// One micro-block on its way through the model. `gradient` is null in a forward-only pass. Weights,
// gradient and memory are of the device that the queue is of.
struct Pass {
  Queue& queue;
  const Ops& ops;
  Workspace& memory;
  const float* weights = nullptr;
  float* gradient = nullptr;
  Objective objective = Objective::all;
  float reversal = 0;  // the code's share of the adversary's gradient, negated (proxy mode)
  // Called with an arena offset once the gradient from there on is queued as a whole; null: nobody
  // wants to know. See Model::gradient_cuts().
  const std::function<void(int64_t from)>* complete = nullptr;

  void gradient_complete(int64_t from) const {
    if (complete != nullptr) (*complete)(from);
  }

  std::span<float> zeros(int64_t count) const {
    const std::span<float> values = memory.floats(count);
    queue.clear(values.data(), count * int64_t{sizeof(float)});
    return values;
  }
  Matrix<float> zero_matrix(int64_t rows, int64_t cols) const {
    return {zeros(rows * cols).data(), rows, cols};
  }
};

}  // namespace alm
