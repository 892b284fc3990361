// The bucketed protocol (method 6.3) and the policy (6.4) on sequence logs: what one thread adds up
// while journeys are scored, and the parts of estimates.json made of it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/estimate/backdoor_fit.h"
#include "engine/estimate/cluster_totals.h"
#include "engine/estimate/grouped_auuc.h"
#include "engine/estimate/policy.h"
#include "engine/estimate/ranked_values.h"
#include "engine/estimate/sequence_scorer.h"
#include "engine/estimate/shapley_sampling.h"

namespace alm {

// Not thread-safe: one per thread, then merge.
class SequenceProtocol {
 public:
  explicit SequenceProtocol(const io::LogSchema& schema);

  // Every scored journey. `backdoor` [of the same journeys] may be null.
  void add(const io::Journeys& journeys, const BackdoorValues* backdoor);
  // Journeys of one half of the users, with the scores of the fit on the other half: their values.
  // `rows`: where they stand in `all`, whose scores of the main fit, and whose `backdoor` (may be
  // null), choose among them.
  void add_values(const io::Journeys& journeys, const SequenceScores& scores,
                  std::span<const int64_t> rows, const io::Journeys& all,
                  const SequenceScores& main, const BackdoorValues* backdoor);
  void merge(const SequenceProtocol& other);
  // COLLECTIVE.
  void reduce(Communicator& world);

  const StratifiedOutcomes& outcomes() const { return outcomes_; }
  // Outcomes of journeys with a randomised touch, by cluster; of every such pair, as one.
  const GroupedSums& randomised() const { return randomised_; }
  const GroupedSums& all_randomised() const { return all_randomised_; }
  // (e_ks, weight) by cluster: for ClusterTable.
  std::vector<std::vector<Weighted>> propensity() const;

  // `grouped_auuc` of estimates.json. `why_no_values`: not empty where there are no values of
  // halves.
  io::Json grouped_json(const ClusterTable& table, bool randomised,
                        const std::string& why_no_values) const;
  // `policy`. `why_no_backdoor`: not empty where the regression makes no choice.
  io::Json policy_json(const std::string& why_no_backdoor) const;

 private:
  io::Json shapley_json(const ClusterTable& table) const;

  int64_t clusters_;
  bool truth_;
  StratifiedOutcomes outcomes_;
  ShapleySums shapley_;
  GroupedSums randomised_;      // outcome of journeys with a randomised touch of k
  GroupedSums all_randomised_;  // of every such pair of journey and cluster
  ValuesByHalf values_;         // one-step values with the other half's nuisances
  // [clusters, 2] by half of the users, next to each other:
  ClusterTotals last_;  // outcomes of journeys whose last touch it is
  ClusterTotals touches_;
  WeightTotals residual_;  // weights in the values, [clusters]
  ClusterTotals clipped_;
  RankedValues by_model_;
  RankedValues by_backdoor_;
  std::vector<uint8_t> seen_;     // [clusters] scratch
  std::vector<int64_t> stratum_;  // [n] of the journeys being added
};

}  // namespace alm
