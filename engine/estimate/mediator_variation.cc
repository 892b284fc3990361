#include "engine/estimate/mediator_variation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/estimate/thin_data.h"
#include "kernels/base/check.h"

namespace alm {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

}  // namespace

MediatorVariation::MediatorVariation(int64_t clusters)
    : cluster_ones_(static_cast<size_t>(clusters)),
      cluster_weight_(static_cast<size_t>(clusters)),
      cluster_touches_(static_cast<size_t>(clusters)) {}

void MediatorVariation::merge(const MediatorVariation& other) {
  ALM_CHECK(other.cluster_ones_.size() == cluster_ones_.size());
  variance_.add(other.variance_);
  ones_.add(other.ones_);
  weight_.add(other.weight_);
  for (size_t at = 0; at < cluster_ones_.size(); ++at) {
    cluster_ones_[at].add(other.cluster_ones_[at]);
    cluster_weight_[at].add(other.cluster_weight_[at]);
    cluster_touches_[at] += other.cluster_touches_[at];
  }
}

void MediatorVariation::reduce(Communicator& world) {
  FixedSum sums[3] = {variance_, ones_, weight_};
  world.all_reduce_sum(std::span<FixedSum>(sums), "mediator variance");
  variance_ = sums[0];
  ones_ = sums[1];
  weight_ = sums[2];
  world.all_reduce_sum(std::span(cluster_ones_), "mediators by cluster");
  world.all_reduce_sum(std::span(cluster_weight_), "mediators by cluster");
  world.all_reduce_sum(std::span(cluster_touches_), "mediators by cluster");
}

double MediatorVariation::share() const {
  const double fit = fitted();
  const double counted = within_clusters();
  return std::isfinite(counted) ? std::min(fit, counted) : fit;
}

double MediatorVariation::fitted() const {
  const double weight = weight_.value();
  if (!(weight > 0)) return kNone;
  const double rate = ones_.value() / weight;
  const double total = rate * (1 - rate);
  return total > 0 ? variance_.value() / weight / total : 0;
}

double MediatorVariation::within_clusters() const {
  double weight = 0;
  double ones = 0;
  double variance = 0;
  for (size_t at = 0; at < cluster_ones_.size(); ++at) {
    if (cluster_touches_[at] < kLeastTouches) continue;
    const double own = cluster_weight_[at].value();
    const double rate = cluster_ones_[at].value() / own;
    const double touches = static_cast<double>(cluster_touches_[at]);
    weight += own;
    ones += own * rate;
    variance += own * rate * (1 - rate) * touches / (touches - 1);
  }
  if (!(weight > 0)) return kNone;
  const double total = ones / weight * (1 - ones / weight);
  return total > 0 ? variance / weight / total : kNone;
}

}  // namespace alm
