// Grouped AUUC (contract 3 `grouped_auuc`, method 6.3): clusters ranked by a score, gains from an
// estimator, within buckets of how often a cluster is touched.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/estimate/gains.h"
#include "engine/estimate/prediction.h"
#include "io/json.h"

namespace alm {

// What the clusters of a log are ranked by; all [clusters], equal on all ranks.
struct ClusterTable {
  std::vector<double> score;     // mean predicted effect of the cluster; NaN: none
  std::vector<double> rival;     // the back-door's, for comparison; empty: none
  std::vector<double> n;         // touches n_k
  std::vector<double> exposure;  // e_k, the share of journeys that touch k
  // (e_ks, weight) of the strata where k is touched; empty: not known.
  std::vector<std::vector<Weighted>> propensity;
};

// Below this share of ess in the rows a set of clusters has no overlap and is not ranked.
inline constexpr double kLeastOverlap = 0.05;

struct GroupedArea {
  int64_t clusters = 0;  // with a score, a gain and n_k > 0
  double weight = 0;     // sum of n_k
  Metric raw_area;       // x = cumulative share of n_k, y = cumulative n_k * gain_k, trapezoid
  Metric auuc_05;        // 0.5 + 0.5 (A - A_random) / (A_perfect - A_random)
  Metric ci95_low;
  Metric ci95_high;
  std::vector<std::array<double, 2>> curve;  // at most 201 points, from (0, 0)
  // The same clusters ranked by the rival, and what the score gains over it: paired replicates.
  Metric rival_auuc_05;
  Metric difference;
  Metric difference_low;
  Metric difference_high;
  // Overlap; NaN where not known.
  double exposure_low = NAN, exposure_high = NAN;  // of e_k
  double propensity_least = NAN, propensity_median = NAN;
  double rows = NAN, ess = NAN, clipped_share = NAN;
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

GroupedAuuc grouped_auuc(const ClusterTable& table, const GroupedGain& gain,
                         const ClusterOverlap& overlap = {});

// {"overall": {...}, "buckets": [{...}], "note"}; of the labelled values auuc_05, raw_area and ci95
// are given, the others of contract 3 null with why.
io::Json to_json(const GroupedAuuc& result, const char* note);

}  // namespace alm
