// How well the outcome is predicted (method 6.4, 6.5), from order-free sums: equal bits on any
// ranks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/estimate/scores_by_class.h"
#include "io/json.h"
#include "kernels/base/fixed_point.h"

namespace alm {

// A number, or the reason why there is none.
struct Metric {
  std::optional<double> value;
  std::string why;
};

struct CalibrationPoint {
  double predicted = 0;  // mean prediction of the bin
  double observed = 0;   // mean outcome
  double samples = 0;    // weight
};

// Metrics of probabilities. All weighted.
struct BinaryPrediction {
  double samples = 0;    // sum of weights
  double positives = 0;  // sum of weights of outcome 1
  Metric auc;
  double auc_error_bound = 0;  // |auc - exact AUC| is at most this (method 6.5); 0: it is exact
  Metric logloss;
  Metric rig;   // 1 - logloss / entropy of the base rate
  Metric pcoc;  // sum of predictions / sum of outcomes
  Metric ece;   // kCalibrationBins bins of equal mass
  std::vector<CalibrationPoint> calibration;
};

inline constexpr int64_t kCalibrationBins = 20;

// Sums for BinaryPrediction. The score histogram has 65,536 bins: 2,048 per octave of the fp32
// probability, from 2^-32 to 1. Where scores may be kept, reduce() orders those of each bin too and
// the AUC is exact. Not thread-safe: one per thread, then merge.
class PredictionSums {
 public:
  // Rows of which scores are kept, over all ranks: 4 bytes each, 8 where they have weights.
  static constexpr int64_t kMostKept = int64_t{1} << 27;

  // `expected_rows`: at most so many will be added, over all ranks; -1: not known, none are kept.
  explicit PredictionSums(int64_t expected_rows = -1);

  // probability in [0, 1], outcome 0 or 1, weight >= 0.
  void add(float probability, float outcome, double weight = 1.0);
  void merge(PredictionSums&& other);
  // COLLECTIVE. Gives up the scores kept.
  void reduce(Communicator& comm, const char* what);
  BinaryPrediction finish() const;

  static constexpr int64_t kBins = 65536;
  // Bin of a probability; increasing.
  static int64_t bin(float probability);

 private:
  std::vector<FixedSum> positive_;   // [kBins] weight of outcome 1
  std::vector<FixedSum> negative_;   // [kBins] weight of outcome 0
  std::vector<FixedSum> predicted_;  // [kBins] weight * probability
  FixedSum cross_entropy_;
  bool keep_;
  ScoresByClass kept_;
  std::optional<double> auc_;  // exact, after reduce()
};

// Keys of contract 3 `prediction`: auc, logloss, rig, pcoc, ece (null and `<key>_why` where
// undefined), auc_error_bound, calibration, samples. gauc is added by to_json(Gauc).
io::Json to_json(const BinaryPrediction& prediction);

// Metrics of continuous predictions.
struct ContinuousPrediction {
  double samples = 0;
  Metric rmse;
  Metric r2;  // 1 - squared error / variance of the outcome
};

class RegressionSums {
 public:
  // `centre`: any constant near the mean outcome, equal everywhere; sums are of y - centre, so that
  // the variance of large outcomes loses nothing.
  explicit RegressionSums(double centre = 0) : centre_(centre) {}
  void add(double predicted, double outcome, double weight = 1.0);
  void merge(const RegressionSums& other);
  // COLLECTIVE.
  void reduce(Communicator& comm, const char* what);
  ContinuousPrediction finish() const;

 private:
  double centre_;
  FixedSum weight_, squared_error_, outcome_, outcome_squared_;
};

// Keys rmse, r2, samples.
io::Json to_json(const ContinuousPrediction& prediction);

// Mean AUC within users (method 6.4): sum_u n_u AUC_u / sum_u n_u over users with both classes.
struct Gauc {
  Metric gauc;
  double coverage = 0;       // weight of users with both classes / weight of all kept rows
  double user_share = 1;     // share of users kept, by hash; 1 unless there are too many rows
  int64_t rows = 0;          // rows kept
  int64_t users_scored = 0;  // users with both classes
};

// Keeps (user, score, outcome, weight) of a sample of users and brings each user's rows together on
// one rank. Not thread-safe: one per thread, then merge.
class GaucRows {
 public:
  // `expected_rows` over all ranks decides the share of users kept, so that about kRowsKept rows
  // stay.
  explicit GaucRows(int64_t expected_rows);
  void add(uint64_t user, float score, float outcome, float weight = 1.0f);
  void merge(GaucRows&& other);
  // COLLECTIVE. Routes the rows, scores the users; every rank gets the same answer. Empties the
  // object.
  Gauc finish(Communicator& comm, const char* what);

  static constexpr int64_t kRowsKept = int64_t{1} << 18;

 private:
  struct Row {
    uint64_t user;
    float score;
    float outcome;
    float weight;
    float unused = 0;
  };
  double share_;
  std::vector<Row> rows_;
};

// Keys gauc, gauc_coverage, gauc_user_share.
void add_to_json(const Gauc& gauc, io::Json& prediction);

// Writes value, or null and `<key>_why`.
void put_metric(io::Json& json, const char* key, const Metric& metric);
// Writes `ci95` as [low, high], or null and `ci95_why`.
void put_interval(io::Json& json, const Metric& low, const Metric& high);

}  // namespace alm
