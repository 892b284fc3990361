// Intervals by a bootstrap over users: Poisson(1) weights per (user group, replicate) from a
// counter-based generator, so they are the same on any rank and paired across estimates
// (method 6.3.7).
#pragma once

#include <array>
#include <cstdint>
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
// Weights of all groups in one replicate.
std::vector<double> replicate_weights(int64_t groups, int64_t replicate);

// 2.5 % and 97.5 % points of the finite values (linear between order statistics); both NaN when
// fewer than half of the values are finite.
std::array<double, 2> percentile_interval(std::vector<double> values);

}  // namespace alm
