// Order-free totals per cluster.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/comm/communicator.h"
#include "kernels/base/fixed_point.h"

namespace alm {

// Sums per cluster that need no error: total of value, total of squares.
struct ClusterTotals {
  explicit ClusterTotals(int64_t clusters)
      : sum(static_cast<size_t>(clusters)),
        squares(static_cast<size_t>(clusters)),
        count(static_cast<size_t>(clusters)) {}
  void add(int64_t cluster, double value, double weight) {
    const size_t at = static_cast<size_t>(cluster);
    sum[at].add(value * weight);
    squares[at].add(value * value * weight);
    ++count[at];
  }
  void merge(const ClusterTotals& other);
  void reduce(Communicator& world, const char* what);

  std::vector<FixedSum> sum;
  std::vector<FixedSum> squares;
  std::vector<int64_t> count;
};

}  // namespace alm
