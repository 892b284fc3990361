// How much the mediator varies once touches and context are known: what front-door adjustment needs
// (method 2.2).
#pragma once

#include <cstdint>
#include <vector>

#include "engine/comm/communicator.h"
#include "kernels/base/fixed_point.h"

namespace alm {

// Order-free sums. Not thread-safe: one per thread, then merge.
class MediatorVariation {
 public:
  // Why a share has no value.
  static constexpr const char* kNoShare = "no scored touch has an observed mediator";

  explicit MediatorVariation(int64_t clusters);

  // p = P(m = 1 | touches, context) by the fit; `one`: the observed mediator, or p where it stands
  // for it.
  void add(double p, double one, double weight) {
    variance_.add(weight * p * (1 - p));
    ones_.add(weight * one);
    weight_.add(weight);
  }
  // A mediator that was observed: 0 or 1.
  void add_observed(int64_t cluster, uint8_t mediator, double weight) {
    const size_t at = static_cast<size_t>(cluster);
    cluster_weight_[at].add(weight);
    if (mediator == 1) cluster_ones_[at].add(weight);
    if (weight > 0) ++cluster_touches_[at];
  }
  void merge(const MediatorVariation& other);
  // COLLECTIVE.
  void reduce(Communicator& world);

  // mediator_variance_share (contract 3): the smaller of fitted() and within_clusters(). A fit that
  // learned nothing gives p = mean m everywhere and so a share of 1, whatever the truth.
  double share() const;
  // E[p (1 - p)] / (mean m (1 - mean m)). 0 when the mediator is the same everywhere, NaN when
  // nothing was added.
  double fitted() const;
  // E[Var(m | cluster)] / Var(m), counted: no fit enters. Knowing the whole journey leaves no more
  // than knowing its cluster. Over clusters with kLeastTouches observed touches; NaN without.
  double within_clusters() const;

 private:
  FixedSum variance_;
  FixedSum ones_;
  FixedSum weight_;
  std::vector<FixedSum> cluster_ones_;    // [clusters]
  std::vector<FixedSum> cluster_weight_;  // [clusters]
  std::vector<int64_t> cluster_touches_;  // [clusters]
};

}  // namespace alm
