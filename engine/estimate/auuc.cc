#include "engine/estimate/auuc.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "engine/estimate/bootstrap.h"
#include "engine/estimate/exact_ranking.h"
#include "engine/estimate/uplift_curve.h"
#include "kernels/base/check.h"

namespace alm {
namespace {

Step step_of(const UpliftRow& row, double weight) {
  const double outcome = weight * static_cast<double>(row.outcome);
  return row.treated ? Step{.treated = weight, .treated_outcome = outcome}
                     : Step{.control = weight, .control_outcome = outcome};
}

const char* const kEmptyArm = "one of the two arms has no journeys";
const char* const kConstant = "the score is the same for every journey";
const char* const kNotBinary = "a perfect order is defined for a binary outcome only";
const char* const kNoRoom = "the perfect order is no better than a random one";

void set_all(UpliftResult& result, const char* why) {
  result.auuc_sk = result.auuc_05 = result.qini_sk = result.auuc_causalml = result.qini_causalml =
      result.bin_error_bound = result.ci95_low = result.ci95_high = Metric{{}, why};
}

Metric metric(std::optional<double> value, const char* why) {
  return value ? Metric{value, ""} : Metric{{}, why};
}

void set_normalised(UpliftResult& result, const Areas& areas, bool binary) {
  if (!binary) {
    result.auuc_sk = result.auuc_05 = result.qini_sk = Metric{{}, kNotBinary};
    return;
  }
  const auto uplift = auuc_sk(areas);
  result.auuc_sk = metric(uplift, kNoRoom);
  result.auuc_05 = uplift ? Metric{0.5 + 0.5 * *uplift, ""} : result.auuc_sk;
  result.qini_sk = metric(qini_sk(areas), kNoRoom);
}

void add_curve_point(UpliftResult& result, const Areas& areas, double all) {
  const double share = areas.at.all() / all;
  const bool end = share >= 1;
  if (!end && share < (static_cast<double>(result.curve.size())) / 200) return;
  result.curve.push_back({share, areas.at.uplift() / all});
}

// causalml: one point a row, NaN where an arm is empty, interpolated from 0; sum / (rows + 1);
// curve divided by the size of its last value. Qini subtracts the straight line.
void set_causalml(UpliftResult& result, std::span<const UpliftRow> sorted) {
  Step at;
  double gain_sum = 0, qini_sum = 0;
  bool gain_begun = false, qini_begun = false;
  double index = 0;
  for (const UpliftRow& row : sorted) {
    at.add(step_of(row, 1.0));
    ++index;
    const double lift = at.uplift() / index;
    if (at.treated > 0 && at.control > 0) {
      if (!gain_begun) {
        // sum over i < index of (lift * i / index) * i
        gain_sum += lift / index * (index - 1) * index * (2 * index - 1) / 6;
        gain_begun = true;
      }
      gain_sum += lift * index;
    }
    if (at.control > 0) {
      if (!qini_begun) {
        qini_sum += at.qini() * (index - 1) / 2;  // sum over i < index of qini * i / index
        qini_begun = true;
      }
      qini_sum += at.qini();
    }
  }
  const double points = index + 1;
  const double last_gain = at.uplift(), last_qini = at.qini();
  const char* const kFlat = "the curve ends at 0";
  result.auuc_causalml =
      last_gain != 0 ? Metric{gain_sum / std::fabs(last_gain) / points, ""} : Metric{{}, kFlat};
  result.qini_causalml =
      last_qini != 0
          ? Metric{(qini_sum - 0.5 * last_qini * points) / std::fabs(last_qini) / points, ""}
          : Metric{{}, kFlat};
}

void set_interval(UpliftResult& result, std::span<const UpliftRow> sorted) {
  const int64_t groups = user_group_count(1);
  std::vector<uint32_t> group(sorted.size());
  for (size_t i = 0; i < sorted.size(); ++i) {
    group[i] = static_cast<uint32_t>(user_group(sorted[i].user, groups));
  }
  std::vector<double> values;
  for (int64_t b = 0; b < kBootstrapReplicates; ++b) {
    const auto weights = replicate_weights(groups, b);
    Areas areas;
    for (size_t i = 0; i < sorted.size();) {
      Step step;
      const float score = sorted[i].score;
      for (; i < sorted.size() && sorted[i].score == score; ++i) {
        step.add(step_of(sorted[i], weights[group[i]] * static_cast<double>(sorted[i].weight)));
      }
      areas.add(step);
    }
    const auto value = auuc_sk(areas);
    values.push_back(value ? 0.5 + 0.5 * *value : NAN);
  }
  const auto interval = percentile_interval(std::move(values));
  const bool found = std::isfinite(interval[0]);
  result.ci95_low = result.ci95_high = Metric{{}, kNoRoom};
  if (found) {
    result.ci95_low = {interval[0], ""};
    result.ci95_high = {interval[1], ""};
  }
}

}  // namespace

UpliftResult uplift_areas(std::vector<UpliftRow> rows) {
  std::sort(rows.begin(), rows.end(), [](const UpliftRow& a, const UpliftRow& b) {
    return a.score != b.score ? a.score > b.score : a.row < b.row;
  });
  UpliftResult result;
  result.rows = static_cast<int64_t>(rows.size());
  bool binary = true, equal_weights = true;
  Step total;
  for (const UpliftRow& row : rows) {
    total.add(step_of(row, static_cast<double>(row.weight)));
    binary = binary && (row.outcome == 0 || row.outcome == 1);
    equal_weights = equal_weights && row.weight == rows.front().weight;
  }
  result.treated = total.treated;
  result.control = total.control;
  if (!(total.treated > 0 && total.control > 0)) {
    set_all(result, kEmptyArm);
    return result;
  }
  if (rows.front().score == rows.back().score) {
    set_all(result, kConstant);
    return result;
  }
  Areas areas;
  result.curve.push_back({0, 0});
  for (size_t i = 0; i < rows.size();) {
    Step step;
    const float score = rows[i].score;
    for (; i < rows.size() && rows[i].score == score; ++i) {
      step.add(step_of(rows[i], static_cast<double>(rows[i].weight)));
    }
    areas.add(step);
    add_curve_point(result, areas, total.all());
  }
  set_normalised(result, areas, binary);
  result.bin_error_bound = {0.0, ""};
  if (equal_weights) {
    set_causalml(result, rows);
  } else {
    result.auuc_causalml = result.qini_causalml =
        Metric{{}, "causalml's form knows no weights and the journeys have unequal ones"};
  }
  if (binary) {
    set_interval(result, rows);
  } else {
    result.ci95_low = result.ci95_high = Metric{{}, kNotBinary};
  }
  return result;
}

io::Json to_json(const UpliftResult& result) {
  io::Json json;
  json["rows"] = result.rows;
  json["treated"] = result.treated;
  json["control"] = result.control;
  json["method"] = result.exact ? "exact" : "binned";
  put_metric(json, "auuc_sk", result.auuc_sk);
  put_metric(json, "auuc_05", result.auuc_05);
  put_metric(json, "qini_sk", result.qini_sk);
  put_metric(json, "auuc_causalml", result.auuc_causalml);
  put_metric(json, "qini_causalml", result.qini_causalml);
  put_metric(json, "bin_error_bound", result.bin_error_bound);
  put_interval(json, result.ci95_low, result.ci95_high);
  json["curve"] = result.curve;
  return json;
}

UpliftSums::UpliftSums(int64_t expected_rows)
    : exact_(expected_rows <= kExactRows),
      keep_(!exact_ && expected_rows <= PredictionSums::kMostKept) {
  if (!exact_) bins_.resize(kBins * 4);
}

void UpliftSums::add(const UpliftRow& row) {
  ALM_CHECK(std::isfinite(row.score) && std::isfinite(row.outcome) && row.weight >= 0);
  ++seen_;
  if (exact_) {
    rows_.push_back(row);
    return;
  }
  const bool binary = row.outcome == 0 || row.outcome == 1;
  non_binary_ += !binary;
  if (keep_ && binary) kept_.add(row.score, row.treated != 0, row.outcome == 1, row.weight);
  FixedSum* bin = &bins_[(ordered_bits(row.score) >> 16) * 4 + (row.treated ? 0 : 2)];
  bin[0].add(static_cast<double>(row.weight));
  bin[1].add(static_cast<double>(row.weight) * static_cast<double>(row.outcome));
}

void UpliftSums::merge(UpliftSums&& other) {
  ALM_CHECK(other.exact_ == exact_);
  rows_.insert(rows_.end(), other.rows_.begin(), other.rows_.end());
  for (size_t i = 0; i < bins_.size(); ++i) bins_[i].add(other.bins_[i]);
  kept_.append(std::move(other.kept_));
  seen_ += other.seen_;
  non_binary_ += other.non_binary_;
}

UpliftResult UpliftSums::finish(Communicator& comm, const char* what) {
  if (exact_) {
    static_assert(sizeof(UpliftRow) == 32);
    std::vector<std::vector<std::byte>> send(static_cast<size_t>(comm.size()));
    const auto bytes = std::as_bytes(std::span(rows_));
    send[0].assign(bytes.begin(), bytes.end());
    const auto received = comm.all_to_all_v(send, what);
    if (comm.rank() != 0) return {};
    std::vector<UpliftRow> all;
    for (const auto& part : received) {
      const size_t old = all.size();
      all.resize(old + part.size() / sizeof(UpliftRow));
      if (!part.empty()) std::memcpy(all.data() + old, part.data(), part.size());
    }
    return uplift_areas(std::move(all));
  }
  UpliftResult result = finish_binned(comm, what);
  int64_t flags[2] = {non_binary_ > 0, kept_.weighted()};
  comm.all_reduce_max(std::span<int64_t>(flags), what);
  if (!keep_ || flags[0] != 0) return result;
  ThreadPool pool(1);
  const RankingAreas areas =
      exact_ranking(kept_source(kept_), {.weighted = flags[1] != 0, .uplift = true}, pool, comm);
  kept_ = {};
  if (!result.auuc_sk.value) return result;
  set_normalised(result, areas.uplift, true);
  result.bin_error_bound = {0.0, ""};
  result.exact = true;
  return result;
}

UpliftResult UpliftSums::finish_binned(Communicator& comm, const char* what) {
  comm.all_reduce_sum(std::span<FixedSum>(bins_), what);
  int64_t counts[2] = {seen_, non_binary_};
  comm.all_reduce_sum(std::span<int64_t>(counts), what);
  if (comm.rank() != 0) return {};
  const bool binary = counts[1] == 0;
  UpliftResult result;
  result.exact = false;
  result.rows = counts[0];
  std::vector<Step> steps;
  Step total;
  for (size_t b = kBins; b-- > 0;) {
    const FixedSum* bin = &bins_[b * 4];
    const Step step{bin[0].value(), bin[1].value(), bin[2].value(), bin[3].value()};
    if (!(step.all() > 0)) continue;
    steps.push_back(step);
    total.add(step);
  }
  result.treated = total.treated;
  result.control = total.control;
  if (!(total.treated > 0 && total.control > 0)) {
    set_all(result, kEmptyArm);
    return result;
  }
  if (steps.size() < 2) {
    set_all(result, kConstant);
    return result;
  }
  Areas areas;
  double error = 0;
  result.curve.push_back({0, 0});
  for (const Step& step : steps) {
    error += bin_error(areas.at, step);
    areas.add(step);
    add_curve_point(result, areas, total.all());
  }
  set_normalised(result, areas, binary);
  result.bin_error_bound = result.auuc_sk;
  if (result.auuc_sk.value) {
    const double random = 0.5 * total.all() * total.uplift();
    result.bin_error_bound = {error / std::fabs(perfect_uplift_area(total) - random), ""};
  }
  const char* const kRowsNeeded =
      "needs the rows; there are too many and they were binned by score";
  result.auuc_causalml = result.qini_causalml = Metric{{}, kRowsNeeded};
  result.ci95_low = result.ci95_high = Metric{{}, kRowsNeeded};
  return result;
}

}  // namespace alm
