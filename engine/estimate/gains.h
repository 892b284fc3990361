// Gains per touch of clusters by the estimators of method 6.3.4, each with its bootstrap replicates
// and with how evenly its weights spread.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "engine/estimate/bootstrap.h"
#include "engine/estimate/user_sums.h"

namespace alm {

// Gain per touch of every cluster by one estimator, and the same in every bootstrap replicate. NaN:
// the cluster has none and is left out.
struct GroupedGain {
  std::vector<double> gain;  // [clusters]
  std::vector<std::vector<double>>
      replicates;  // [kBootstrapReplicates][clusters]; empty: no interval
};

// How far an estimator's weights let the rows of a cluster count. All [clusters], or all empty:
// not known.
struct ClusterOverlap {
  std::vector<double> rows;     // rows that carry the gain
  std::vector<double> ess;      // what they are worth: Kish's effective sample
  std::vector<double> clipped;  // rows whose weight was floored, or that have no counterpart
};

// Sums under one set of group weights.
struct Weighted {
  double sum = 0, weight = 0;
  double mean() const { return weight > 0 ? sum / weight : NAN; }
};

// Sums of `row` in the sample (index 0) and in every replicate; groups are those of `sums`.
// Overwrites totals.
void replicate_totals(const GroupedSums& sums, int64_t row, const ReplicateWeights& weights,
                      std::vector<Weighted>& totals);

// Gain = mean of the cluster's values (front door: phi_j of `ett.one_step`). `sums` reduced, with
// `parts` rows next to each other for every cluster, which are taken together.
GroupedGain gain_of_means(const GroupedSums& sums, int64_t parts = 1);
// Gain = mean outcome of journeys that touch k minus that of the others; see contrast_with_rest.
GroupedGain gain_of_difference(const GroupedSums& touched, const GroupedSums& all);
// Gain = mean(k) minus mean(reference): randomised arms. NaN for the reference itself.
GroupedGain gain_against(const GroupedSums& sums, int64_t reference);

// Coarse strata of a journey: four levels of what the back-door regression makes of X alone, by two
// of activity (touches).
inline constexpr int64_t kStrata = 8;
// x_part: the regression's linear predictor without intercept and touches; x_scale: its standard
// deviation, roughly (0: one level of X). Pure.
int64_t context_level(double x_part, double x_scale);  // 0 to 3
int64_t stratum_of(double x_part, double x_scale, int64_t touches);
// Above so many clusters there is memory for one stratum only.
inline constexpr int64_t kStratifiedClusters = 4096;

// Outcomes by (cluster, stratum): what gains by difference and by propensity are made of.
struct StratifiedOutcomes {
  explicit StratifiedOutcomes(int64_t clusters)
      : strata(clusters > kStratifiedClusters ? 1 : kStrata),
        touched(clusters * strata, user_group_count(clusters)),
        all(strata, user_group_count(clusters)) {}
  int64_t clusters() const { return touched.clusters() / strata; }
  void add(int64_t stratum, uint64_t user, double outcome, double weight) {
    all.add(stratum % strata, user, outcome, weight);
  }
  void add_touched(int64_t cluster, int64_t stratum, uint64_t user, double outcome, double weight) {
    touched.add(cluster * strata + stratum % strata, user, outcome, weight);
  }
  // Asks for what an add_touched() to come will touch.
  void prefetch(int64_t cluster, int64_t stratum, uint64_t user) const {
    touched.prefetch(cluster * strata + stratum % strata, user);
  }
  void merge(const StratifiedOutcomes& other) {
    touched.merge(other.touched);
    all.merge(other.all);
  }
  // COLLECTIVE.
  void reduce(Communicator& comm, const char* what) {
    touched.reduce(comm, what);
    all.reduce(comm, what);
  }
  // Totals over strata.
  Weighted touched_total(int64_t cluster) const;
  Weighted all_total() const;
  // Mean outcome of journeys that touch k minus that of the others; NaN where either is empty.
  double naive(int64_t cluster) const;

  int64_t strata;
  GroupedSums touched;  // [clusters * strata]
  GroupedSums all;      // [strata]; in arm logs without use
};

// e_ks = P(A_k = 1 | stratum) is kept at or above this, and at or below 1 minus it.
inline constexpr double kPropensityFloor = 1e-3;

struct StratifiedGain {
  GroupedGain gain;
  ClusterOverlap overlap;
};
// Method 6.3.4 (a): difference in means within each stratum, averaged over the strata as the
// touched are spread. Touched journeys of strata without others are left out (clipped).
// `reference` >= 0: the others are the journeys of that arm; else all that do not touch k.
StratifiedGain gain_by_difference(const StratifiedOutcomes& outcomes, int64_t reference = -1);
// Method 6.3.4 (b): sum wAy / sum wA - sum w(1-A)y / sum w(1-A), w the inverse of e_ks or 1 - e_ks,
// where e_ks is the share in the stratum (of replicates: the replicate's).
StratifiedGain gain_by_propensity(const StratifiedOutcomes& outcomes, int64_t reference = -1);

// (e_ks, weight of its touched journeys) of one cluster, for the strata where it is touched.
std::vector<Weighted> propensities(const StratifiedOutcomes& outcomes, int64_t cluster,
                                   int64_t reference = -1);

}  // namespace alm
