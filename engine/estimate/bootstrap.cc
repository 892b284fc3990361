#include "engine/estimate/bootstrap.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "kernels/base/check.h"
#include "kernels/base/hash.h"
#include "kernels/base/rng.h"

namespace alm {

int64_t user_group_count(int64_t clusters) {
  ALM_CHECK(clusters >= 1);
  const uint64_t wanted = (uint64_t{1} << 18) / static_cast<uint64_t>(clusters);
  return std::clamp(static_cast<int64_t>(std::bit_floor(std::max<uint64_t>(wanted, 1))),
                    int64_t{256}, int64_t{4096});
}

int64_t user_group(uint64_t user, int64_t groups) {
  return static_cast<int64_t>(hash(user, Salt::bootstrap) % static_cast<uint64_t>(groups));
}

namespace {

// Poisson(1) by inversion.
int poisson(Rng rng) {
  const double u = rng.uniform();
  double term = std::exp(-1.0);
  double below = term;
  int count = 0;
  while (u >= below && count < 20) {
    ++count;
    term /= count;
    below += term;
  }
  return count;
}

}  // namespace

int poisson_weight(int64_t group, int64_t replicate) {
  return poisson(
      Rng(static_cast<uint64_t>(replicate), Stream::bootstrap, static_cast<uint64_t>(group)));
}

int user_weight(uint64_t user, uint64_t replicate_seed) {
  return poisson(Rng(replicate_seed, Stream::bootstrap, user));
}

std::vector<double> replicate_weights(int64_t groups, int64_t replicate) {
  std::vector<double> weights(static_cast<size_t>(groups));
  for (int64_t g = 0; g < groups; ++g) weights[g] = poisson_weight(g, replicate);
  return weights;
}

ReplicateWeights::ReplicateWeights(int64_t groups)
    : weights_(static_cast<size_t>(groups * kColumns), 1.0) {
  for (int64_t group = 0; group < groups; ++group) {
    double* const row = &weights_[static_cast<size_t>(group * kColumns)];
    for (int64_t b = 0; b < kBootstrapReplicates; ++b) row[1 + b] = poisson_weight(group, b);
  }
}

std::array<double, 2> percentile_interval(std::vector<double> values) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const size_t all = values.size();
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  if (values.empty() || values.size() * 2 < all) return {kNone, kNone};
  std::sort(values.begin(), values.end());
  const auto point = [&](double share) {
    const double at = share * static_cast<double>(values.size() - 1);
    const size_t low = static_cast<size_t>(at);
    const size_t high = std::min(low + 1, values.size() - 1);
    return values[low] + (at - static_cast<double>(low)) * (values[high] - values[low]);
  };
  return {point(0.025), point(0.975)};
}

}  // namespace alm
