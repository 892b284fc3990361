#include "engine/estimate/critic_weights.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace alm {
namespace {

void scale_to_sum_one(std::vector<double>& weights) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& weight : weights) weight /= sum;
}

// x . y; pairs are many: sums side by side, in a fixed order.
double product(const std::vector<float>& x, const std::vector<float>& y) {
  constexpr size_t kSums = 8;
  float sums[kSums] = {};
  const size_t whole = x.size() / kSums * kSums;
  for (size_t first = 0; first < whole; first += kSums) {
    for (size_t at = 0; at < kSums; ++at) sums[at] += x[first + at] * y[first + at];
  }
  double total = 0;
  for (const float sum : sums) total += double{sum};
  for (size_t at = whole; at < x.size(); ++at) total += double{x[at]} * double{y[at]};
  return total;
}

}  // namespace

bool CriticWeights::fill(std::span<const CriticJourney> group, int64_t row) {
  const CriticJourney& own = group[static_cast<size_t>(row)];
  uniform.assign(group.size(), 0);
  all.assign(group.size(), 0);
  double most = -HUGE_VAL;
  for (size_t r = 0; r < group.size(); ++r) {
    if (group[r].user == own.user) continue;
    const double score = product(own.x, group[r].y);
    uniform[r] = group[r].weight;
    all[r] = score;
    most = std::max(most, score);
  }
  for (size_t r = 0; r < group.size(); ++r) {
    if (uniform[r] > 0) all[r] = uniform[r] * std::exp(all[r] - most);
  }
  if (most == -HUGE_VAL) return false;
  scale_to_sum_one(uniform);
  scale_to_sum_one(all);
  double squares = 0;
  for (const double weight : all) squares += weight * weight;
  ess = 1 / squares;
  return true;
}

double keep_largest(const std::vector<double>& weights, int64_t k, std::vector<double>& kept) {
  std::vector<size_t> order(weights.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const size_t count = std::min(static_cast<size_t>(k), weights.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<int64_t>(count), order.end(),
                    [&](size_t left, size_t right) {
                      return weights[left] != weights[right] ? weights[left] > weights[right]
                                                             : left < right;
                    });
  kept.assign(weights.size(), 0);
  double captured = 0;
  for (size_t at = 0; at < count; ++at) captured += weights[order[at]];
  for (size_t at = 0; at < count; ++at) kept[order[at]] = weights[order[at]] / captured;
  return captured / std::accumulate(weights.begin(), weights.end(), 0.0);
}

}  // namespace alm
