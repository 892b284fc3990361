// Scores of every touch of a run of journeys under one fit of proxy mode. They are no effects: the
// mediator is a code that was learned from what happened after the outcome (method 2.2, 2.4).
#pragma once

#include <span>
#include <vector>

#include "engine/model/alm_mta.h"
#include "engine/model/compute.h"
#include "io/journeys.h"

namespace alm {

// Per journey i and per touch j; primes = recomputed without touch j. With v = value of the code, q
// = potency, h = confounding term: g(X, T) = 1 - exp(-h) prod_l (1 - q_l v_l). Reused from batch to
// batch.
struct ProxyScores {
  std::vector<double> predicted;  // [n] g(X, T)
  std::vector<double> paper;      // [t] g(X, T) - g(X, T \ j): everything recomputed
  // Where the code varies given touches and context, else empty: with p_l = E[v_l | T, X] and r_l =
  // 1 - q_l p_l, Lambda [prod_{l != j} r'_l - prod_l r_l] and exp(-h) [the same] (method 3.1, the
  // code in the place of the mediator).
  std::vector<double> do_effect;
  std::vector<double> ett;
  std::vector<double> law;            // [t] p, or empty
  std::vector<double> value;          // [t] v
  std::vector<double> discriminator;  // [t] logit of Y=1 by the discriminator, from the code alone
  std::vector<double> omega;          // [t] matching score; NaN in journeys without a matched touch
  std::vector<float> code;            // [t, code_width]
};

// One per thread.
class ProxyScorer {
 public:
  ProxyScorer(const AlmMta& model, const ModelWeights& weights, Compute& compute);
  // `thread`: the calling thread's index in compute.pool(). The result lives until the next call.
  // UserError naming the row whose values make scores that are not finite.
  const ProxyScores& score(const io::Journeys& journeys, int64_t thread);
  // g(X, T) alone, [n]: one forward pass, no deletion. As long-lived, and errors, as score().
  std::span<const double> predict(const io::Journeys& journeys, int64_t thread);

 private:
  void size_scores(const io::Journeys& journeys);
  void run_model(const io::Journeys& journeys, int64_t thread);
  void run_deletions(const io::Journeys& journeys, int64_t thread);
  void run_deletion_chunk(int64_t thread);
  void score_journey(const io::Journeys& journeys, int64_t journey);

  const AlmMta& model_;
  const ModelWeights& weights_;
  Compute& compute_;
  ProxyScores scores_;
  std::vector<double> survival_;           // [n] exp(-h)
  std::vector<double> lambda_;             // [n]
  std::vector<double> potency_;            // [t] q
  io::Journeys edited_;                    // a chunk of journeys with one touch deleted
  std::vector<double> predicted_without_;  // [t] g(X, T \ j)
  std::vector<double> law_without_;        // p' of the touches of all edited journeys
  std::vector<int64_t> without_begin_;     // [t] where the edit of touch j begins in law_without_
};

}  // namespace alm
