// Intervals by a bootstrap over users: Poisson(1) weights per (user group, replicate) from a
// counter-based generator, so they are the same on any rank and paired across estimates
// (method 6.3.7).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace alm {

// Replicates of every bootstrap interval.
inline constexpr int64_t kBootstrapReplicates = 200;

// Groups users fall into for clustered errors and the bootstrap; a power of two of 256 to 4,096
// with groups * clusters about 2^18. The error of an error is about 1 / sqrt(2 groups). A pure
// function of the cluster count.
int64_t user_group_count(int64_t clusters);
// Group of a user; a pure function.
int64_t user_group(uint64_t user, int64_t groups);

// Poisson(1) weight of a group in a replicate. Pure.
int poisson_weight(int64_t group, int64_t replicate);
// The same of a user in the replicate of this seed, where nuisances are fitted again. Pure.
int user_weight(uint64_t user, uint64_t replicate_seed);
// Weights of all groups in one replicate.
std::vector<double> replicate_weights(int64_t groups, int64_t replicate);

// Weights of every group in the sample itself (index 0: all 1) and in every replicate. Immutable.
class ReplicateWeights {
 public:
  static constexpr int64_t kColumns = 1 + kBootstrapReplicates;

  explicit ReplicateWeights(int64_t groups);
  int64_t groups() const { return static_cast<int64_t>(weights_.size()) / kColumns; }
  // [kColumns] of one group.
  std::span<const double> of(int64_t group) const {
    return std::span(weights_).subspan(static_cast<size_t>(group * kColumns), kColumns);
  }

 private:
  std::vector<double> weights_;  // [groups, kColumns]
};

// 2.5 % and 97.5 % points of the finite values (linear between order statistics); both NaN when
// fewer than half of the values are finite.
std::array<double, 2> percentile_interval(std::vector<double> values);

}  // namespace alm
