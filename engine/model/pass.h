// What a module needs while it computes: where it runs, the weights, and memory for activations.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/device.h"

namespace alm {

// Memory for the activations of one micro-block: a stack that is reset before each. Grows in the
// first steps and then never again. One thread at a time.
class Workspace {
 public:
  void reset() {
    if (overflow_ > 0) {
      buffer_.resize(used_ + overflow_ + used_ / 4);
      spill_.clear();
      overflow_ = 0;
    }
    used_ = 0;
  }
  std::span<float> floats(int64_t count) {
    const size_t size = (static_cast<size_t>(count) + 15) / 16 * 16;
    if (used_ + size <= buffer_.size() && overflow_ == 0) {
      float* const begin = buffer_.data() + used_;
      used_ += size;
      return {begin, static_cast<size_t>(count)};
    }
    overflow_ += size;
    spill_.push_back(std::make_unique<float[]>(size));
    return {spill_.back().get(), static_cast<size_t>(count)};
  }
  std::span<float> zeros(int64_t count) {
    const std::span<float> values = floats(count);
    std::fill(values.begin(), values.end(), 0.0f);
    return values;
  }
  Matrix<float> matrix(int64_t rows, int64_t cols) {
    return {floats(rows * cols).data(), rows, cols};
  }
  Matrix<float> zero_matrix(int64_t rows, int64_t cols) {
    return {zeros(rows * cols).data(), rows, cols};
  }

 private:
  std::vector<float> buffer_;
  std::vector<std::unique_ptr<float[]>> spill_;
  size_t used_ = 0;
  size_t overflow_ = 0;
};

// Which losses a backward pass is of: all; or, for PCGrad, those of the outcome, or those of the
// mediator (in proxy mode of the code, its adversary and its matching score).
enum class Objective { all, outcome, mediator };

// One micro-block on its way through the model. `gradient` is null in a forward-only pass.
struct Pass {
  Queue& queue;
  const Ops& ops;
  Workspace& memory;
  const float* weights = nullptr;
  float* gradient = nullptr;
  Objective objective = Objective::all;
  float reversal = 0;  // the code's share of the adversary's gradient, negated (proxy mode)
};

}  // namespace alm
