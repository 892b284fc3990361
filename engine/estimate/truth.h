// Estimates against the known effects of synthetic logs (contract 3 `truth`), from order-free sums.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/estimate/prediction.h"
#include "engine/estimate/thin_data.h"
#include "engine/estimate/user_sums.h"
#include "io/json.h"
#include "kernels/base/fixed_point.h"

namespace alm {

// Why a cluster's true effect is null.
inline constexpr const char* kNoTruth = "the log does not know the effect of these touches";

struct TruthResult {
  int64_t touches = 0;
  int64_t clusters = 0;  // with kLeastTouches touches
  // Over the means of those clusters, each counting once.
  Metric pehe;              // sqrt(mean (predicted - true)^2)
  Metric ate_error;         // mean (predicted - true)
  Metric cluster_spearman;  // midranks
  // Over touches.
  Metric touch_rmse;
  Metric touch_sd;  // of the truth
  Metric slope;     // truth regressed on prediction
  Metric ratio;     // mean predicted / mean true
  // All clusters with touches in one ranking, gains by the truth: 0.5 random, 1 perfect.
  Metric oracle_auuc_05;
  Metric backdoor_auuc_05;
  // Of those clusters: share whose `ett.one_step` interval holds the mean true delta_ett of the
  // touches that made it, and the median width of those intervals.
  Metric coverage95;
  Metric ci95_width_median;
};

// Keys as named above.
io::Json to_json(const TruthResult& result);

// Not thread-safe: one per thread, then merge.
class TruthSums {
 public:
  explicit TruthSums(int64_t clusters);

  // A held-out touch: predicted and true `do` effect (general head: `ett`), and its journey's
  // weight. A touch whose truth is not finite is left out.
  void add(int64_t cluster, double predicted, double truth, double weight = 1.0);
  // A touch that entered `ett.one_step`, with its true delta_ett; NaN (feedback) makes the coverage
  // undefined.
  void add_ett(int64_t cluster, double truth, double weight = 1.0);
  void merge(const TruthSums& other);
  // COLLECTIVE.
  void reduce(Communicator& comm, const char* what);

  // backdoor: mean effect per cluster by the regression, [clusters] or empty. one_step: the
  // estimates of `ett.one_step`, [clusters] or empty.
  TruthResult finish(std::span<const double> backdoor,
                     std::span<const MeanEstimate> one_step) const;

  // Mean truth of a cluster; NaN without touches.
  double mean_do(int64_t cluster) const;
  double mean_ett(int64_t cluster) const;

 private:
  int64_t clusters_;
  std::vector<int64_t> touches_;     // [clusters]
  std::vector<FixedSum> weight_;     // [clusters]
  std::vector<FixedSum> predicted_;  // [clusters]
  std::vector<FixedSum> truth_;      // [clusters]
  std::vector<int64_t> ett_touches_;
  std::vector<FixedSum> ett_weight_;
  std::vector<FixedSum> ett_truth_;
  int64_t ett_undefined_ = 0;
  FixedSum predicted_squared_, truth_squared_, product_, error_squared_;
};

// Spearman's rank correlation with midranks; NaN when a side is constant or there are fewer than 2.
double spearman(std::span<const double> a, std::span<const double> b);

}  // namespace alm
