// The order-free sums one thread keeps while it scores journeys of a sequence log.
#pragma once

#include <string>
#include <vector>

#include "engine/estimate/backdoor_fit.h"
#include "engine/estimate/mediator_variation.h"
#include "engine/estimate/prediction.h"
#include "engine/estimate/sequence_scorer.h"
#include "engine/estimate/truth.h"
#include "engine/estimate/user_sums.h"

namespace alm {

// Sums per cluster that need no error: total of value, total of squares.
struct ClusterTotals {
  explicit ClusterTotals(int64_t clusters)
      : sum(static_cast<size_t>(clusters)),
        squares(static_cast<size_t>(clusters)),
        count(static_cast<size_t>(clusters)) {}
  void add(int64_t cluster, double value, double weight) {
    const size_t at = static_cast<size_t>(cluster);
    sum[at].add(value * weight);
    squares[at].add(value * value * weight);
    ++count[at];
  }
  void merge(const ClusterTotals& other);
  void reduce(Communicator& world, const char* what);

  std::vector<FixedSum> sum;
  std::vector<FixedSum> squares;
  std::vector<int64_t> count;
};

struct SequenceSums {
  SequenceSums(const io::LogSchema& schema, double outcome_mean, int64_t expected_rows);

  // Scores of the main fit. `backdoor` may be null.
  void add(const io::Journeys& journeys, const SequenceScores& scores,
           const BackdoorPredictor* backdoor);
  // Scores of a half's fit on the other half's journeys: the gains of grouped_auuc.
  void add_gain(const io::Journeys& journeys, const SequenceScores& scores);
  void merge(SequenceSums&& other);
  // COLLECTIVE.
  void reduce(Communicator& world);

  // Kish size of the residual weights.
  double effective_sample(int64_t cluster) const;
  // Why the one-step value of a cluster has too little behind it for an interval; empty where it
  // has enough. Touches and users count that had an observed mediator.
  std::string thin(int64_t cluster) const;

  bool binary;
  int64_t journeys = 0;
  int64_t unobserved = 0;  // touches whose mediator was not observed
  GroupedSums do_plugin;   // no error of its own: one user group
  GroupedSums ett_plugin;  // the same
  GroupedSums one_step;
  GroupedSums gain;     // one-step values with the halves' nuisances
  GroupedSums touched;  // outcome of journeys that touch k
  GroupedSums all;      // outcome of all journeys
  ClusterTotals raw;    // one-step without floors
  ClusterTotals residual_weight;
  ClusterTotals clipped;
  ClusterTotals backdoor;
  DistinctUsers users;              // by cluster
  DistinctUsers observed_users;     // of touches with a value of their own: a few, exactly
  DistinctUsers all_users;          // one cluster
  DistinctUsers training_users{1};  // whose ids fall into the training share, of another log
  PredictionSums prediction;
  RegressionSums regression;
  GaucRows gauc;
  TruthSums truth;
  MediatorVariation mediator;  // touches with an observed mediator

 private:
  std::vector<uint8_t> seen_;  // [clusters] scratch
};

}  // namespace alm
