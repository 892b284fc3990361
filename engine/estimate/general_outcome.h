// The general head's outcome of one journey, its mediators drawn from a law (method 3.1): exact by
// every mediator vector where touches are few, else a mean over draws.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/model/alm_mta.h"

namespace alm {

// Draw s of touch l is engaged where a uniform of (seed, row of the log, s, l) lies below its
// probability: the same uniforms for every law asked of a journey, on any rank and thread.
struct MonteCarlo {
  int64_t draws = 64;
  int64_t enumerated = 6;  // most touches of which every mediator vector is summed
  uint64_t seed = 1;
};

// Refers to what it is made from. One per thread.
class GeneralOutcome {
 public:
  GeneralOutcome(const AlmMta& model, const ModelWeights& weights, MonteCarlo how)
      : model_(model), weights_(weights), how_(how) {}

  // L touches, of AlmMta::Scores; read until the next start().
  struct Journey {
    int64_t row = 0;              // of the log
    const float* base = nullptr;  // [confounding_hidden]
    Matrix<const float> steps;    // [L, confounding_hidden]
    std::span<const double> g;    // [L] potency logits
    std::span<const double> p;    // [L] the law most often asked for
  };
  void start(const Journey& journey);
  // E[Y | T, X] where touch l is engaged with probability share[l], each by itself: one value where
  // that is exact, else one a draw, of which it is the mean.
  void means(std::span<const double> share, std::vector<double>& values);
  // [L] Shapley values of v(S) = E[Y | T, X] where touches of S are engaged by the law p and no
  // others: what the journey's touches add for users who really had them. By all subsets where
  // vectors are enumerated, else by one order a draw.
  void shapley(std::vector<double>& values);

 private:
  void shapley_of_table(std::vector<double>& values);
  // The outcome at a sum of steps [confounding_hidden] and of g.
  double outcome(const float* engaged, double g) const;
  void fill_table(size_t touch, size_t vector, const std::vector<float>& engaged, double g);
  // What means() and shapley() read: the table of all vectors, or the draws. Not before they do,
  // for where every mediator is observed they are not needed.
  void prepare();
  void draw();
  size_t width() const { return static_cast<size_t>(journey_.steps.cols); }

  const AlmMta& model_;
  const ModelWeights& weights_;
  MonteCarlo how_;
  Journey journey_;
  bool exact_ = true;
  bool prepared_ = false;
  std::vector<double> table_;    // [2^L] outcomes; bit l: touch l is engaged
  std::vector<double> folded_;   // scratch
  std::vector<double> uniform_;  // [draws, L]
  std::vector<float> engaged_;   // [draws, confounding_hidden] at p
  std::vector<double> g_;        // [draws] at p
  std::vector<float> edited_;    // [confounding_hidden] scratch
};

}  // namespace alm
