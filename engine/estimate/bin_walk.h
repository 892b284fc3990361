// What exact areas are made of: sums of scores with and without weights, and the walk through one
// bin of them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "engine/estimate/scores_by_class.h"
#include "engine/estimate/uplift_curve.h"
#include "kernels/base/fixed_point.h"

namespace alm {

inline void add_one(int64_t& sum, double) {
  ++sum;
}
inline void add_one(uint32_t& sum, double) {
  ++sum;
}
inline void add_one(FixedSum& sum, double weight) {
  sum.add(weight);
}
template <class T>
double value_of(T sum) {
  return static_cast<double>(sum);
}
inline double value_of(const FixedSum& sum) {
  return sum.value();
}
inline void add_to(int64_t& sum, int64_t other) {
  sum += other;
}
inline void add_to(FixedSum& sum, const FixedSum& other) {
  sum.add(other);
}

using ByClass = std::array<double, ScoresByClass::kClasses>;

inline Step step_of(const ByClass& weight) {
  return {.treated = weight[2] + weight[3],
          .treated_outcome = weight[3],
          .control = weight[0] + weight[1],
          .control_outcome = weight[1]};
}

// What one bin adds to the areas, its scores taken in descending order.
class BinWalk {
 public:
  explicit BinWalk(const ByClass& above) { areas_.at = step_of(above); }
  void add(const ByClass& group) {
    const double ones = group[1] + group[3];
    pairs_ += (group[0] + group[2]) * (ones_ + 0.5 * ones);
    ones_ += ones;
    areas_.add(step_of(group));
  }
  // Pairs within the bin, uplift area, Qini area.
  std::array<double, 3> result() const { return {pairs_, areas_.uplift, areas_.qini}; }

 private:
  Areas areas_;
  double ones_ = 0;
  double pairs_ = 0;
};

// Without uplift outcomes alone are told apart.
inline size_t column_of(size_t c, bool uplift) {
  return uplift ? c : c & 1;
}

// A score of a bin with few of them: its low bits, and above them its class.
struct BinEntry {
  uint32_t key;
  float weight;
};

// Sorts the entries and walks through them.
template <class Sum>
void walk_entries(BinEntry* begin, BinEntry* end, bool uplift, BinWalk& walk) {
  std::sort(begin, end, [](const BinEntry& a, const BinEntry& b) {
    return (a.key & 0xffffu) > (b.key & 0xffffu);
  });
  for (const BinEntry* at = begin; at < end;) {
    const uint32_t low = at->key & 0xffffu;
    std::array<Sum, ScoresByClass::kClasses> sums{};
    for (; at < end && (at->key & 0xffffu) == low; ++at) {
      add_one(sums[column_of(at->key >> 16, uplift)], static_cast<double>(at->weight));
    }
    ByClass group;
    for (size_t c = 0; c < ScoresByClass::kClasses; ++c) group[c] = value_of(sums[c]);
    walk.add(group);
  }
}

}  // namespace alm
