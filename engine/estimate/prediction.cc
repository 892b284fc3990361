#include "engine/estimate/prediction.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>

#include "engine/estimate/exact_ranking.h"
#include "kernels/base/check.h"
#include "kernels/base/hash.h"

namespace alm {
namespace {

// Probabilities are held this far from 0 and 1 in the log loss (method 3.2).
constexpr double kEdge = 1e-7;

double entropy(double rate) {
  return -(rate * std::log(rate) + (1 - rate) * std::log1p(-rate));
}

const char* const kNoRows = "no rows were scored";
const char* const kOneClass = "all outcomes are equal";

}  // namespace

void put_metric(io::Json& json, const char* key, const Metric& metric) {
  json[key] = metric.value ? io::number(*metric.value) : io::Json(nullptr);
  if (!metric.value) json[std::string(key) + "_why"] = metric.why;
}

void put_interval(io::Json& json, const Metric& low, const Metric& high) {
  json["ci95"] = nullptr;
  if (low.value) {
    json["ci95"] = {*low.value, *high.value};
  } else {
    json["ci95_why"] = low.why;
  }
}

int64_t PredictionSums::bin(float probability) {
  ALM_CHECK(probability >= 0 && probability <= 1, "probability %g",
            static_cast<double>(probability));
  // Of the ordered bits the sign is constant and the exponents below 2^-32 are of no use; what is
  // left of the high bits fits 16.
  constexpr uint32_t kLowest = (127u - 32u) << 23;
  const uint32_t bits = std::bit_cast<uint32_t>(probability + 0.0f);
  if (bits < kLowest) return 0;
  return std::min<int64_t>((bits - kLowest) >> 12, kBins - 1);
}

PredictionSums::PredictionSums(int64_t expected_rows)
    : positive_(kBins),
      negative_(kBins),
      predicted_(kBins),
      keep_(expected_rows >= 0 && expected_rows <= kMostKept) {}

void PredictionSums::add(float probability, float outcome, double weight) {
  ALM_CHECK(outcome == 0 || outcome == 1);
  const size_t b = static_cast<size_t>(bin(probability));
  (outcome == 1 ? positive_ : negative_)[b].add(weight);
  predicted_[b].add(weight * static_cast<double>(probability));
  const double p = std::clamp(static_cast<double>(probability), kEdge, 1 - kEdge);
  cross_entropy_.add(-weight * (outcome == 1 ? std::log(p) : std::log1p(-p)));
  if (keep_) kept_.add(probability, false, outcome == 1, static_cast<float>(weight));
}

void PredictionSums::merge(PredictionSums&& other) {
  for (size_t b = 0; b < kBins; ++b) positive_[b].add(other.positive_[b]);
  for (size_t b = 0; b < kBins; ++b) negative_[b].add(other.negative_[b]);
  for (size_t b = 0; b < kBins; ++b) predicted_[b].add(other.predicted_[b]);
  cross_entropy_.add(other.cross_entropy_);
  kept_.append(std::move(other.kept_));
}

void PredictionSums::reduce(Communicator& comm, const char* what) {
  comm.all_reduce_sum(std::span<FixedSum>(positive_), what);
  comm.all_reduce_sum(std::span<FixedSum>(negative_), what);
  comm.all_reduce_sum(std::span<FixedSum>(predicted_), what);
  comm.all_reduce_sum(std::span<FixedSum>(&cross_entropy_, 1), what);
  if (!keep_) return;
  int64_t weighted = kept_.weighted();
  comm.all_reduce_max(std::span<int64_t>(&weighted, 1), what);
  ThreadPool pool(1);
  const RankingAreas areas =
      exact_ranking(kept_source(kept_), {.weighted = weighted != 0}, pool, comm);
  if (std::isfinite(areas.auc)) auc_ = areas.auc;
  kept_ = {};
}

BinaryPrediction PredictionSums::finish() const {
  BinaryPrediction result;
  FixedSum positive_sum, negative_sum, predicted_sum;
  for (size_t b = 0; b < kBins; ++b) {
    positive_sum.add(positive_[b]);
    negative_sum.add(negative_[b]);
    predicted_sum.add(predicted_[b]);
  }
  const double positives = positive_sum.value();
  const double negatives = negative_sum.value();
  const double total = positives + negatives;
  result.samples = total;
  result.positives = positives;
  if (!(total > 0)) {
    result.auc = result.logloss = result.rig = result.pcoc = result.ece = {{}, kNoRows};
    return result;
  }
  if (positives > 0 && negatives > 0) {
    double below = 0, pairs = 0, tied = 0;
    for (size_t b = 0; b < kBins; ++b) {
      const double p = positive_[b].value(), n = negative_[b].value();
      pairs += p * (below + 0.5 * n);
      tied += p * n;
      below += n;
    }
    result.auc = {pairs / (positives * negatives), ""};
    result.auc_error_bound = tied / (2 * positives * negatives);
    if (auc_) {
      result.auc = {auc_, ""};
      result.auc_error_bound = 0;
    }
  } else {
    result.auc = {{}, kOneClass};
  }
  const double logloss = cross_entropy_.value() / total;
  const double rate = positives / total;
  result.logloss = {logloss, ""};
  result.rig =
      rate > 0 && rate < 1 ? Metric{1 - logloss / entropy(rate), ""} : Metric{{}, kOneClass};
  result.pcoc =
      positives > 0 ? Metric{predicted_sum.value() / positives, ""} : Metric{{}, "no outcome is 1"};

  // Bins of equal mass: histogram bins are added until the next multiple of total /
  // kCalibrationBins.
  double ece = 0, seen = 0;
  FixedSum bin_positive, bin_all, bin_predicted;
  int64_t cuts = 0;
  for (size_t b = 0; b < kBins; ++b) {
    bin_positive.add(positive_[b]);
    bin_all.add(positive_[b]);
    bin_all.add(negative_[b]);
    bin_predicted.add(predicted_[b]);
    seen += positive_[b].value() + negative_[b].value();
    const double mass = bin_all.value();
    const bool full = seen * kCalibrationBins >= total * static_cast<double>(cuts + 1);
    if (!(mass > 0) || !(full || b + 1 == kBins)) continue;
    const double predicted = bin_predicted.value() / mass;
    const double observed = bin_positive.value() / mass;
    result.calibration.push_back({predicted, observed, mass});
    ece += mass / total * std::fabs(observed - predicted);
    cuts = static_cast<int64_t>(seen * kCalibrationBins / total);
    bin_positive = bin_all = bin_predicted = FixedSum();
  }
  result.ece = {ece, ""};
  return result;
}

io::Json to_json(const BinaryPrediction& prediction) {
  io::Json json;
  put_metric(json, "auc", prediction.auc);
  json["auc_error_bound"] = io::number(prediction.auc_error_bound);
  put_metric(json, "logloss", prediction.logloss);
  put_metric(json, "rig", prediction.rig);
  put_metric(json, "pcoc", prediction.pcoc);
  put_metric(json, "ece", prediction.ece);
  json["samples"] = prediction.samples;
  json["positives"] = prediction.positives;
  json["calibration"] = io::Json::array();
  for (const auto& point : prediction.calibration) {
    json["calibration"].push_back(
        {{"predicted", point.predicted}, {"observed", point.observed}, {"samples", point.samples}});
  }
  return json;
}

void RegressionSums::add(double predicted, double outcome, double weight) {
  const double error = outcome - predicted;
  const double centred = outcome - centre_;
  weight_.add(weight);
  squared_error_.add(weight * error * error);
  outcome_.add(weight * centred);
  outcome_squared_.add(weight * centred * centred);
}

void RegressionSums::merge(const RegressionSums& other) {
  ALM_CHECK(other.centre_ == centre_);
  weight_.add(other.weight_);
  squared_error_.add(other.squared_error_);
  outcome_.add(other.outcome_);
  outcome_squared_.add(other.outcome_squared_);
}

void RegressionSums::reduce(Communicator& comm, const char* what) {
  FixedSum sums[4] = {weight_, squared_error_, outcome_, outcome_squared_};
  comm.all_reduce_sum(std::span<FixedSum>(sums), what);
  weight_ = sums[0];
  squared_error_ = sums[1];
  outcome_ = sums[2];
  outcome_squared_ = sums[3];
}

ContinuousPrediction RegressionSums::finish() const {
  ContinuousPrediction result;
  const double total = result.samples = weight_.value();
  if (!(total > 0)) {
    result.rmse = result.r2 = {{}, kNoRows};
    return result;
  }
  const double mse = squared_error_.value() / total;
  const double mean = outcome_.value() / total;
  const double variance = outcome_squared_.value() / total - mean * mean;
  result.rmse = {std::sqrt(mse), ""};
  result.r2 = variance > 0 ? Metric{1 - mse / variance, ""} : Metric{{}, kOneClass};
  return result;
}

io::Json to_json(const ContinuousPrediction& prediction) {
  io::Json json;
  put_metric(json, "rmse", prediction.rmse);
  put_metric(json, "r2", prediction.r2);
  json["samples"] = prediction.samples;
  return json;
}

GaucRows::GaucRows(int64_t expected_rows)
    : share_(expected_rows <= kRowsKept
                 ? 1.0
                 : static_cast<double>(kRowsKept) / static_cast<double>(expected_rows)) {}

void GaucRows::add(uint64_t user, float score, float outcome, float weight) {
  ALM_CHECK(!std::isnan(score) && (outcome == 0 || outcome == 1) && weight >= 0);
  if (share_ < 1 && unit(hash(user, Salt::owner, 1)) >= share_) return;
  rows_.push_back({user, score + 0.0f, outcome, weight});
}

void GaucRows::merge(GaucRows&& other) {
  ALM_CHECK(other.share_ == share_);
  rows_.insert(rows_.end(), other.rows_.begin(), other.rows_.end());
  other.rows_.clear();
}

Gauc GaucRows::finish(Communicator& comm, const char* what) {
  static_assert(sizeof(Row) == 24);
  const uint64_t size = static_cast<uint64_t>(comm.size());
  std::vector<std::vector<std::byte>> send(size);
  for (const Row& row : rows_) {
    const auto bytes = std::as_bytes(std::span(&row, 1));
    auto& out = send[hash(row.user, Salt::owner) % size];
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  rows_.clear();
  std::vector<Row> mine;
  for (const auto& bytes : comm.all_to_all_v(send, what)) {
    const size_t old = mine.size();
    mine.resize(old + bytes.size() / sizeof(Row));
    if (!bytes.empty()) std::memcpy(mine.data() + old, bytes.data(), bytes.size());
  }
  // A full order, so that sums of weights within a user are added in one order whatever the ranks.
  std::sort(mine.begin(), mine.end(), [](const Row& a, const Row& b) {
    if (a.user != b.user) return a.user < b.user;
    if (a.score != b.score) return a.score < b.score;
    if (a.outcome != b.outcome) return a.outcome < b.outcome;
    return a.weight < b.weight;
  });

  FixedSum sums[3];  // weight * AUC, weight of users with both classes, weight of all
  int64_t counts[2] = {static_cast<int64_t>(mine.size()), 0};
  for (size_t first = 0; first < mine.size();) {
    size_t end = first;
    double positives = 0, negatives = 0, below = 0, pairs = 0;
    while (end < mine.size() && mine[end].user == mine[first].user) {
      double tied_positive = 0, tied_negative = 0;
      const float score = mine[end].score;
      for (; end < mine.size() && mine[end].user == mine[first].user && mine[end].score == score;
           ++end) {
        (mine[end].outcome == 1 ? tied_positive : tied_negative) +=
            static_cast<double>(mine[end].weight);
      }
      pairs += tied_positive * (below + 0.5 * tied_negative);
      below += tied_negative;
      positives += tied_positive;
      negatives += tied_negative;
    }
    sums[2].add(positives + negatives);
    if (positives > 0 && negatives > 0) {
      sums[0].add((positives + negatives) * pairs / (positives * negatives));
      sums[1].add(positives + negatives);
      ++counts[1];
    }
    first = end;
  }
  comm.all_reduce_sum(std::span<FixedSum>(sums), what);
  comm.all_reduce_sum(std::span<int64_t>(counts), what);

  Gauc result;
  result.user_share = share_;
  result.rows = counts[0];
  result.users_scored = counts[1];
  const double scored = sums[1].value();
  result.coverage = sums[2].value() > 0 ? scored / sums[2].value() : 0;
  result.gauc = scored > 0 ? Metric{sums[0].value() / scored, ""}
                           : Metric{{}, "no user has outcomes of both classes"};
  return result;
}

void add_to_json(const Gauc& gauc, io::Json& prediction) {
  put_metric(prediction, "gauc", gauc.gauc);
  prediction["gauc_coverage"] = gauc.coverage;
  prediction["gauc_user_share"] = gauc.user_share;
  prediction["gauc_users"] = gauc.users_scored;
}

}  // namespace alm
