// Uplift and Qini areas of a score that ranks journeys of two arms (method 6.1, 6.2), each under
// its named normalisation. Nothing here is called just "AUUC".
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/estimate/prediction.h"
#include "io/json.h"
#include "kernels/base/fixed_point.h"

namespace alm {

// One journey of the treated arm or of the reference.
struct UpliftRow {
  int64_t row = 0;    // row of the log: orders ties for the causalml forms
  uint64_t user = 0;  // bootstrap
  float score = 0;    // predicted effect
  float outcome = 0;
  float weight = 1;
  uint32_t treated = 0;  // 1 or 0
};

struct UpliftResult {
  int64_t rows = 0;
  double treated = 0;  // weight of the treated arm
  double control = 0;
  bool exact = true;  // the curve goes by distinct scores; else by bins of the score
  Metric auuc_sk;     // scikit-uplift uplift_auc_score: random 0, perfect 1
  Metric auuc_05;     // 0.5 + 0.5 * auuc_sk: random 0.5, perfect 1
  Metric qini_sk;     // scikit-uplift qini_auc_score, negative effects on
  Metric auuc_causalml;
  Metric qini_causalml;
  Metric bin_error_bound;  // on auuc_sk; 0 when exact
  Metric ci95_low;         // of auuc_05, by the bootstrap over user groups
  Metric ci95_high;
  std::vector<std::array<double, 2>>
      curve;  // share of journeys, gain per journey; at most 201 points
};

// Keys of contract 3 `auuc`: auuc_sk, auuc_05, qini_sk, auuc_causalml, qini_causalml,
// bin_error_bound, ci95 (of auuc_05), method ("exact" or "binned"), curve, rows.
io::Json to_json(const UpliftResult& result);

// The areas of rows in any order; sorts them. Ties are grouped by exact equality of the score,
// except in the causalml forms, which rank by (score descending, row ascending) and need equal
// weights.
UpliftResult uplift_areas(std::vector<UpliftRow> rows);

// Collects rows of all ranks. Up to kExactRows expected rows they are kept and brought to rank 0,
// for all of the values. Above, a histogram of 65,536 bins of the score (high 16 ordered bits) is
// summed; of binary outcomes up to PredictionSums::kMostKept scores are kept too (4 bytes each, 8
// with weights) and ordered within their bins, so that the areas stay exact; above that the error
// of the grouping is bounded. Not thread-safe: one per thread, then merge.
class UpliftSums {
 public:
  static constexpr int64_t kExactRows = int64_t{1} << 22;

  // `expected_rows`: over all ranks, equal on all.
  explicit UpliftSums(int64_t expected_rows);
  // score and outcome finite, weight >= 0.
  void add(const UpliftRow& row);
  void merge(UpliftSums&& other);
  // COLLECTIVE. The result is on rank 0; other ranks get an empty one.
  UpliftResult finish(Communicator& comm, const char* what);

 private:
  static constexpr size_t kBins = 65536;
  UpliftResult finish_binned(Communicator& comm, const char* what);

  bool exact_;
  bool keep_;
  ScoresByClass kept_;
  std::vector<UpliftRow> rows_;
  std::vector<FixedSum>
      bins_;  // [kBins, 4] treated weight, treated outcome, control weight, outcome
  int64_t seen_ = 0;
  int64_t non_binary_ = 0;
};

}  // namespace alm
