#include "engine/estimate/shapley_sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

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
      outcome_(static_cast<size_t>(orders_ * (clusters + 1))),
      weight_(outcome_.size()),
      last_(static_cast<size_t>(orders_)) {
  std::vector<std::pair<uint64_t, int64_t>> order(static_cast<size_t>(clusters_));
  for (int64_t r = 0; r < orders_; ++r) {
    for (int64_t k = 0; k < clusters_; ++k) {
      order[static_cast<size_t>(k)] = {
          Rng(static_cast<uint64_t>(r), Stream::permutation, static_cast<uint64_t>(k)).bits64(), k};
    }
    std::sort(order.begin(), order.end());
    for (int64_t at = 0; at < clusters_; ++at) {
      place_[static_cast<size_t>(order[static_cast<size_t>(at)].second * orders_ + r)] =
          static_cast<uint32_t>(at + 1);
    }
  }
}

void ShapleySums::add(std::span<const uint32_t> touched, double outcome, double weight) {
  std::fill(last_.begin(), last_.end(), 0u);
  for (const uint32_t k : touched) {
    const uint32_t* const place = place_.data() + static_cast<size_t>(k) * last_.size();
    for (size_t r = 0; r < last_.size(); ++r) last_[r] = std::max(last_[r], place[r]);
  }
  FixedSum term, count;
  term.add(outcome * weight);
  count.add(weight);
  for (size_t r = 0; r < last_.size(); ++r) {
    const size_t at = r * static_cast<size_t>(clusters_ + 1) + last_[r];
    outcome_[at].add(term);
    weight_[at].add(count);
  }
}

void ShapleySums::merge(const ShapleySums& other) {
  ALM_CHECK(other.outcome_.size() == outcome_.size());
  for (size_t at = 0; at < outcome_.size(); ++at) {
    outcome_[at].add(other.outcome_[at]);
    weight_[at].add(other.weight_[at]);
  }
}

void ShapleySums::reduce(Communicator& comm, const char* what) {
  comm.all_reduce_sum(std::span<FixedSum>(outcome_), what);
  comm.all_reduce_sum(std::span<FixedSum>(weight_), what);
}

ShapleyGain ShapleySums::finish() const {
  ShapleyGain gain;
  gain.mean.assign(static_cast<size_t>(clusters_), NAN);
  gain.se = gain.mean;
  if (orders_ == 0) return gain;
  double outcomes = 0, journeys = 0;
  for (size_t at = 0; at <= static_cast<size_t>(clusters_); ++at) {
    outcomes += outcome_[at].value();
    journeys += weight_[at].value();
  }
  if (!(journeys > 0)) return gain;
  const double prior = std::max(kLeastPrior, kPriorShare * journeys);
  std::vector<double> step(static_cast<size_t>(clusters_) + 1);  // by place
  for (size_t r = 0; r < static_cast<size_t>(orders_); ++r) {
    double sum = prior * outcomes / journeys, weight = prior;
    for (size_t at = 0; at < step.size(); ++at) {
      const double before = sum / weight;
      sum += outcome_[r * step.size() + at].value();
      weight += weight_[r * step.size() + at].value();
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
