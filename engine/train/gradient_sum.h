// One dense gradient out of many: micro-blocks -> threads -> ranks. Two ways with one face.
//
// Fast: each thread adds its micro-blocks in fp32, threads and ranks are summed in fp32.
// Deterministic: each micro-block keeps its own fp32 gradient; a maximum over all of them (and over
// the row gradients) gives a power-of-two scale; scaled values are rounded to int64 and summed
// exactly, so neither the order of micro-blocks, nor threads, nor ranks can change a bit
// (contract 4.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/model/compute.h"

namespace alm {

class DenseGradientSum {
 public:
  // `slots`: micro-blocks of this rank when deterministic, else threads. `total_blocks`: over all
  // ranks.
  DenseGradientSum(int64_t parameters, int64_t slots, int64_t total_blocks, bool deterministic);
  // A new sum, over arena range [first, last): all that a pass gives a gradient to. The rest of
  // slots and sum means nothing.
  void begin(int64_t first, int64_t last);
  // The arena a micro-block adds its gradient to; zero in the range at the first call after
  // begin(). One thread a slot at a time.
  float* slot(int64_t index);
  // Once a micro-block has added its gradient, while that lies in a cache. Deterministic mode only.
  void measure(int64_t index, Queue& queue, const Ops& ops);
  // Largest absolute value of the slots measured since begin(), infinite when one is not finite.
  float largest() const;
  // COLLECTIVE. Afterwards sum() is the gradient over all ranks. `largest` is over all ranks.
  void reduce(Communicator& world, Compute& compute, float largest);
  std::span<float> sum() { return in_range(arenas_.front()); }
  // First place in the arena, as seen from its start, whose value in some slot is not finite; -1
  // without one.
  int64_t first_not_finite() const;
  int64_t first() const { return first_; }
  int64_t last() const { return last_; }
  // That a sum holds, from its making on.
  static int64_t bytes(int64_t parameters, int64_t slots, bool deterministic) {
    return parameters *
           (slots * int64_t{sizeof(float)} + (deterministic ? int64_t{sizeof(int64_t)} : 0));
  }
  int64_t bytes() const {
    return bytes(arenas_.empty() ? 0 : std::ssize(arenas_.front()), std::ssize(arenas_),
                 deterministic_);
  }

 private:
  template <class T>
  std::span<T> in_range(std::vector<T>& arena) const {
    return std::span(arena).subspan(static_cast<size_t>(first_),
                                    static_cast<size_t>(last_ - first_));
  }

  bool deterministic_;
  int64_t total_blocks_;
  int64_t first_ = 0;
  int64_t last_ = 0;
  std::vector<std::vector<float>> arenas_;
  std::vector<uint8_t> used_;   // by slot: since begin()
  std::vector<float> largest_;  // by slot
  std::vector<int64_t> fixed_;
};

}  // namespace alm
