// How much the mediator varies once touches and context are known: what front-door adjustment needs
// (method 2.2).
#pragma once

#include <limits>

#include "engine/comm/communicator.h"
#include "kernels/base/fixed_point.h"

namespace alm {

// Order-free sums. Not thread-safe: one per thread, then merge.
class MediatorVariation {
 public:
  // p = P(m = 1 | touches, context); `one`: the observed mediator, or p where it stands for it.
  void add(double p, double one, double weight) {
    variance_.add(weight * p * (1 - p));
    ones_.add(weight * one);
    weight_.add(weight);
  }
  void merge(const MediatorVariation& other) {
    variance_.add(other.variance_);
    ones_.add(other.ones_);
    weight_.add(other.weight_);
  }
  // COLLECTIVE.
  void reduce(Communicator& world) {
    FixedSum sums[3] = {variance_, ones_, weight_};
    world.all_reduce_sum(std::span<FixedSum>(sums), "mediator variance");
    variance_ = sums[0];
    ones_ = sums[1];
    weight_ = sums[2];
  }
  // mediator_variance_share = E[p (1 - p)] / (mean m (1 - mean m)) (contract 3). 0 when the
  // mediator is the same everywhere, NaN when nothing was added.
  double share() const {
    const double weight = weight_.value();
    if (!(weight > 0)) return std::numeric_limits<double>::quiet_NaN();
    const double rate = ones_.value() / weight;
    const double total = rate * (1 - rate);
    return total > 0 ? variance_.value() / weight / total : 0;
  }

 private:
  FixedSum variance_;
  FixedSum ones_;
  FixedSum weight_;
};

}  // namespace alm
