#include "engine/estimate/truth.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/estimate/grouped_auuc.h"
#include "kernels/base/check.h"

namespace alm {
namespace {

std::vector<double> midranks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t end = first;
    while (end < order.size() && values[order[end]] == values[order[first]]) ++end;
    const double rank = 0.5 * static_cast<double>(first + end - 1);
    for (; first < end; ++first) ranks[order[first]] = rank;
  }
  return ranks;
}

Metric finite(double value, const char* why) {
  return std::isfinite(value) ? Metric{value, ""} : Metric{{}, why};
}

}  // namespace

double spearman(std::span<const double> a, std::span<const double> b) {
  ALM_CHECK(a.size() == b.size());
  const auto rank_a = midranks(a), rank_b = midranks(b);
  const double centre = 0.5 * (static_cast<double>(a.size()) - 1);
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (rank_a[i] - centre) * (rank_b[i] - centre);
    aa += (rank_a[i] - centre) * (rank_a[i] - centre);
    bb += (rank_b[i] - centre) * (rank_b[i] - centre);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : NAN;
}

TruthSums::TruthSums(int64_t clusters)
    : clusters_(clusters),
      touches_(static_cast<size_t>(clusters)),
      weight_(static_cast<size_t>(clusters)),
      predicted_(static_cast<size_t>(clusters)),
      truth_(static_cast<size_t>(clusters)),
      ett_touches_(static_cast<size_t>(clusters)),
      ett_weight_(static_cast<size_t>(clusters)),
      ett_truth_(static_cast<size_t>(clusters)) {}

void TruthSums::add(int64_t cluster, double predicted, double truth, double weight) {
  if (!std::isfinite(truth)) return;
  const size_t k = static_cast<size_t>(cluster);
  ++touches_[k];
  weight_[k].add(weight);
  predicted_[k].add(weight * predicted);
  truth_[k].add(weight * truth);
  predicted_squared_.add(weight * predicted * predicted);
  truth_squared_.add(weight * truth * truth);
  product_.add(weight * predicted * truth);
  error_squared_.add(weight * (predicted - truth) * (predicted - truth));
}

void TruthSums::add_ett(int64_t cluster, double truth, double weight) {
  if (!std::isfinite(truth)) {
    ++ett_undefined_;
    return;
  }
  ++ett_touches_[static_cast<size_t>(cluster)];
  ett_weight_[static_cast<size_t>(cluster)].add(weight);
  ett_truth_[static_cast<size_t>(cluster)].add(weight * truth);
}

void TruthSums::merge(const TruthSums& other) {
  ALM_CHECK(other.clusters_ == clusters_);
  for (size_t k = 0; k < touches_.size(); ++k) {
    touches_[k] += other.touches_[k];
    weight_[k].add(other.weight_[k]);
    ett_weight_[k].add(other.ett_weight_[k]);
    predicted_[k].add(other.predicted_[k]);
    truth_[k].add(other.truth_[k]);
    ett_touches_[k] += other.ett_touches_[k];
    ett_truth_[k].add(other.ett_truth_[k]);
  }
  ett_undefined_ += other.ett_undefined_;
  predicted_squared_.add(other.predicted_squared_);
  truth_squared_.add(other.truth_squared_);
  product_.add(other.product_);
  error_squared_.add(other.error_squared_);
}

void TruthSums::reduce(Communicator& comm, const char* what) {
  comm.all_reduce_sum(std::span<int64_t>(touches_), what);
  comm.all_reduce_sum(std::span<int64_t>(ett_touches_), what);
  comm.all_reduce_sum(std::span<int64_t>(&ett_undefined_, 1), what);
  comm.all_reduce_sum(std::span<FixedSum>(weight_), what);
  comm.all_reduce_sum(std::span<FixedSum>(ett_weight_), what);
  comm.all_reduce_sum(std::span<FixedSum>(predicted_), what);
  comm.all_reduce_sum(std::span<FixedSum>(truth_), what);
  comm.all_reduce_sum(std::span<FixedSum>(ett_truth_), what);
  FixedSum sums[4] = {predicted_squared_, truth_squared_, product_, error_squared_};
  comm.all_reduce_sum(std::span<FixedSum>(sums), what);
  predicted_squared_ = sums[0];
  truth_squared_ = sums[1];
  product_ = sums[2];
  error_squared_ = sums[3];
}

double TruthSums::mean_do(int64_t cluster) const {
  const size_t k = static_cast<size_t>(cluster);
  const double weight = weight_[k].value();
  return weight > 0 ? truth_[k].value() / weight : NAN;
}

double TruthSums::mean_ett(int64_t cluster) const {
  const size_t k = static_cast<size_t>(cluster);
  const double weight = ett_weight_[k].value();
  return weight > 0 ? ett_truth_[k].value() / weight : NAN;
}

TruthResult TruthSums::finish(std::span<const double> backdoor,
                              std::span<const MeanEstimate> one_step) const {
  const size_t clusters = static_cast<size_t>(clusters_);
  TruthResult result;
  std::vector<double> predicted(clusters, NAN), truth(clusters), n(clusters);
  std::vector<double> large_predicted, large_truth;
  FixedSum weight_all, predicted_all, truth_all;
  double squares = 0, difference = 0;
  for (size_t k = 0; k < clusters; ++k) {
    weight_all.add(weight_[k]);
    predicted_all.add(predicted_[k]);
    truth_all.add(truth_[k]);
    result.touches += touches_[k];
    n[k] = weight_[k].value();
    truth[k] = mean_do(static_cast<int64_t>(k));
    if (n[k] > 0) predicted[k] = predicted_[k].value() / n[k];
    if (touches_[k] < kLeastTouches || !(n[k] > 0)) continue;
    large_predicted.push_back(predicted[k]);
    large_truth.push_back(truth[k]);
    squares += (predicted[k] - truth[k]) * (predicted[k] - truth[k]);
    difference += predicted[k] - truth[k];
  }
  result.clusters = static_cast<int64_t>(large_truth.size());
  const double large = static_cast<double>(large_truth.size());
  const char* const kNoClusters = "no cluster has enough held-out touches";
  result.pehe = finite(std::sqrt(squares / large), kNoClusters);
  result.ate_error = finite(difference / large, kNoClusters);
  result.cluster_spearman = finite(spearman(large_predicted, large_truth),
                                   "fewer than two clusters with enough touches, or all equal");

  const double touches = weight_all.value();
  const double mean_p = predicted_all.value() / touches, mean_t = truth_all.value() / touches;
  const double variance_p = predicted_squared_.value() / touches - mean_p * mean_p;
  const double variance_t = truth_squared_.value() / touches - mean_t * mean_t;
  const double covariance = product_.value() / touches - mean_p * mean_t;
  const char* const kNoTouches = "no held-out touches";
  result.touch_rmse = finite(std::sqrt(error_squared_.value() / touches), kNoTouches);
  result.touch_sd = finite(std::sqrt(std::max(variance_t, 0.0)), kNoTouches);
  if (!(touches > 0)) result.touch_sd = {{}, kNoTouches};
  result.slope =
      finite(variance_p > 0 ? covariance / variance_p : NAN, "all predictions are the same");
  result.ratio = finite(mean_t != 0 ? mean_p / mean_t : NAN, "the mean true effect is 0");

  const GroupedGain gain{truth, {}};
  result.oracle_auuc_05 = grouped_area(predicted, n, gain).auuc_05;
  result.backdoor_auuc_05 = backdoor.empty() ? Metric{{}, "there is no back-door estimate"}
                                             : grouped_area(backdoor, n, gain).auuc_05;

  if (one_step.empty()) {
    result.coverage95 = {{}, "there is no one-step estimate"};
  } else if (ett_undefined_ > 0) {
    result.coverage95 = {{}, "the log does not know delta_ett (feedback)"};
  } else {
    int64_t held = 0;
    std::vector<double> widths;
    for (size_t k = 0; k < clusters; ++k) {
      if (ett_touches_[k] < kLeastTouches || !std::isfinite(one_step[k].se)) continue;
      const auto ci = one_step[k].ci95();
      const double target = mean_ett(static_cast<int64_t>(k));
      held += ci[0] <= target && target <= ci[1];
      widths.push_back(ci[1] - ci[0]);
    }
    if (widths.empty()) {
      result.coverage95 = {{}, kNoClusters};
    } else {
      result.coverage95 = {static_cast<double>(held) / static_cast<double>(widths.size()), ""};
      std::sort(widths.begin(), widths.end());
      result.ci95_width_median = {
          0.5 * (widths[(widths.size() - 1) / 2] + widths[widths.size() / 2]), ""};
    }
  }
  if (!result.coverage95.value) result.ci95_width_median = result.coverage95;
  return result;
}

io::Json to_json(const TruthResult& result) {
  io::Json json;
  json["touches"] = result.touches;
  json["clusters"] = result.clusters;
  put_metric(json, "pehe", result.pehe);
  put_metric(json, "ate_error", result.ate_error);
  put_metric(json, "cluster_spearman", result.cluster_spearman);
  put_metric(json, "touch_rmse", result.touch_rmse);
  put_metric(json, "touch_sd", result.touch_sd);
  put_metric(json, "slope", result.slope);
  put_metric(json, "ratio", result.ratio);
  put_metric(json, "oracle_auuc_05", result.oracle_auuc_05);
  put_metric(json, "backdoor_auuc_05", result.backdoor_auuc_05);
  put_metric(json, "coverage95", result.coverage95);
  put_metric(json, "ci95_width_median", result.ci95_width_median);
  return json;
}

}  // namespace alm
