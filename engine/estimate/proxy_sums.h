// The order-free sums one thread keeps while it scores journeys in proxy mode.
#pragma once

#include <array>
#include <vector>

#include "engine/estimate/backdoor_fit.h"
#include "engine/estimate/prediction.h"
#include "engine/estimate/proxy_scorer.h"
#include "engine/estimate/sequence_sums.h"
#include "engine/estimate/truth.h"
#include "engine/estimate/user_sums.h"

namespace alm {

// How the code behaves: what tells a collapse or a leak, and what does not.
struct CodeMonitor {
  CodeMonitor(int64_t clusters, int64_t width)
      : by_cluster(clusters),
        code(static_cast<size_t>(width)),
        code_squares(static_cast<size_t>(width)) {}
  void merge(CodeMonitor&& other);
  // COLLECTIVE.
  void reduce(Communicator& world);

  // The plain sums below, all in one array so that they merge and travel together.
  enum Sum {
    kWeight,  // of touches
    kValue,   // of the code
    kValueSquares,
    kOffLaw,             // (value - E[value | T, X])^2
    kDiscriminatorLoss,  // each journey counting once
    kJourneyWeight,      // of journeys with touches
    kJourneyOutcome,
    kMatch,  // where defined
    kMatchWeight,
    kSums
  };
  double sum(Sum which) const { return sums[which].value(); }

  std::array<FixedSum, kSums> sums;
  int64_t touches = 0;
  int64_t matches = 0;                  // touches with a defined match
  int64_t matches_without_outcome = 0;  // of these, in journeys without an outcome
  ClusterTotals by_cluster;             // of the value
  std::vector<FixedSum> code;           // [width]
  std::vector<FixedSum> code_squares;
  PredictionSums match_by_value;  // whether a defined match is kMatched or more
  PredictionSums match_by_law;
};

struct ProxySums {
  ProxySums(const io::LogSchema& schema, int64_t code_width, bool has_law, int64_t expected_rows);

  // `backdoor` may be null.
  void add(const io::Journeys& journeys, const ProxyScores& scores,
           const BackdoorPredictor* backdoor);
  void merge(ProxySums&& other);
  // COLLECTIVE.
  void reduce(Communicator& world);

  int64_t journeys = 0;
  bool has_law;       // whether there are do and ett scores
  GroupedSums paper;  // no errors of their own: one user group
  GroupedSums do_plugin;
  GroupedSums ett_plugin;
  GroupedSums touched;  // outcome of journeys that touch k
  GroupedSums all;      // outcome of all journeys
  ClusterTotals backdoor;
  DistinctUsers users;              // by cluster
  DistinctUsers all_users;          // one cluster
  DistinctUsers training_users{1};  // whose ids fall into the training share, of another log
  PredictionSums prediction;
  PredictionSums backdoor_prediction;
  GaucRows gauc;
  TruthSums paper_truth;
  TruthSums do_truth;
  CodeMonitor code;

 private:
  std::vector<uint8_t> seen_;  // [clusters] scratch
};

}  // namespace alm
