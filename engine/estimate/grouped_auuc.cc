#include "engine/estimate/grouped_auuc.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/estimate/bootstrap.h"
#include "engine/estimate/thin_data.h"
#include "kernels/base/check.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

struct Ranking {
  double area = 0, random = 0, total_weight = 0;
};

// Trapezoid under y = cumulative n * gain over x = cumulative share of n.
Ranking area_of(std::span<const size_t> order, std::span<const double> n,
                std::span<const double> gain, std::vector<std::array<double, 2>>* curve) {
  Ranking result;
  for (const size_t k : order) result.total_weight += n[k];
  double x = 0, y = 0;
  if (curve) curve->push_back({0, 0});
  const size_t stride = order.size() / 200 + 1;
  for (size_t i = 0; i < order.size(); ++i) {
    const size_t k = order[i];
    const double dx = n[k] / result.total_weight;
    const double dy = n[k] * gain[k];
    result.area += dx * (y + 0.5 * dy);
    x += dx;
    y += dy;
    if (curve && (i % stride == stride - 1 || i + 1 == order.size())) curve->push_back({x, y});
  }
  result.random = 0.5 * y;
  return result;
}

double auuc_05(const Ranking& ranking, const Ranking& perfect) {
  const double room = perfect.area - perfect.random;
  if (!(room > 1e-12 * std::max(1e-300, std::fabs(perfect.area)))) return NAN;
  return 0.5 + 0.5 * (ranking.area - ranking.random) / room;
}

std::vector<size_t> sorted_by(std::vector<size_t> order, std::span<const double> key) {
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return key[a] != key[b] ? key[a] > key[b] : a < b; });
  return order;
}

// auuc_05 of an order in the sample and in every replicate; NaN where it has none.
std::vector<double> replicated(std::span<const size_t> order, std::span<const double> n,
                               const GroupedGain& gain) {
  const std::vector<size_t> used(order.begin(), order.end());
  const auto value = [&](const std::vector<double>& of) {
    const bool whole =
        std::all_of(used.begin(), used.end(), [&](size_t k) { return std::isfinite(of[k]); });
    return whole ? auuc_05(area_of(order, n, of, nullptr),
                           area_of(sorted_by(used, of), n, of, nullptr))
                 : NAN;
  };
  std::vector<double> values{value(gain.gain)};
  for (const auto& replicate : gain.replicates) values.push_back(value(replicate));
  return values;
}

// The interval of columns[0] by the replicates after it, reflected at it: the noise of resampled
// gains draws an area towards 0.5 as far as that of the gains themselves did, so the replicates lie
// to that side of the value and the area against gains without noise to the other.
void set_interval(const std::vector<double>& columns, double least, const char* why, Metric& low,
                  Metric& high) {
  const auto interval = percentile_interval({columns.begin() + 1, columns.end()});
  low = high = Metric{{}, why};
  if (std::isfinite(interval[0])) {
    low = {std::clamp(2 * columns[0] - interval[1], least, 1.0), ""};
    high = {std::clamp(2 * columns[0] - interval[0], least, 1.0), ""};
  }
}

void set_overlap(std::span<const size_t> used, const ClusterTable& table,
                 const ClusterOverlap& overlap, GroupedArea& result) {
  std::vector<Weighted> shares;
  double weight = 0;
  for (const size_t k : used) {
    if (!table.exposure.empty()) {
      result.exposure_low = std::fmin(result.exposure_low, table.exposure[k]);
      result.exposure_high = std::fmax(result.exposure_high, table.exposure[k]);
    }
    if (table.propensity.empty()) continue;
    for (const Weighted& share : table.propensity[k]) {
      shares.push_back(share);
      weight += share.weight;
    }
  }
  std::sort(shares.begin(), shares.end(),
            [](const Weighted& a, const Weighted& b) { return a.sum < b.sum; });
  double seen = 0;
  for (const Weighted& share : shares) {
    if (std::isnan(result.propensity_least)) result.propensity_least = share.sum;
    seen += share.weight;
    result.propensity_median = share.sum;
    if (2 * seen >= weight) break;
  }
  if (overlap.rows.empty()) return;
  result.rows = result.ess = 0;
  double clipped = 0;
  for (const size_t k : used) {
    result.rows += overlap.rows[k];
    result.ess += overlap.ess[k];
    clipped += overlap.clipped[k];
  }
  result.clipped_share = clipped / result.rows;
}

GroupedArea area_of_clusters(std::span<const size_t> chosen, const ClusterTable& table,
                             const GroupedGain& gain, const ClusterOverlap& overlap) {
  const std::vector<double>& n = table.n;
  std::vector<size_t> used;
  for (const size_t k : chosen) {
    if (n[k] > 0 && std::isfinite(table.score[k]) && std::isfinite(gain.gain[k])) used.push_back(k);
  }
  GroupedArea result;
  result.clusters = static_cast<int64_t>(used.size());
  for (const size_t k : used) result.weight += n[k];
  set_overlap(used, table, overlap, result);
  const auto none = [&](const std::string& why) {
    result.auuc_05 = result.ci95_low = result.ci95_high = result.rival_auuc_05 = result.difference =
        result.difference_low = result.difference_high = Metric{{}, why};
    return result;
  };
  if (used.empty()) {
    result.raw_area = Metric{{}, "no cluster has touches, a score and a gain"};
    return none("no cluster has touches, a score and a gain");
  }
  const auto order = sorted_by(used, table.score);
  result.raw_area = {area_of(order, n, gain.gain, &result.curve).area, ""};
  if (used.size() < 2) return none("one cluster alone has no ranking");
  if (result.ess < kLeastOverlap * result.rows) {
    return none(
        format("no overlap: the weights of these gains leave an effective sample of %.2g "
               "%% of their rows, below %g %%: not ranked",
               100 * result.ess / result.rows, 100 * kLeastOverlap));
  }
  std::vector<double> values = replicated(order, n, gain);
  if (!std::isfinite(values[0])) {
    return none("all clusters have the same gain: every ranking is as good");
  }
  result.auuc_05 = {values[0], ""};
  const char* const why = gain.replicates.empty()
                              ? "the gains have no sampling error of their own here"
                              : "too few users touch these clusters to resample them";
  set_interval(values, 0, why, result.ci95_low, result.ci95_high);
  const bool rival = !table.rival.empty() && std::all_of(used.begin(), used.end(), [&](size_t k) {
    return std::isfinite(table.rival[k]);
  });
  if (!rival) {
    result.rival_auuc_05 = result.difference = result.difference_low = result.difference_high =
        Metric{{}, "no back-door effect of all these clusters"};
    return result;
  }
  const std::vector<double> others = replicated(sorted_by(used, table.rival), n, gain);
  result.rival_auuc_05 = {others[0], ""};
  for (size_t column = 0; column < values.size(); ++column) values[column] -= others[column];
  result.difference = {values[0], ""};
  set_interval(values, -1, why, result.difference_low, result.difference_high);
  return result;
}

io::Json area_json(const GroupedArea& area) {
  io::Json json;
  json["clusters"] = area.clusters;
  json["weight"] = area.weight;
  put_metric(json, "auuc_05", area.auuc_05);
  put_metric(json, "raw_area", area.raw_area);
  put_interval(json, area.ci95_low, area.ci95_high);
  put_metric(json, "backdoor_ranking", area.rival_auuc_05);
  io::Json difference = io::Json::object();
  put_metric(difference, "value", area.difference);
  put_interval(difference, area.difference_low, area.difference_high);
  json["above_backdoor_ranking"] = difference;
  io::Json& overlap = json["overlap"] = io::Json::object();
  const char* const no_exposure = "no cluster of the ranking has a share of journeys";
  const char* const no_propensity = "no stratum has a propensity";
  const char* const no_weights = "these gains have no rows of their own with weights";
  put_number(overlap, "e_low", area.exposure_low, no_exposure);
  put_number(overlap, "e_high", area.exposure_high, no_exposure);
  put_number(overlap, "pi_least", area.propensity_least, no_propensity);
  put_number(overlap, "pi_median", area.propensity_median, no_propensity);
  put_number(overlap, "rows", area.rows, no_weights);
  put_number(overlap, "ess", area.ess, no_weights);
  put_number(overlap, "ess_share", area.ess / area.rows, no_weights);
  put_number(overlap, "clipped_share", area.clipped_share, no_weights);
  for (const char* key :
       {"auuc_sk", "qini_sk", "auuc_causalml", "qini_causalml", "bin_error_bound"}) {
    put_metric(json, key, Metric{{}, "defined for journeys of two arms, not for clusters"});
  }
  json["curve"] = area.curve;
  return json;
}

}  // namespace

GroupedArea grouped_area(std::span<const double> score, std::span<const double> n,
                         const GroupedGain& gain) {
  ALM_CHECK(score.size() == n.size() && score.size() == gain.gain.size());
  std::vector<size_t> all(score.size());
  std::iota(all.begin(), all.end(), size_t{0});
  ClusterTable table;
  table.score.assign(score.begin(), score.end());
  table.n.assign(n.begin(), n.end());
  return area_of_clusters(all, table, gain, {});
}

GroupedAuuc grouped_auuc(const ClusterTable& table, const GroupedGain& gain,
                         const ClusterOverlap& overlap) {
  const std::vector<double>& n = table.n;
  ALM_CHECK(table.exposure.size() == n.size() && table.score.size() == n.size() &&
            gain.gain.size() == n.size());
  GroupedAuuc result;
  std::vector<size_t> touched;
  for (size_t k = 0; k < n.size(); ++k) {
    if (n[k] > 0) touched.push_back(k);
  }
  result.overall = area_of_clusters(touched, table, gain, overlap);
  std::stable_sort(touched.begin(), touched.end(),
                   [&](size_t a, size_t b) { return table.exposure[a] < table.exposure[b]; });
  double plain = 0, by_weight = 0, weight = 0;
  int64_t counted = 0;
  for (size_t bucket = 0; bucket < kGroupedBuckets; ++bucket) {
    const size_t first = touched.size() * bucket / kGroupedBuckets;
    const size_t end = touched.size() * (bucket + 1) / kGroupedBuckets;
    result.buckets.push_back(area_of_clusters(
        std::span<const size_t>(touched).subspan(first, end - first), table, gain, overlap));
    const GroupedArea& area = result.buckets.back();
    if (!area.auuc_05.value) continue;
    plain += *area.auuc_05.value;
    by_weight += area.weight * *area.auuc_05.value;
    weight += area.weight;
    ++counted;
  }
  result.bucket_mean = result.bucket_mean_weighted =
      Metric{{}, "no bucket holds two clusters of different gain"};
  if (counted > 0) {
    result.bucket_mean = {plain / static_cast<double>(counted), ""};
    result.bucket_mean_weighted = {by_weight / weight, ""};
  }
  return result;
}

io::Json to_json(const GroupedAuuc& result, const char* note) {
  io::Json json;
  json["overall"] = area_json(result.overall);
  put_metric(json["overall"], "bucket_mean", result.bucket_mean);
  put_metric(json["overall"], "bucket_mean_weighted", result.bucket_mean_weighted);
  json["buckets"] = io::Json::array();
  for (const auto& bucket : result.buckets) json["buckets"].push_back(area_json(bucket));
  json["note"] = note;
  return json;
}

}  // namespace alm
