// The rows that were scored: how many, of whom, and how well their outcomes are predicted. What
// every kind of estimate begins with.
#pragma once

#include "engine/estimate/coordinator.h"
#include "engine/estimate/prediction.h"
#include "engine/estimate/user_sums.h"

namespace alm {

// Not thread-safe: one per thread, then merge.
class ScoredRows {
 public:
  // `expected_rows`: at most so many will be added, over all ranks.
  ScoredRows(const io::LogSchema& schema, double outcome_mean, int64_t expected_rows);

  // `predicted`: E[Y | what was observed of the row], on the scale of the outcome.
  void add(const io::Journeys& journeys, int64_t row, double predicted);
  // Notes those rows whose users fall into the training share of another log.
  void note_training(const io::Journeys& journeys, const ScoredUsers& users);
  void merge(ScoredRows&& other);
  // COLLECTIVE.
  void reduce(Communicator& world);

  // After reduce().
  int64_t rows() const { return rows_; }
  double weight() const { return weight_.value(); }
  const PredictionSums& prediction() const { return prediction_; }
  // Keys samples, prediction, and those of put_reading(); UserError where no row has a weight.
  void put(const io::Log& log, const ScoredUsers& users, const io::ReadReport& report,
           io::Json& json) const;

 private:
  bool binary_;
  int64_t rows_ = 0;
  FixedSum weight_;
  DistinctUsers users_{1};
  DistinctUsers training_users_{1};
  PredictionSums prediction_;
  RegressionSums regression_;
  GaucRows by_user_;
  Gauc gauc_;  // after reduce()
};

}  // namespace alm
