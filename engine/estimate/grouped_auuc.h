// Grouped AUUC (contract 3 `grouped_auuc`, method 6.3): clusters ranked by a score, gains from an
// estimator, within buckets of how often a cluster is touched.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/estimate/prediction.h"
#include "engine/estimate/user_sums.h"
#include "io/json.h"

namespace alm {

// Gain per touch of every cluster by one estimator, and the same in every bootstrap replicate. NaN:
// the cluster has none and is left out.
struct GroupedGain {
  std::vector<double> gain;  // [clusters]
  std::vector<std::vector<double>>
      replicates;  // [kBootstrapReplicates][clusters]; empty: no interval
};

// Gain = mean of the cluster's values (front door: phi_j of `ett.one_step`). `sums` reduced.
GroupedGain gain_of_means(const GroupedSums& sums);
// Gain = mean outcome of journeys that touch k minus that of the others; see contrast_with_rest.
GroupedGain gain_of_difference(const GroupedSums& touched, const GroupedSums& all);
// Gain = mean(a, k) minus mean(b, k): randomised exposures against their controls.
GroupedGain gain_of_contrast(const GroupedSums& a, const GroupedSums& b);

struct GroupedArea {
  int64_t clusters = 0;  // with a score, a gain and n_k > 0
  double weight = 0;     // sum of n_k
  Metric raw_area;       // x = cumulative share of n_k, y = cumulative n_k * gain_k, trapezoid
  Metric auuc_05;        // 0.5 + 0.5 (A - A_random) / (A_perfect - A_random)
  Metric ci95_low;
  Metric ci95_high;
  std::vector<std::array<double, 2>> curve;  // at most 201 points, from (0, 0)
};

struct GroupedAuuc {
  GroupedArea overall;               // all clusters in one ranking
  std::vector<GroupedArea> buckets;  // by e_k, rare first
  Metric bucket_mean;                // mean of the buckets' auuc_05
  Metric bucket_mean_weighted;       // weighted by n_k
};

inline constexpr int64_t kGroupedBuckets = 10;

// Area of one ranking: by score descending, ties by cluster id ascending. The perfect ranking sorts
// by the gain used. gain may be any estimate or the truth.
GroupedArea grouped_area(std::span<const double> score, std::span<const double> n,
                         const GroupedGain& gain);

// score: mean predicted effect of the cluster; n: touches n_k; exposure: e_k, the share of journeys
// that touch k. All [clusters], equal on all ranks.
GroupedAuuc grouped_auuc(std::span<const double> score, std::span<const double> n,
                         std::span<const double> exposure, const GroupedGain& gain);

// {"overall": {...}, "buckets": [{...}]}; of the labelled values auuc_05, raw_area and ci95 are
// given, the others of contract 3 null with why.
io::Json to_json(const GroupedAuuc& result);

}  // namespace alm
