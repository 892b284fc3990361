#include "engine/estimate/ranked_values.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/estimate/prediction.h"
#include "kernels/base/check.h"

namespace alm {
namespace {

// psi(x + 1), which differs from the harmonic number H(x) by a constant: recurrence up to 10, then
// the asymptotic series (Abramowitz and Stegun 6.3.18). x >= 0.
double harmonic(double x) {
  double value = 0;
  double at = x + 1;
  while (at < 10) value -= 1 / at++;
  const double inverse = 1 / (at * at);
  return value + std::log(at) - 0.5 / at -
         inverse * (1.0 / 12 - inverse * (1.0 / 120 - inverse * (1.0 / 252 - inverse / 240)));
}

}  // namespace

void RankedValues::add_truth(float score, double delta_do, double delta_ett, double weight) {
  if (std::isfinite(delta_do)) true_do_.add(bin(score), 0, delta_do, weight);
  if (std::isfinite(delta_ett)) true_ett_.add(bin(score), 0, delta_ett, weight);
}

void RankedValues::merge(const RankedValues& other) {
  values_.merge(other.values_);
  true_do_.merge(other.true_do_);
  true_ett_.merge(other.true_ett_);
}

void RankedValues::reduce(Communicator& comm, const char* what) {
  values_.reduce(comm, what);
  true_do_.reduce(comm, what);
  true_ett_.reduce(comm, what);
}

int64_t RankedValues::bin(float score) {
  return ordered_bits(score) >> 19;
}

RankedTies ranked_ties(const GroupedSums& sums, std::span<const int64_t> order) {
  const ReplicateWeights weights(sums.groups());
  RankedTies ties;
  for (const int64_t row : order) {
    bool any = false;
    sums.each_group(
        row, [&](int64_t, double sum, double weight) { any = any || sum != 0 || weight > 0; });
    if (!any) continue;
    ties.emplace_back();
    replicate_totals(sums, row, weights, ties.back());
  }
  return ties;
}

RankedTies ranked_ties(const GroupedSums& by_bin) {
  std::vector<int64_t> order(static_cast<size_t>(by_bin.clusters()));
  std::iota(order.rbegin(), order.rend(), int64_t{0});
  return ranked_ties(by_bin, order);
}

std::vector<Weighted> top(const RankedTies& ties, double share) {
  std::vector<Weighted> result(static_cast<size_t>(ReplicateWeights::kColumns));
  for (size_t column = 0; column < result.size(); ++column) {
    double all = 0;
    for (const auto& tie : ties) all += tie[column].weight;
    const double wanted = share * all;
    Weighted& chosen = result[column];
    for (const auto& tie : ties) {
      const double room = wanted - chosen.weight;
      if (!(room > 0)) break;
      const double part = tie[column].weight > room ? room / tie[column].weight : 1;
      chosen.sum += part * tie[column].sum;
      chosen.weight += part * tie[column].weight;
    }
  }
  return result;
}

std::vector<Rate> rates(const RankedTies& ties, double rows) {
  std::vector<Rate> result(static_cast<size_t>(ReplicateWeights::kColumns));
  double weight = 0;
  for (const auto& tie : ties) weight += tie[0].weight;
  if (!(weight > 0)) return result;
  const double scale = rows / weight;
  for (size_t column = 0; column < result.size(); ++column) {
    double n = 0, total = 0;
    for (const auto& tie : ties) {
      n += scale * tie[column].weight;
      total += scale * tie[column].sum;
    }
    if (!(n > 0)) continue;
    const double mean = total / n;
    // Of the ties that end at place `before` of the ranking.
    double before = 0, sum = 0, autoc = 0, qini = 0;
    for (const auto& tie : ties) {
      const double w = scale * tie[column].weight;
      const double s = scale * tie[column].sum;
      if (w > 0) {
        const double value = s / w;
        // sum over places j of the ties of (sum + (j - before) value) / j - mean, and of that times
        // j.
        const double places = w * before + 0.5 * w * (w + 1);
        autoc +=
            (value - mean) * w + (sum - before * value) * (harmonic(before + w) - harmonic(before));
        qini += sum * w + value * 0.5 * w * (w + 1) - mean * places;
      }
      before += w;
      sum += s;
    }
    result[column] = {autoc / n, qini / (n * n)};
  }
  return result;
}

}  // namespace alm
