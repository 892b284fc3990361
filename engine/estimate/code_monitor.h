// How the code of proxy mode behaves: what tells a collapse or a leak, and what does not.
#pragma once

#include <array>
#include <vector>

#include "engine/estimate/prediction.h"
#include "engine/estimate/proxy_scorer.h"
#include "engine/estimate/sequence_sums.h"
#include "io/json.h"

namespace alm {

// Order-free sums. Not thread-safe: one per thread, then merge.
struct CodeMonitor {
  CodeMonitor(int64_t clusters, int64_t width)
      : by_cluster(clusters),
        code(static_cast<size_t>(width)),
        code_squares(static_cast<size_t>(width)) {}
  // Journey `journey` of a batch and its scores.
  void add(const io::Journeys& from, const ProxyScores& scores, size_t journey, double weight);
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

  // Of the value; population variance.
  double mean() const { return sum(kValue) / sum(kWeight); }
  double variance() const;
  // Share of the variance that lies between clusters. touches: anything summed over the touches of
  // each cluster, for their weight.
  double cluster_share(const GroupedSums& touches) const;
  // E (value - E[value | T, X])^2 / Var(value) by the fitted law, or, if smaller, what lies within
  // clusters: knowing the whole journey leaves no more than knowing its cluster. 0 where there is
  // no law.
  double variance_share(const GroupedSums& touches) const;
};

// `identification.code`. has_law: the code varies given touches and context.
io::Json to_json(const CodeMonitor& code, const GroupedSums& touches, bool has_law);

}  // namespace alm
