// Effects of every touch of a run of journeys under one fit: the closed forms of method 3.1 and the
// touch-wise influence values of contract 3.
#pragma once

#include <vector>

#include "engine/model/alm_mta.h"
#include "engine/model/compute.h"
#include "io/journeys.h"

namespace alm {

// 1 - p_j is kept at or above this in the residual weight of a one-step value (contract 3).
inline constexpr double kMediatorFloor = 0.02;
// Most that w_j may be in a one-step value: far above any ratio of laws worth a weight, small
// enough for the order-free sums.
inline constexpr double kRatioCeiling = 1e4;

// Per journey i and per touch j; primes = recomputed without touch j. Effects are on the scale of
// the log's outcome. Reused from batch to batch.
struct SequenceScores {
  std::vector<double> predicted;  // [n] E[Y | M, T, X]: the outcome head at the observed mediators
  std::vector<double> lambda;     // [n] Lambda(X); 0 for continuous outcomes
  std::vector<double> p;          // [t] P(m_j = 1 | touches to j, X)
  std::vector<double> do_effect;  // [t] Delta_do(j)
  std::vector<double> ett;        // [t] Delta_ett(j)
  std::vector<double> one_step;   // [t] phi_j, floored; NaN when m_j is not observed
  std::vector<double> raw;       // [t] phi_j without floor and ceiling; NaN where that has no value
  std::vector<double> weight;    // [t] w_j 1{m_j = 0} / (1 - p_j), floored: the residual's weight
  std::vector<uint8_t> clipped;  // [t] the floor or the ceiling acted
  std::vector<double> shapley;   // [t] exact Shapley value of P(Y=1|do(T)) - P(Y=1|do(none))
};

// One per thread.
class SequenceScorer {
 public:
  SequenceScorer(const AlmMta& model, const ModelWeights& weights, Compute& compute);
  // `thread`: the calling thread's index in compute.pool(). The result lives until the next call.
  // UserError naming the row whose values make scores that are not finite or beyond measure.
  const SequenceScores& score(const io::Journeys& journeys, int64_t thread);
  // The result of the last call.
  const SequenceScores& last() const { return scores_; }

 private:
  void run_model(const io::Journeys& journeys, int64_t thread);
  // Fills without_ with p' of every (journey, deleted touch) in turn.
  void run_deletions(const io::Journeys& journeys, int64_t thread);
  void run_deletion_chunk(int64_t thread);
  void score_journey(const io::Journeys& journeys, int64_t journey);

  const AlmMta& model_;
  const ModelWeights& weights_;
  Compute& compute_;
  SequenceScores scores_;
  std::vector<double> survival_;        // [n] exp(-h); continuous: h
  std::vector<double> potency_;         // [t] q_j = 1 - exp(-g_j); continuous: g_j
  std::vector<double> logit_;           // [t] mediator logit
  std::vector<float> context_;          // [n, context_width]
  io::Journeys edited_;                 // a chunk of journeys with one touch deleted
  std::vector<int64_t> edited_from_;    // [edited] journey each was made from
  std::vector<double> without_;         // logits of the touches of all edited journeys
  std::vector<int64_t> without_begin_;  // [t] where the edit of touch j begins in without_
};

// Nodes and weights of Gauss-Legendre quadrature on [0, 1], exact for polynomials of degree 2 nodes
// - 1.
struct Quadrature {
  std::vector<double> nodes;
  std::vector<double> weights;
};
const Quadrature& gauss_legendre(int64_t nodes);

// Exact Shapley values of v(S) = scale (1 - prod_{l in S} (1 - a_l)): scale a_j int_0^1 prod_{l !=
// j} (1 - t a_l) dt (method 3.1). `values` is overwritten.
void shapley_values(double scale, const std::vector<double>& a, std::vector<double>& values);

}  // namespace alm
