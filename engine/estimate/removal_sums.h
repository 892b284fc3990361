// Order-free sums of the removal scores, and the `removal` estimates they make.
#pragma once

#include <string>

#include "engine/estimate/removal_scorer.h"
#include "engine/estimate/sequence_sums.h"

namespace alm {

// One per thread, then merge.
class RemovalSums {
 public:
  explicit RemovalSums(const io::LogSchema& schema);

  void add(const io::Journeys& journeys, const RemovalScores& scores);
  void merge(const RemovalSums& other);
  // COLLECTIVE.
  void reduce(Communicator& world);

  // `removal` of a cluster (contract 3), per exposed journey. `undertrained`: why none of this fit
  // has an interval; else empty.
  io::Json estimate(int64_t cluster, const std::string& undertrained) const;
  MeanEstimate plugin(int64_t cluster) const { return plugin_.estimate(cluster); }
  MeanEstimate one_step(int64_t cluster) const { return one_step_.estimate(cluster); }
  // Mean weight of the residual over all exposed journeys: 1 but for noise where the mediators' law
  // is right.
  double mean_ratio() const;
  // Journeys that the odds say should have touched a cluster besides others, over those that did: 1
  // where the odds are right.
  double odds_ratio() const;
  // Mean true effect of the journeys that made the plug-in; NaN where the log does not know it.
  double truth(int64_t cluster) const;
  // coverage, Spearman and ratio against the truth, for `truth` of synthetic logs.
  io::Json against_truth(const std::string& undertrained) const;

 private:
  std::string thin(int64_t cluster) const;

  GroupedSums plugin_;          // no error of its own: one user group
  GroupedSums one_step_;        // numerators of all journeys over the weight of the exposed
  GroupedSums raw_;             // of exposed journeys; one user group, as those that follow
  GroupedSums absent_;          // of the others
  GroupedSums truth_;           // of the journeys of the plug-in
  GroupedSums one_step_truth_;  // of those of the one-step value
  ClusterTotals ratio_;         // as the journeys' weights count
  WeightTotals weight_;         // ratio times weight: what the effective sample is of
  ClusterTotals clipped_;
  DistinctUsers users_;          // of the one-step value's exposed journeys
  FixedSum expected_, exposed_;  // of odds_ratio()
};

// How the mean ratio reads: empty, or a warning.
std::string removal_warning(double mean_ratio);

}  // namespace alm
