#include "engine/estimate/gains.h"

#include <algorithm>
#include <array>
#include <functional>

#include "kernels/base/check.h"

namespace alm {
namespace {

constexpr int64_t kColumns = ReplicateWeights::kColumns;
// Touches up to which a journey counts as little active.
constexpr int64_t kActive = 4;
// Quartiles of a normal distribution lie at 0 and this many standard deviations to either side.
constexpr double kQuartile = 0.6745;

using Totals = std::vector<Weighted>;  // [kColumns]

GroupedGain empty_gain(int64_t clusters) {
  GroupedGain gain;
  gain.gain.assign(static_cast<size_t>(clusters), NAN);
  gain.replicates.assign(static_cast<size_t>(kBootstrapReplicates), gain.gain);
  return gain;
}

void set(GroupedGain& gain, int64_t cluster, int64_t column, double value) {
  (column == 0 ? gain.gain
               : gain.replicates[static_cast<size_t>(column - 1)])[static_cast<size_t>(cluster)] =
      value;
}

using ByStratum = std::array<Weighted, kStrata>;

// Value of a gain from the touched and the others of every stratum, and of what that rests on.
struct Contrast {
  double value = NAN;
  double rows = 0;
  double ess = 0;
  double clipped = 0;
};

Contrast difference(const ByStratum& touched, const ByStratum& others) {
  Contrast result;
  double sum = 0, used = 0, others_squares = 0;
  for (size_t s = 0; s < kStrata; ++s) {
    if (!(touched[s].weight > 0)) continue;
    result.rows += touched[s].weight;
    if (!(others[s].weight > 0)) {
      result.clipped += touched[s].weight;
      continue;
    }
    sum += touched[s].weight * (touched[s].mean() - others[s].mean());
    used += touched[s].weight;
    others_squares += touched[s].weight * touched[s].weight / others[s].weight;
  }
  if (!(used > 0)) return result;
  result.value = sum / used;
  // Rows of one sample whose mean would vary as much: 1 / (1 / touched + sum of squared weights of
  // the others).
  result.ess = 1 / (1 / used + others_squares / (used * used));
  return result;
}

Contrast inverse_propensity(const ByStratum& touched, const ByStratum& others) {
  Contrast result;
  Weighted with, without;
  double with_squares = 0, without_squares = 0;
  for (size_t s = 0; s < kStrata; ++s) {
    const double all = touched[s].weight + others[s].weight;
    if (!(all > 0)) continue;
    const double share = touched[s].weight / all;
    const double e = std::clamp(share, kPropensityFloor, 1 - kPropensityFloor);
    result.rows += touched[s].weight;
    if (e != share) result.clipped += touched[s].weight;
    with.sum += touched[s].sum / e;
    with.weight += touched[s].weight / e;
    with_squares += touched[s].weight / (e * e);
    without.sum += others[s].sum / (1 - e);
    without.weight += others[s].weight / (1 - e);
    without_squares += others[s].weight / ((1 - e) * (1 - e));
  }
  result.value = with.mean() - without.mean();
  if (with.weight > 0 && without.weight > 0) {
    result.ess = 1 / (with_squares / (with.weight * with.weight) +
                      without_squares / (without.weight * without.weight));
  }
  return result;
}

// The others of a cluster: the reference arm, or all that do not touch it. What is left of a
// difference of equal sums is rounding, no journey.
Weighted others_of(const Weighted& touched, const Weighted& all, bool reference) {
  if (reference) return all;
  const double weight = all.weight - touched.weight;
  return weight > 1e-9 * all.weight ? Weighted{all.sum - touched.sum, weight} : Weighted{};
}

StratifiedGain stratified(const StratifiedOutcomes& outcomes, int64_t reference,
                          const std::function<Contrast(const ByStratum&, const ByStratum&)>& of) {
  const int64_t clusters = outcomes.clusters();
  const ReplicateWeights weights(outcomes.touched.groups());
  std::array<Totals, kStrata> all, touched;
  const int64_t strata = outcomes.strata;
  for (Totals& totals : all) totals.resize(static_cast<size_t>(kColumns));
  touched = all;
  for (int64_t s = 0; s < strata; ++s) {
    if (reference >= 0) {
      replicate_totals(outcomes.touched, reference * strata + s, weights, all[s]);
    } else {
      replicate_totals(outcomes.all, s, weights, all[s]);
    }
  }
  StratifiedGain result;
  result.gain = empty_gain(clusters);
  for (std::vector<double>* column :
       {&result.overlap.rows, &result.overlap.ess, &result.overlap.clipped}) {
    column->assign(static_cast<size_t>(clusters), 0.0);
  }
  for (int64_t k = 0; k < clusters; ++k) {
    if (k == reference) continue;
    for (int64_t s = 0; s < strata; ++s) {
      replicate_totals(outcomes.touched, k * strata + s, weights, touched[s]);
    }
    for (int64_t column = 0; column < kColumns; ++column) {
      ByStratum with, without;
      for (size_t s = 0; s < kStrata; ++s) {
        with[s] = touched[s][static_cast<size_t>(column)];
        without[s] = others_of(with[s], all[s][static_cast<size_t>(column)], reference >= 0);
      }
      const Contrast contrast = of(with, without);
      set(result.gain, k, column, contrast.value);
      if (column > 0) continue;
      result.overlap.rows[static_cast<size_t>(k)] = contrast.rows;
      result.overlap.ess[static_cast<size_t>(k)] = contrast.ess;
      result.overlap.clipped[static_cast<size_t>(k)] = contrast.clipped;
    }
  }
  return result;
}

}  // namespace

void replicate_totals(const GroupedSums& sums, int64_t row, const ReplicateWeights& weights,
                      std::vector<Weighted>& totals) {
  ALM_CHECK(weights.groups() == sums.groups());
  totals.assign(static_cast<size_t>(kColumns), Weighted());
  sums.each_group(row, [&](int64_t group, double sum, double weight) {
    const std::span<const double> factors = weights.of(group);
    for (size_t column = 0; column < totals.size(); ++column) {
      totals[column].sum += factors[column] * sum;
      totals[column].weight += factors[column] * weight;
    }
  });
}

GroupedGain gain_of_means(const GroupedSums& sums, int64_t parts) {
  const ReplicateWeights weights(sums.groups());
  GroupedGain gain = empty_gain(sums.clusters() / parts);
  Totals totals;
  for (int64_t k = 0; k < sums.clusters() / parts; ++k) {
    std::vector<Weighted> whole(static_cast<size_t>(kColumns));
    for (int64_t part = 0; part < parts; ++part) {
      replicate_totals(sums, k * parts + part, weights, totals);
      for (size_t column = 0; column < whole.size(); ++column) {
        whole[column].sum += totals[column].sum;
        whole[column].weight += totals[column].weight;
      }
    }
    for (int64_t column = 0; column < kColumns; ++column) {
      set(gain, k, column, whole[static_cast<size_t>(column)].mean());
    }
  }
  return gain;
}

GroupedGain gain_of_difference(const GroupedSums& touched, const GroupedSums& all) {
  ALM_CHECK(all.clusters() == 1 && all.groups() == touched.groups());
  const ReplicateWeights weights(touched.groups());
  GroupedGain gain = empty_gain(touched.clusters());
  Totals every, with;
  replicate_totals(all, 0, weights, every);
  for (int64_t k = 0; k < touched.clusters(); ++k) {
    replicate_totals(touched, k, weights, with);
    for (size_t column = 0; column < with.size(); ++column) {
      set(gain, k, static_cast<int64_t>(column),
          with[column].mean() - others_of(with[column], every[column], false).mean());
    }
  }
  return gain;
}

GroupedGain gain_against(const GroupedSums& sums, int64_t reference) {
  const ReplicateWeights weights(sums.groups());
  GroupedGain gain = empty_gain(sums.clusters());
  Totals base, with;
  replicate_totals(sums, reference, weights, base);
  for (int64_t k = 0; k < sums.clusters(); ++k) {
    if (k == reference) continue;
    replicate_totals(sums, k, weights, with);
    for (size_t column = 0; column < with.size(); ++column) {
      set(gain, k, static_cast<int64_t>(column), with[column].mean() - base[column].mean());
    }
  }
  return gain;
}

int64_t context_level(double x_part, double x_scale) {
  const double z = x_scale > 0 ? x_part / x_scale : 0;
  return (z > -kQuartile) + (z > 0) + (z > kQuartile);
}

int64_t stratum_of(double x_part, double x_scale, int64_t touches) {
  return context_level(x_part, x_scale) * 2 + (touches > kActive);
}

Weighted StratifiedOutcomes::touched_total(int64_t cluster) const {
  Weighted total;
  for (int64_t s = 0; s < strata; ++s) {
    total.sum += touched.sum(cluster * strata + s);
    total.weight += touched.weight(cluster * strata + s);
  }
  return total;
}

Weighted StratifiedOutcomes::all_total() const {
  Weighted total;
  for (int64_t s = 0; s < strata; ++s) {
    total.sum += all.sum(s);
    total.weight += all.weight(s);
  }
  return total;
}

double StratifiedOutcomes::naive(int64_t cluster) const {
  const Weighted with = touched_total(cluster);
  return with.mean() - others_of(with, all_total(), false).mean();
}

StratifiedGain gain_by_difference(const StratifiedOutcomes& outcomes, int64_t reference) {
  return stratified(outcomes, reference, difference);
}

StratifiedGain gain_by_propensity(const StratifiedOutcomes& outcomes, int64_t reference) {
  return stratified(outcomes, reference, inverse_propensity);
}

std::vector<Weighted> propensities(const StratifiedOutcomes& outcomes, int64_t cluster,
                                   int64_t reference) {
  std::vector<Weighted> found;
  for (int64_t s = 0; s < outcomes.strata; ++s) {
    const double with = outcomes.touched.weight(cluster * outcomes.strata + s);
    if (!(with > 0)) continue;
    const double all = reference >= 0
                           ? with + outcomes.touched.weight(reference * outcomes.strata + s)
                           : outcomes.all.weight(s);
    found.push_back({with / all, with});
  }
  return found;
}

}  // namespace alm
