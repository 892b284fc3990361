// Shapley values of clusters by sampled orders (method 6.3.5). Associational: they follow who saw
// what.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/comm/communicator.h"
#include "io/journeys.h"
#include "kernels/base/fixed_point.h"

namespace alm {

struct ShapleyGain {
  std::vector<std::vector<double>> deltas;  // [orders][clusters] v(before + k) - v(before)
  std::vector<double> mean;                 // [clusters]
  std::vector<double> se;                   // [clusters] Monte Carlo: sd / sqrt(orders)
};

// v(S) = mean outcome of the journeys whose touched clusters all lie in S, drawn towards the mean
// of all journeys as if a thousandth of them, at least 20, had it. Not thread-safe: one per thread,
// then merge.
class ShapleySums {
 public:
  // Most clusters there is memory for: above, no orders are drawn.
  static constexpr int64_t kMostClusters = 16384;
  static constexpr int64_t kMostOrders = 128;

  explicit ShapleySums(int64_t clusters);
  int64_t orders() const { return orders_; }

  // Their outcomes; repeats of a cluster are allowed.
  void add(const io::Journeys& journeys);
  void merge(const ShapleySums& other);
  // COLLECTIVE.
  void reduce(Communicator& comm, const char* what);
  ShapleyGain finish() const;

 private:
  int64_t clusters_;
  int64_t orders_;
  std::vector<int16_t> place_;  // [clusters, orders] from 1
  // Of the journeys whose last touched cluster has that place; place 0: no touches.
  struct alignas(2 * sizeof(FixedSum)) Sums {  // within one cache line
    FixedSum outcome, weight;
    void add(const Sums& other) {
      outcome.add(other.outcome);
      weight.add(other.weight);
    }
  };
  std::vector<Sums> sums_;  // [orders, clusters + 1]
  // Of the journeys being added.
  std::vector<Sums> terms_;    // [n]
  std::vector<int16_t> last_;  // [n, orders]
};

}  // namespace alm
