// Order-free totals per cluster.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/comm/communicator.h"
#include "kernels/base/fixed_point.h"

namespace alm {

// Sums per cluster that need no error.
struct ClusterTotals {
  explicit ClusterTotals(int64_t clusters)
      : sum(static_cast<size_t>(clusters)), count(static_cast<size_t>(clusters)) {}
  void add(int64_t cluster, double value, double weight) {
    const size_t at = static_cast<size_t>(cluster);
    sum[at].add(value * weight);
    ++count[at];
  }
  void merge(const ClusterTotals& other);
  // COLLECTIVE.
  void reduce(Communicator& world, const char* what);

  std::vector<FixedSum> sum;
  std::vector<int64_t> count;
};

// Sums of weights per cluster, for the effective sample that they leave.
struct WeightTotals : ClusterTotals {
  explicit WeightTotals(int64_t clusters)
      : ClusterTotals(clusters), squares(static_cast<size_t>(clusters)) {}
  void add(int64_t cluster, double weight) {
    ClusterTotals::add(cluster, weight, 1);
    squares[static_cast<size_t>(cluster)].add(weight * weight);
  }
  void merge(const WeightTotals& other);
  // COLLECTIVE.
  void reduce(Communicator& world, const char* what);
  // Kish's size: how many rows of equal weight would tell as much. 0 without weight.
  double effective_sample(int64_t cluster) const;

  std::vector<FixedSum> squares;
};

}  // namespace alm
