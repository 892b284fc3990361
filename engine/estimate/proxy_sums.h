// The order-free sums one thread keeps while it scores journeys in proxy mode.
#pragma once

#include <vector>

#include "engine/estimate/backdoor_fit.h"
#include "engine/estimate/code_monitor.h"
#include "engine/estimate/proxy_scorer.h"
#include "engine/estimate/scored_rows.h"
#include "engine/estimate/sequence_sums.h"
#include "engine/estimate/truth.h"
#include "engine/estimate/user_sums.h"

namespace alm {

struct ProxySums {
  ProxySums(const io::LogSchema& schema, int64_t code_width, bool has_law, int64_t expected_rows);

  // `backdoor` may be null.
  void add(const io::Journeys& journeys, const ProxyScores& scores,
           const BackdoorPredictor* backdoor);
  void merge(ProxySums&& other);
  // COLLECTIVE.
  void reduce(Communicator& world);

  ScoredRows scored;
  bool has_law;       // whether there are do and ett scores
  GroupedSums paper;  // no errors of their own: one user group
  GroupedSums do_plugin;
  GroupedSums ett_plugin;
  GroupedSums touched;  // outcome of journeys that touch k
  GroupedSums all;      // outcome of all journeys
  ClusterTotals backdoor;
  DistinctUsers users;  // by cluster
  PredictionSums backdoor_prediction;
  TruthSums paper_truth;
  TruthSums do_truth;
  CodeMonitor code;

 private:
  std::vector<uint8_t> seen_;  // [clusters] scratch
};

}  // namespace alm
