// The order-free sums one thread keeps while it scores journeys of a sequence log.
#pragma once

#include <string>
#include <vector>

#include "engine/estimate/backdoor_fit.h"
#include "engine/estimate/cluster_totals.h"
#include "engine/estimate/mediator_variation.h"
#include "engine/estimate/scored_rows.h"
#include "engine/estimate/sensitivity.h"
#include "engine/estimate/sequence_protocol.h"
#include "engine/estimate/sequence_scorer.h"
#include "engine/estimate/truth.h"
#include "engine/estimate/user_sums.h"

namespace alm {

struct SequenceSums {
  SequenceSums(const io::LogSchema& schema, OutcomeHead head, double outcome_mean,
               int64_t expected_rows);

  // Scores of the main fit. `backdoor` [of the same journeys] may be null.
  void add(const io::Journeys& journeys, const SequenceScores& scores,
           const BackdoorValues* backdoor);
  void merge(SequenceSums&& other);
  // COLLECTIVE.
  void reduce(Communicator& world);

  // Of SequenceScores::ranked(): what clusters are ranked by.
  const GroupedSums& ranked_plugin() const { return general ? ett_plugin : do_plugin; }
  // Monte Carlo error of a cluster's ett_plugin.
  double monte_carlo_error(int64_t cluster) const;
  // Why the one-step value of a cluster has too little behind it for an interval; empty where it
  // has enough. Touches and users count that had an observed mediator.
  std::string thin(int64_t cluster) const;

  bool binary;
  bool general;  // the outcome head
  ScoredRows scored;
  int64_t unobserved = 0;  // touches whose mediator was not observed
  GroupedSums do_plugin;   // no error of its own: one user group; nothing with the general head
  GroupedSums ett_plugin;  // the same
  GroupedSums one_step;
  ClusterTotals monte_carlo;  // variance of the sum of ett_plugin; general head
  ClusterTotals raw;          // one-step without floors
  WeightTotals residual_weight;
  ClusterTotals clipped;
  ClusterTotals backdoor;
  DistinctUsers users;           // by cluster
  DistinctUsers observed_users;  // of touches with a value of their own: a few, exactly
  TruthSums truth;               // of ranked_plugin()
  MediatorVariation mediator;    // touches with an observed mediator
  SensitivitySums sensitivity;
  SequenceProtocol protocol;  // gains of clusters, values of exposures
};

}  // namespace alm
