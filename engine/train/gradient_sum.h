// One dense gradient out of many: micro-blocks -> threads -> ranks. Two ways with one face.
//
// Fast: each thread adds its micro-blocks in fp32, threads and ranks are summed in fp32.
// Deterministic: each micro-block's own fp32 gradient is scaled by a power of two, rounded to int64
// and summed exactly, so neither the order of micro-blocks, nor threads, nor ranks can change a bit
// (contract 4.1). The scale must be known before the first of them: it is made for gradients of the
// size that the last sum over the same range had, over all ranks. One that is of another size
// (fits()) is made once more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/model/compute.h"

namespace alm {

class DenseGradientSum {
 public:
  // `total_blocks`: micro-blocks of all ranks.
  DenseGradientSum(int64_t parameters, int64_t threads, int64_t total_blocks, bool deterministic);
  // A new sum, over arena range [first, last): all that a pass gives a gradient to. The rest of
  // arenas and sum means nothing.
  void begin(int64_t first, int64_t last);
  // The arena to which a thread adds the gradient of a micro-block, or of a part of one. Zero in
  // the range at the first call after begin(); in deterministic mode at every call.
  float* arena(int64_t thread);
  // Once that is done: adds the gradient of a micro-block to those before it. Deterministic mode
  // only.
  void add(int64_t thread, Queue& queue, const Ops& ops);
  // Largest absolute value of the micro-blocks added since begin(), infinite when one is not
  // finite.
  float largest() const;
  // Whether the sum is one at the scale of gradients of this size, over all ranks. If not, the next
  // sum over the range is made at that scale. Deterministic mode only.
  bool fits(float largest);
  // COLLECTIVE. Whether the sum of a pass need not be made again: it fits, or is not finite, as
  // *largest, over all ranks, then tells. In fast mode always, and *largest is left.
  bool settled(Communicator& world, const char* what, float* largest);
  // COLLECTIVE. Afterwards sum() is the gradient over all ranks.
  void reduce(Communicator& world, Compute& compute);
  std::span<float> sum() { return in_range(threads_.front().arena); }
  // First place in the arena, as seen from its start, whose value in some micro-block or thread, or
  // after reduce() in the sum, is not finite; -1 without one.
  int64_t first_not_finite() const;
  int64_t first() const { return first_; }
  int64_t last() const { return last_; }
  // Largest absolute value of the last sum over each range, by its first place: what sums to come
  // depend on, for checkpoints.
  const std::map<int64_t, float>& sizes() const { return sizes_; }
  void set_sizes(std::map<int64_t, float> sizes) { sizes_ = std::move(sizes); }
  // That a sum holds, from its making on.
  static int64_t bytes(int64_t parameters, int64_t threads, bool deterministic) {
    return parameters * threads *
           (int64_t{sizeof(float)} + (deterministic ? int64_t{sizeof(int64_t)} : 0));
  }
  int64_t bytes() const { return bytes(parameters_, std::ssize(threads_), deterministic_); }

 private:
  struct Thread {
    std::vector<float> arena;
    std::vector<int64_t> fixed;  // sum of its micro-blocks; deterministic mode
    bool used = false;           // since begin()
    float largest = 0;
    int64_t not_finite = -1;  // first such place; deterministic mode
  };
  template <class T>
  std::span<T> in_range(std::vector<T>& arena) const {
    return std::span(arena).subspan(static_cast<size_t>(first_),
                                    static_cast<size_t>(last_ - first_));
  }
  int64_t first_not_finite(const std::vector<float>& arena) const;

  int64_t parameters_;
  bool deterministic_;
  int64_t total_blocks_;
  int64_t first_ = 0;
  int64_t last_ = 0;
  int shift_ = 0;   // of the scale
  float most_ = 0;  // largest absolute value that it has room for
  std::vector<Thread> threads_;
  std::map<int64_t, float> sizes_;
};

}  // namespace alm
