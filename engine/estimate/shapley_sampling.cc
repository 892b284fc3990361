#include "engine/estimate/shapley_sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/estimate/row_values.h"
#include "kernels/base/check.h"
#include "kernels/base/rng.h"

namespace alm {
namespace {

constexpr int64_t kPlaces = int64_t{1} << 18;  // over all orders
constexpr double kPriorShare = 0.001;
constexpr double kLeastPrior = 20;

}  // namespace

ShapleySums::ShapleySums(int64_t clusters)
    : clusters_(clusters),
      orders_(clusters > kMostClusters ? 0 : std::min(kMostOrders, kPlaces / clusters)),
      place_(static_cast<size_t>(clusters_ * orders_)),
      sums_(static_cast<size_t>(orders_ * (clusters + 1))) {
  std::vector<std::pair<uint64_t, int64_t>> order(static_cast<size_t>(clusters_));
  for (int64_t r = 0; r < orders_; ++r) {
    for (int64_t k = 0; k < clusters_; ++k) {
      order[static_cast<size_t>(k)] = {
          Rng(static_cast<uint64_t>(r), Stream::permutation, static_cast<uint64_t>(k)).bits64(), k};
    }
    std::sort(order.begin(), order.end());
    for (int64_t at = 0; at < clusters_; ++at) {
      place_[static_cast<size_t>(order[static_cast<size_t>(at)].second * orders_ + r)] =
          static_cast<int16_t>(at + 1);
    }
  }
}

void ShapleySums::add(const io::Journeys& journeys) {
  const size_t orders = static_cast<size_t>(orders_);
  if (orders == 0) return;
  terms_.assign(journeys.user.size(), Sums());
  last_.assign(terms_.size() * orders, 0);
  for (size_t i = 0; i < terms_.size(); ++i) {
    const double weight = weight_of(journeys, i);
    terms_[i].outcome.add(journeys.outcome[i] * weight);
    terms_[i].weight.add(weight);
    int16_t* const last = last_.data() + i * orders;
    for (const uint32_t k : clusters_of(journeys, static_cast<int64_t>(i))) {
      const int16_t* const place = place_.data() + static_cast<size_t>(k) * orders;
      for (size_t r = 0; r < orders; ++r) last[r] = std::max(last[r], place[r]);
    }
  }
  // Order by order: the sums of one stay in the first cache.
  for (size_t r = 0; r < orders; ++r) {
    Sums* const of_order = sums_.data() + r * static_cast<size_t>(clusters_ + 1);
    for (size_t i = 0; i < terms_.size(); ++i) of_order[last_[i * orders + r]].add(terms_[i]);
  }
}

void ShapleySums::merge(const ShapleySums& other) {
  ALM_CHECK(other.sums_.size() == sums_.size());
  for (size_t at = 0; at < sums_.size(); ++at) sums_[at].add(other.sums_[at]);
}

void ShapleySums::reduce(Communicator& comm, const char* what) {
  std::vector<FixedSum> all;
  all.reserve(2 * sums_.size());
  for (const Sums& of : sums_) all.insert(all.end(), {of.outcome, of.weight});
  comm.all_reduce_sum(std::span<FixedSum>(all), what);
  for (size_t at = 0; at < sums_.size(); ++at) sums_[at] = {all[2 * at], all[2 * at + 1]};
}

ShapleyGain ShapleySums::finish() const {
  ShapleyGain gain;
  gain.mean.assign(static_cast<size_t>(clusters_), NAN);
  gain.se = gain.mean;
  if (orders_ == 0) return gain;
  double outcomes = 0, journeys = 0;
  for (size_t at = 0; at <= static_cast<size_t>(clusters_); ++at) {
    outcomes += sums_[at].outcome.value();
    journeys += sums_[at].weight.value();
  }
  if (!(journeys > 0)) return gain;
  const double prior = std::max(kLeastPrior, kPriorShare * journeys);
  std::vector<double> step(static_cast<size_t>(clusters_) + 1);  // by place
  for (size_t r = 0; r < static_cast<size_t>(orders_); ++r) {
    double sum = prior * outcomes / journeys, weight = prior;
    for (size_t at = 0; at < step.size(); ++at) {
      const double before = sum / weight;
      const Sums& of = sums_[r * step.size() + at];
      sum += of.outcome.value();
      weight += of.weight.value();
      step[at] = sum / weight - before;
    }
    gain.deltas.emplace_back();
    for (size_t k = 0; k < static_cast<size_t>(clusters_); ++k) {
      gain.deltas.back().push_back(step[place_[k * static_cast<size_t>(orders_) + r]]);
    }
  }
  const double n = static_cast<double>(orders_);
  for (size_t k = 0; k < gain.mean.size(); ++k) {
    double sum = 0, squares = 0;
    for (const auto& delta : gain.deltas) sum += delta[k];
    gain.mean[k] = sum / n;
    for (const auto& delta : gain.deltas) {
      squares += (delta[k] - gain.mean[k]) * (delta[k] - gain.mean[k]);
    }
    gain.se[k] = n > 1 ? std::sqrt(squares / (n - 1) / n) : NAN;
  }
  return gain;
}

}  // namespace alm
