// One gradient out of many: micro-blocks -> threads -> ranks. Two ways with one face.
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
#include "engine/model/embedding.h"

namespace alm {

class DenseGradientSum {
 public:
  // `slots`: micro-blocks of this rank when deterministic, else threads. `total_blocks`: over all
  // ranks.
  DenseGradientSum(int64_t parameters, int64_t slots, int64_t total_blocks, bool deterministic);
  // The arena a micro-block adds its gradient to.
  float* slot(int64_t index) { return arenas_[static_cast<size_t>(index)].data(); }
  int64_t slots() const { return static_cast<int64_t>(arenas_.size()); }
  void clear(Compute& compute);
  // Largest absolute value of all slots, infinite when one is not finite. Deterministic mode only.
  float largest(Compute& compute);
  // COLLECTIVE. Afterwards sum() is the gradient over all ranks. `largest` is over all ranks.
  void reduce(Communicator& world, Compute& compute, float largest);
  std::span<float> sum() { return arenas_.front(); }

 private:
  bool deterministic_;
  int64_t total_blocks_;
  std::vector<std::vector<float>> arenas_;
  std::vector<float> largest_;  // by slot
  std::vector<int64_t> fixed_;
};

// Same for the rows of one table: uses of all micro-blocks -> distinct rows with summed gradients,
// equal on every rank. Only used rows travel.
class RowGradientSum {
 public:
  RowGradientSum(int64_t width, int64_t most_uses, bool deterministic)
      : width_(width), most_uses_(most_uses), deterministic_(deterministic) {}
  // `uses`: of this rank's micro-blocks, in their order.
  float largest(std::span<const RowUses* const> uses, Queue& queue, const Ops& ops) const;
  // COLLECTIVE.
  void reduce(std::span<const RowUses* const> uses, Communicator& world, Queue& queue,
              const Ops& ops, float largest);
  std::span<const int64_t> rows() const { return rows_; }
  Matrix<const float> gradient() const {
    return {gradient_.data(), static_cast<int64_t>(rows_.size()), width_};
  }

 private:
  struct Use {
    int64_t row;
    const std::byte* gradient;  // [width] numbers, anywhere
  };
  // By row; uses of one row stay in the order of the micro-blocks, then of the ranks.
  void sort_uses();
  // Sorts uses_, then add(use's gradient, its row's sum) for each of them.
  template <class Number, class Add>
  void sum_uses(std::vector<Number>& sums, Add add);
  template <class Number>
  void merge_ranks(std::vector<Number>& sums, Communicator& world);

  int64_t width_;
  int64_t most_uses_;
  bool deterministic_;
  std::vector<Use> uses_;
  std::vector<Use> sorted_;
  std::vector<std::byte> mine_;
  std::vector<std::byte> all_;
  std::vector<int64_t> counts_;
  std::vector<int64_t> rows_;
  std::vector<float> gradient_;
  std::vector<int64_t> fixed_;
};

}  // namespace alm
