// The back-door comparison: a logistic (continuous outcomes: linear) regression of the outcome on
// cluster counts and X, fitted by Newton's method on order-free sums, hence the same bits on any
// ranks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/comm/communicator.h"
#include "io/journeys.h"
#include "kernels/base/fixed_point.h"

namespace alm {

// Coefficients [1 + clusters + dense]: intercept, one per touch of a cluster, one per column of X.
// Immutable look-ups are thread-safe.
class BackdoorModel {
 public:
  BackdoorModel(int64_t clusters, int64_t dense, io::OutcomeKind outcome);
  // From a checkpoint.
  BackdoorModel(int64_t clusters, int64_t dense, io::OutcomeKind outcome,
                std::vector<double> coefficients);

  int64_t clusters() const { return clusters_; }
  int64_t dense() const { return dense_; }
  io::OutcomeKind outcome() const { return outcome_; }
  int64_t size() const { return 1 + clusters_ + dense_; }
  const std::vector<double>& coefficients() const { return coefficients_; }
  void set_coefficients(std::vector<double> coefficients);

  // Linear predictor; `touched` are the clusters of the touches, repeats counting. x is [dense],
  // finite.
  double linear(std::span<const uint32_t> touched, std::span<const float> x) const;
  // Mean outcome at a linear predictor.
  double mean(double linear) const;
  double predict(std::span<const uint32_t> touched, std::span<const float> x) const {
    return mean(linear(touched, x));
  }
  // Prediction minus the prediction with one touch of `cluster` taken from the count. `linear` is
  // that of the journey, which has such a touch.
  double removal_effect(double linear, int64_t cluster) const;
  // Prediction minus the prediction with `arm` replaced by `reference`.
  double replacement_effect(double linear, int64_t arm, int64_t reference) const;

 private:
  int64_t clusters_;
  int64_t dense_;
  io::OutcomeKind outcome_;
  std::vector<double> coefficients_;
};

// Score and information at a model's coefficients. Not thread-safe: one per thread, then merge.
class BackdoorSums {
 public:
  explicit BackdoorSums(const BackdoorModel& model);

  // One training journey. x standardised, finite; weight >= 0. `model` is the one of this pass, the
  // same for all rows.
  void add(const BackdoorModel& model, std::span<const uint32_t> touched, std::span<const float> x,
           double outcome, double weight = 1.0);
  void merge(const BackdoorSums& other);
  // COLLECTIVE.
  void reduce(Communicator& comm, const char* what);
  void clear();

 private:
  friend class BackdoorFit;
  int64_t size_;
  FixedSum weight_;
  FixedSum loss_;
  std::vector<FixedSum> gradient_;               // [size] of the log-likelihood
  std::vector<FixedSum> information_;            // lower triangle by rows
  std::vector<std::pair<int64_t, double>> row_;  // features of one journey, sorted
};

// Newton's method. Each pass: clear sums, add every row, then step().
//   BackdoorFit fit(clusters, dense, kind);
//   do { sums.clear(); for rows: sums.add(fit.model(), ...); } while (!fit.step(sums, comm, what));
class BackdoorFit {
 public:
  // Penalty ridge / 2 * total weight * |coefficients without intercept|^2: makes never-seen
  // clusters 0 and one-hot arms identified, moves nothing else that matters.
  static constexpr double kRidge = 1e-6;
  static constexpr int64_t kMaxPasses = 12;

  BackdoorFit(int64_t clusters, int64_t dense, io::OutcomeKind outcome)
      : model_(clusters, dense, outcome) {}

  // COLLECTIVE. Reduces the sums, moves the coefficients; true when no further pass is wanted:
  // converged, or kMaxPasses. A step that made the loss worse is halved.
  bool step(BackdoorSums& sums, Communicator& comm, const char* what);

  const BackdoorModel& model() const { return model_; }
  bool converged() const { return converged_; }
  int64_t passes() const { return passes_; }

 private:
  double penalty(const std::vector<double>& coefficients) const;

  BackdoorModel model_;
  std::vector<double> previous_;
  double previous_loss_ = 0;
  int64_t passes_ = 0;
  bool converged_ = false;
};

}  // namespace alm
