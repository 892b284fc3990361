// Effects of every touch of a run of journeys under one fit: the closed forms of method 3.1, or
// with the general head its sums over mediators, and the touch-wise influence values of contract 3.
#pragma once

#include <vector>

#include "engine/estimate/edited_mediators.h"
#include "engine/estimate/general_outcome.h"
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
  std::vector<double> lambda;     // [n] Lambda(X); 0 for continuous outcomes and the general head
  std::vector<double> p;          // [t] P(m_j = 1 | touches to j, X)
  std::vector<double> do_effect;  // [t] Delta_do(j); empty with the general head
  std::vector<double> ett;        // [t] Delta_ett(j); this and do_effect empty if not wanted
  std::vector<double> one_step;   // [t] phi_j, floored; NaN when m_j is not observed
  std::vector<double> raw;       // [t] phi_j without floor and ceiling; NaN where that has no value
  std::vector<double> weight;    // [t] w_j 1{m_j = 0} / (1 - p_j), floored: the residual's weight
  std::vector<uint8_t> clipped;  // [t] the floor or the ceiling acted
  // [t] Monte Carlo variance of ett; summed over the touches of a cluster in a journey, that of
  // their summed ett. Empty with the separable head, which draws nothing.
  std::vector<double> ett_variance;

  // What clusters and exposures are ranked by.
  const std::vector<double>& ranked() const { return do_effect.empty() ? ett : do_effect; }
};

// The outcome head of one journey: parts of its touches joined, and the outcome they make. A part
// is a factor of the survival (binary) or a term of the sum (continuous).
struct JourneyHead {
  bool additive = false;
  double base = 1;  // exp(-h); continuous: h
  double mean = 0;  // of the outcome's scale
  double sd = 1;

  double unit() const { return additive ? 0.0 : 1.0; }
  // Of a touch of potency q whose mediator came with probability `share` (0 or 1 where observed).
  double part(double q, double share) const { return additive ? q * share : 1 - q * share; }
  double join(double left, double right) const { return additive ? left + right : left * right; }
  double value(double parts) const {
    return additive ? mean + sd * (base + parts) : 1 - base * parts;
  }
};

// What a deletion does to a journey.
struct Deletion {
  double log_ratio = 0;  // log w_j: of the law of the mediators that stay
  double expected = 0;   // joined parts of the touches that stay, at their law without the touch
};

// How much of SequenceScores is wanted: influence values alone, or effects besides.
enum class Wanted { one_step, effects };

// One per thread.
class SequenceScorer {
 public:
  SequenceScorer(const AlmMta& model, const ModelWeights& weights, Compute& compute,
                 MonteCarlo how = {});
  // `thread`: the calling thread's index in compute.pool(). The result lives until the next call.
  // UserError naming the row whose values make scores that are not finite or beyond measure.
  const SequenceScores& score(const io::Journeys& journeys, int64_t thread,
                              Wanted wanted = Wanted::effects);
  // E[Y | M, T, X] alone, [n]: one forward pass, no deletion. Lives until the next call; UserError
  // as of score(), which looks at edited journeys too.
  std::span<const double> predict(const io::Journeys& journeys, int64_t thread);
  // The result of the last score().
  const SequenceScores& last() const { return scores_; }

  // Of the journeys scored last, what other edits of them are made of.
  const EncodedJourneys& encoded() const { return encoded_; }
  JourneyHead head(int64_t journey) const;  // separable head, as the two below
  // Joined parts at the observed mediators, and at the law of the mediators.
  double observed(int64_t journey) const { return observed_[static_cast<size_t>(journey)]; }
  double expected(int64_t journey) const { return expected_[static_cast<size_t>(journey)]; }
  double logit(size_t touch) const { return encoded_.logit[touch]; }
  double potency(size_t touch) const { return potency_[touch]; }  // q; continuous, general: g
  const Deletion& deletion(size_t touch) const { return deleted_[touch]; }
  // Credit of its touches, [touches]: exact Shapley values of P(Y=1|do(T)) - P(Y=1|do(none));
  // general head: see GeneralOutcome.
  std::vector<double> shapley(const io::Journeys& journeys, int64_t journey);

 private:
  void run_model(const io::Journeys& journeys, int64_t thread);
  // p' of every (journey, deleted touch) in turn.
  void run_deletions(const io::Journeys& journeys, int64_t thread);
  // `predicted` of a journey; with the separable head also its joined parts as observed.
  void predict_separable(const io::Journeys& journeys, int64_t journey);
  void predict_general(const io::Journeys& journeys, int64_t journey);
  void score_separable(const io::Journeys& journeys, int64_t journey, Wanted wanted);
  void score_general(const io::Journeys& journeys, int64_t journey, Wanted wanted);
  void start_general(const io::Journeys& journeys, int64_t journey);
  // UserError naming the row of a prediction that is none.
  static void check_usable(const io::Journeys& journeys, int64_t journey, double prediction);
  // Mediator logits of the touches of its journey after `touch`, without it.
  const double* without(size_t touch) const { return without_->data() + without_begin_[touch]; }
  // phi_j and what goes with it, by log w_j and mu at the observed mediators and at m_j = 0.
  void put_one_step(const io::Journeys& journeys, int64_t journey, size_t touch, double log_w,
                    double mu, double edited_mu);
  // do and ett by the deletion of the touch; separable head.
  void put_effects(int64_t journey, size_t touch);
  std::vector<double> falls_of(const io::Journeys& journeys, int64_t journey, size_t touch,
                               const std::vector<double>& law_without);
  // Monte Carlo variance of ett by the falls of each draw: [touches] of one value or one a draw.
  void put_variance(const io::Journeys& journeys, int64_t journey,
                    const std::vector<std::vector<double>>& falls);

  const AlmMta& model_;
  const ModelWeights& weights_;
  Compute& compute_;
  SequenceScores scores_;
  std::vector<double> survival_;  // [n] exp(-h); continuous: h
  std::vector<double> potency_;   // [t] q_j = 1 - exp(-g_j); else g_j
  std::vector<double> observed_;  // [n] joined parts at the observed mediators
  std::vector<double> expected_;  // [n] at the law of the mediators
  EncodedJourneys encoded_;
  std::optional<GeneralOutcome> general_;
  std::vector<float> base_, steps_;               // of AlmMta::Scores; general head
  std::vector<double> log_p_;                     // [t] log P(m_j); 0 where m_j is not observed
  std::vector<Deletion> deleted_;                 // [t]
  EditedMediators deletions_;                     // of one touch each
  const std::vector<double>* without_ = nullptr;  // their logits
  std::vector<int64_t> without_begin_;            // [t] where those of the edit of touch j begin
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
