// Removal of whole clusters from journeys, scored under one fit: the one-step form of neural.md 6,
// which is method 5.3 with the sum over all sequences that delete to the same one replaced by odds.
#pragma once

#include <span>
#include <vector>

#include "engine/estimate/edited_mediators.h"
#include "engine/estimate/sequence_scorer.h"
#include "engine/model/removal_net.h"

namespace alm {

// One-step value of a journey that touched the cluster: mean over such journeys E[Y] - psi_d.
// ratio = p'(M) / p(M) with p' = 0 for an engaged touch of the cluster; kappa = E[mu] under p'.
inline double removal_of_present(double outcome, double ratio, double mu, double kappa) {
  return outcome - ratio * (outcome - mu) - kappa;
}
// What a journey adds that did not touch it: of mean 0 where p is right, and what makes up for a
// wrong p where mu and the odds are right. `gap` = mu - E[mu] under p in a journey that touched the
// cluster besides.
inline double removal_of_absent(double gap, double odds) {
  return -gap * odds;
}

// Per pair of a journey and a cluster; primes = recomputed without the cluster's touches. On the
// scale of the log's outcome. Reused from batch to batch.
struct RemovalScores {
  // Clusters the journey touched, ascending: pairs of journey i are [begin[i], begin[i+1]).
  std::vector<int64_t> begin;
  std::vector<uint32_t> cluster;
  std::vector<double> plugin;    // fall of the outcome under the fit's own laws
  std::vector<double> ratio;     // p'(M) / p(M), floored: the residual's weight
  std::vector<double> one_step;  // Y - ratio (Y - mu) - kappa; NaN where an own m was not observed
  std::vector<double> raw;       // the same without floor and ceiling; NaN where it has no value
  std::vector<uint8_t> clipped;  // the floor or the ceiling acted
  std::vector<uint8_t> alone;    // it touched no other cluster
  std::vector<int64_t> touch;    // a touch of the cluster, for what the log says of it

  // Clusters it did not touch, a sample.
  struct Absent {
    std::vector<int64_t> begin;
    std::vector<int64_t> cluster;
    std::vector<double> value;  // removal_of_absent()
    std::vector<double> odds;   // of having touched it; both over the share drawn
  } absent;
};

// One per thread.
class RemovalScorer {
 public:
  RemovalScorer(const AlmMta& model, const ModelWeights& weights, Compute& compute);
  // `scored` has just scored `journeys` on this thread under the same weights. The result lives
  // until the next call.
  const RemovalScores& score(const io::Journeys& journeys, const SequenceScorer& scored,
                             int64_t thread);

 private:
  void run_edits(const io::Journeys& journeys, const SequenceScorer& scored, int64_t thread);
  // What its pair `pair`, of `journey` and a cluster, does to the journey.
  Deletion deletion(const io::Journeys& journeys, const SequenceScorer& scored, int64_t journey,
                    size_t pair) const;
  void score_present(const io::Journeys& journeys, const SequenceScorer& scored, int64_t journey);
  void score_absent(const io::Journeys& journeys, const SequenceScorer& scored, int64_t thread);

  const AlmMta& model_;
  const ModelWeights& weights_;
  Compute& compute_;
  EditedMediators edits_;
  RemovalNet::ByCluster by_cluster_;  // empty before the first score()
  RemovalScores scores_;
  std::vector<int64_t> edit_begin_;  // [pairs] where its logits begin; -1: deletion of one touch
  std::vector<int64_t> removed_;     // touches of the cluster at hand
  const std::vector<double>* edited_logits_ = nullptr;
};

}  // namespace alm
