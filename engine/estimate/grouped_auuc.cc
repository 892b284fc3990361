#include "engine/estimate/grouped_auuc.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/estimate/bootstrap.h"
#include "kernels/base/check.h"

namespace alm {
namespace {

// Sums of one cluster under group weights.
struct Weighted {
  double sum = 0, weight = 0;
};

Weighted weighted(const GroupedSums& sums, int64_t cluster, std::span<const double> weights) {
  Weighted result;
  sums.each_group(cluster, [&](int64_t group, double sum, double weight) {
    const double w = weights[static_cast<size_t>(group)];
    result.sum += w * sum;
    result.weight += w * weight;
  });
  return result;
}

double ratio(const Weighted& value) {
  return value.weight > 0 ? value.sum / value.weight : NAN;
}

// gain(group weights)(k) for the sample itself (all weights 1) and for every replicate.
template <class Gain>
GroupedGain with_replicates(int64_t clusters, int64_t groups, const Gain& gain) {
  GroupedGain result;
  const auto row = [&](const std::vector<double>& weights) {
    const auto gain_of = gain(weights);
    std::vector<double> values(static_cast<size_t>(clusters));
    for (int64_t k = 0; k < clusters; ++k) values[static_cast<size_t>(k)] = gain_of(k);
    return values;
  };
  result.gain = row(std::vector<double>(static_cast<size_t>(groups), 1.0));
  for (int64_t b = 0; b < kBootstrapReplicates; ++b) {
    result.replicates.push_back(row(replicate_weights(groups, b)));
  }
  return result;
}

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

GroupedArea area_of_clusters(std::span<const size_t> chosen, std::span<const double> score,
                             std::span<const double> n, const GroupedGain& gain) {
  std::vector<size_t> used;
  for (const size_t k : chosen) {
    if (n[k] > 0 && std::isfinite(score[k]) && std::isfinite(gain.gain[k])) used.push_back(k);
  }
  GroupedArea result;
  result.clusters = static_cast<int64_t>(used.size());
  for (const size_t k : used) result.weight += n[k];
  const auto none = [&](const char* why) {
    result.auuc_05 = result.ci95_low = result.ci95_high = Metric{{}, why};
  };
  if (used.empty()) {
    result.raw_area = Metric{{}, "no cluster has touches, a score and a gain"};
    none("no cluster has touches, a score and a gain");
    return result;
  }
  const auto order = sorted_by(used, score);
  const Ranking ranking = area_of(order, n, gain.gain, &result.curve);
  result.raw_area = {ranking.area, ""};
  if (used.size() < 2) {
    none("one cluster alone has no ranking");
    return result;
  }
  const double value = auuc_05(ranking, area_of(sorted_by(used, gain.gain), n, gain.gain, nullptr));
  if (!std::isfinite(value)) {
    none("all clusters have the same gain: every ranking is as good");
    return result;
  }
  result.auuc_05 = {value, ""};
  std::vector<double> values;
  for (const auto& replicate : gain.replicates) {
    const bool whole = std::all_of(used.begin(), used.end(),
                                   [&](size_t k) { return std::isfinite(replicate[k]); });
    values.push_back(whole ? auuc_05(area_of(order, n, replicate, nullptr),
                                     area_of(sorted_by(used, replicate), n, replicate, nullptr))
                           : NAN);
  }
  const auto interval = percentile_interval(std::move(values));
  const char* const why = gain.replicates.empty()
                              ? "the gains have no sampling error of their own here"
                              : "too few users touch these clusters to resample them";
  result.ci95_low = result.ci95_high = Metric{{}, why};
  if (std::isfinite(interval[0])) {
    result.ci95_low = {interval[0], ""};
    result.ci95_high = {interval[1], ""};
  }
  return result;
}

io::Json area_json(const GroupedArea& area) {
  io::Json json;
  json["clusters"] = area.clusters;
  json["weight"] = area.weight;
  put_metric(json, "auuc_05", area.auuc_05);
  put_metric(json, "raw_area", area.raw_area);
  put_interval(json, area.ci95_low, area.ci95_high);
  for (const char* key :
       {"auuc_sk", "qini_sk", "auuc_causalml", "qini_causalml", "bin_error_bound"}) {
    put_metric(json, key, Metric{{}, "defined for journeys of two arms, not for clusters"});
  }
  json["curve"] = area.curve;
  return json;
}

}  // namespace

GroupedGain gain_of_means(const GroupedSums& sums) {
  return with_replicates(sums.clusters(), sums.groups(), [&](const std::vector<double>& weights) {
    return [&](int64_t k) { return ratio(weighted(sums, k, weights)); };
  });
}

GroupedGain gain_of_difference(const GroupedSums& touched, const GroupedSums& all) {
  ALM_CHECK(all.clusters() == 1 && all.groups() == touched.groups());
  return with_replicates(
      touched.clusters(), touched.groups(), [&](const std::vector<double>& weights) {
        return [&, every = weighted(all, 0, weights)](int64_t k) {
          const Weighted with = weighted(touched, k, weights);
          return ratio(with) - ratio({every.sum - with.sum, every.weight - with.weight});
        };
      });
}

GroupedGain gain_of_contrast(const GroupedSums& a, const GroupedSums& b) {
  ALM_CHECK(a.clusters() == b.clusters() && a.groups() == b.groups());
  return with_replicates(a.clusters(), a.groups(), [&](const std::vector<double>& weights) {
    return
        [&](int64_t k) { return ratio(weighted(a, k, weights)) - ratio(weighted(b, k, weights)); };
  });
}

GroupedArea grouped_area(std::span<const double> score, std::span<const double> n,
                         const GroupedGain& gain) {
  ALM_CHECK(score.size() == n.size() && score.size() == gain.gain.size());
  std::vector<size_t> all(score.size());
  std::iota(all.begin(), all.end(), size_t{0});
  return area_of_clusters(all, score, n, gain);
}

GroupedAuuc grouped_auuc(std::span<const double> score, std::span<const double> n,
                         std::span<const double> exposure, const GroupedGain& gain) {
  ALM_CHECK(exposure.size() == score.size());
  GroupedAuuc result;
  result.overall = grouped_area(score, n, gain);
  std::vector<size_t> touched;
  for (size_t k = 0; k < n.size(); ++k) {
    if (n[k] > 0) touched.push_back(k);
  }
  std::stable_sort(touched.begin(), touched.end(),
                   [&](size_t a, size_t b) { return exposure[a] < exposure[b]; });
  double plain = 0, by_weight = 0, weight = 0;
  int64_t counted = 0;
  for (size_t bucket = 0; bucket < kGroupedBuckets; ++bucket) {
    const size_t first = touched.size() * bucket / kGroupedBuckets;
    const size_t end = touched.size() * (bucket + 1) / kGroupedBuckets;
    result.buckets.push_back(area_of_clusters(
        std::span<const size_t>(touched).subspan(first, end - first), score, n, gain));
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

io::Json to_json(const GroupedAuuc& result) {
  io::Json json;
  json["overall"] = area_json(result.overall);
  put_metric(json["overall"], "bucket_mean", result.bucket_mean);
  put_metric(json["overall"], "bucket_mean_weighted", result.bucket_mean_weighted);
  json["buckets"] = io::Json::array();
  for (const auto& bucket : result.buckets) json["buckets"].push_back(area_json(bucket));
  return json;
}

}  // namespace alm
