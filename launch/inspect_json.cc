#include "launch/inspect_json.h"

#include <algorithm>
#include <cmath>
#include <ctime>

#include "io/schema.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

using io::Json;

// Null without a denominator.
Json share(int64_t part, int64_t whole) {
  return whole == 0 ? Json() : Json(static_cast<double>(part) / static_cast<double>(whole));
}

std::string utc(int64_t unix_ms) {
  // Floor, also before 1970.
  const std::time_t seconds = static_cast<std::time_t>(unix_ms / 1000 - (unix_ms % 1000 < 0));
  std::tm broken{};
  if (gmtime_r(&seconds, &broken) == nullptr)
    return format("%lld ms", static_cast<long long>(unix_ms));
  char text[64] = {};
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &broken);
  return text;
}

Json range_json(const Range& range, int64_t all) {
  if (range.known == 0) return nullptr;
  return {{"first", utc(range.lowest)},
          {"last", utc(range.highest)},
          {"first_ms", range.lowest},
          {"last_ms", range.highest},
          {"known", share(range.known, all)}};
}

Json column_json(const std::string& path, const std::string& name, const RealRange& range) {
  Json json{{"data_set", path}, {"name", name}, {"missing", share(range.missing, range.values)}};
  const bool known = range.values > range.missing;
  json["lowest"] = known ? io::number(static_cast<double>(range.lowest)) : Json();
  json["highest"] = known ? io::number(static_cast<double>(range.highest)) : Json();
  return json;
}

std::string name_at(const std::vector<std::string>& names, size_t at) {
  return at < names.size() ? names[at] : format("%zu", at);
}

Json columns_json(const Census& census) {
  const io::LogSchema& schema = census.schema;
  Json list = Json::array();
  const auto add = [&](const char* path, const auto& names, const std::vector<RealRange>& ranges) {
    for (size_t at = 0; at < ranges.size(); ++at) {
      list.push_back(column_json(path, name_at(names, at), ranges[at]));
    }
  };
  list.push_back(column_json("/journey/outcome", "", census.outcome));
  if (schema.weight) list.push_back(column_json("/journey/weight", "", census.weight));
  add("/journey/dense", schema.dense_names, census.dense);
  add("/touch/dense", schema.touch_dense_names, census.touch_dense);
  if (schema.match) list.push_back(column_json("/touch/match", "", census.match));
  if (schema.propensity) list.push_back(column_json("/touch/propensity", "", census.propensity));
  return list;
}

Json proxies_json(const Census& census) {
  Json list = Json::array();
  for (size_t at = 0; at < census.proxy_known.size(); ++at) {
    const auto& leaky = census.schema.proxy_leaky;
    list.push_back({{"name", name_at(census.schema.proxy_names, at)},
                    {"leaky", at < leaky.size() ? Json(leaky[at] != 0) : Json()},
                    {"known", share(census.proxy_known[at], census.touches)},
                    {"rate", share(census.proxy_set[at], census.proxy_known[at])}});
  }
  return list;
}

Json clusters_json(const Census& census) {
  Json list = Json::array();
  for (size_t number = 0; number < census.clusters.size(); ++number) {
    const Census::Cluster& cluster = census.clusters[number];
    const double outcomes = census.cluster_outcomes[number].value();
    list.push_back(
        {{"cluster", number},
         {"name", census.schema.cluster_name(static_cast<int64_t>(number))},
         {"touches", cluster.touches},
         {"journeys", cluster.journeys},
         {"journey_share", share(cluster.journeys, census.rows)},
         {"outcome_mean", io::number(outcomes / static_cast<double>(cluster.journeys))},
         {"mediator_known",
          census.schema.mediator ? share(cluster.mediator_known, cluster.touches) : Json()},
         {"mediator_rate", share(cluster.mediator_set, cluster.mediator_known)},
         {"randomised_share",
          census.schema.randomised ? share(cluster.randomised, cluster.touches) : Json()}});
  }
  return list;
}

// The length that `part` of the journeys do not exceed.
int64_t length_quantile(const Census& census, double part) {
  const double wanted = part * static_cast<double>(census.rows);
  int64_t seen = 0;
  for (int64_t length = 0; length < Census::kLengths - 1; ++length) {
    seen += census.lengths[static_cast<size_t>(length)];
    if (static_cast<double>(seen) >= wanted) return length;
  }
  return census.longest;
}

Json lengths_json(const Census& census) {
  Json json{{"mean", share(census.touches, census.rows)}};
  for (const auto& [name, part] : {std::pair<const char*, double>{"p25", .25},
                                   {"median", .5},
                                   {"p75", .75},
                                   {"p90", .9},
                                   {"p99", .99}}) {
    json[name] = length_quantile(census, part);
  }
  json["longest"] = census.longest;
  json["without_touches"] = census.lengths[0];
  Json histogram = Json::array();
  // 0, 1, 2, 3-4, 5-8, ...: the last one takes all that are longer.
  for (int64_t from = 0, to = 0; from < Census::kLengths;
       from = to + 1, to = std::max(from, 2 * to)) {
    const int64_t last = std::min(to, Census::kLengths - 1);
    int64_t journeys = 0;
    for (int64_t length = from; length <= last; ++length) {
      journeys += census.lengths[static_cast<size_t>(length)];
    }
    histogram.push_back(
        {{"from", from},
         {"to", last == Census::kLengths - 1 ? std::max(last, census.longest) : last},
         {"journeys", journeys}});
  }
  while (!histogram.empty() && histogram.back()["journeys"] == 0) {
    histogram.erase(histogram.size() - 1);
  }
  json["histogram"] = histogram;
  return json;
}

Json time_json(const Census& census) {
  const io::LogSchema& schema = census.schema;
  Json json{{"journey", range_json(census.time, census.rows)},
            {"touch", range_json(census.touch_time, census.touches)},
            {"outcome", range_json(census.outcome_time, census.rows)},
            {"mediator", range_json(census.mediator_time, census.touches)}};
  json["journeys_in_order"] = schema.time ? Json(census.counts[Census::kTimeFalls] == 0) : Json();
  json["outcomes_before_window"] =
      schema.time && schema.outcome_time ? Json(census.counts[Census::kLateUploads]) : Json();
  json["outcomes_without_time"] =
      schema.outcome_time ? Json(census.counts[Census::kUnknownUploads]) : Json();
  return json;
}

// Whether clusters can be compared: how often each is met, and by whose choice.
Json overlap_json(const Census& census) {
  const io::LogSchema& schema = census.schema;
  std::vector<double> shares;
  int64_t rare = 0;
  for (const Census::Cluster& cluster : census.clusters) {
    rare += cluster.journeys < 20;
    shares.push_back(static_cast<double>(cluster.journeys) /
                     static_cast<double>(std::max<int64_t>(1, census.rows)));
  }
  std::sort(shares.begin(), shares.end());
  Json json;
  json["journey_share_of_clusters"] = shares.empty() ? Json()
                                                     : Json{{"lowest", shares.front()},
                                                            {"median", shares[shares.size() / 2]},
                                                            {"highest", shares.back()}};
  json["clusters_below_20_journeys"] = census.clusters.empty() ? Json() : Json(rare);
  json["randomised_share"] =
      schema.randomised ? share(census.all_touches.randomised, census.touches) : Json();
  json["propensity"] = nullptr;
  const RealRange& range = census.propensity;
  const int64_t known = range.values - range.missing;
  if (known > 0) {
    const double sum = census.inverse_propensities.value();
    json["propensity"] = {{"known", share(known, census.touches)},
                          {"lowest", static_cast<double>(range.lowest)},
                          {"highest", static_cast<double>(range.highest)},
                          {"below_1e-6", census.tiny_propensities},
                          // Kish: touches an even sample would need for the same precision.
                          {"ess", sum * sum / census.inverse_squares.value()}};
  }
  return json;
}

}  // namespace

Json schema_json(const io::Log& log) {
  const io::LogSchema& schema = log.schema();
  Json json;
  json["schema"] = "alm-log/1";
  json["valid"] = nullptr;  // its place; filled at the end
  json["problems"] = Json::array();
  json["kind"] = schema.is_arm_log() ? "arm log" : "sequence log";
  int64_t bytes = 0;
  for (const io::LogFile& file : log.files()) bytes += file.bytes;
  json["files"] = log.files().size();
  json["bytes"] = bytes;
  json["blocks"] = log.blocks().size();
  json["block_rows"] = schema.block_rows;
  json["manifest_hash"] = log.manifest_hash();
  json["rows"] = log.rows();
  json["touches"] = log.touches();
  json["clusters"] = schema.clusters;
  json["reference_cluster"] = schema.is_arm_log() ? Json(*schema.reference_cluster) : Json();
  json["outcome"] = schema.outcome == io::OutcomeKind::binary ? "binary" : "continuous";
  Json present = Json::array(), absent = Json::array(), widths;
  io::for_each_column([&](const auto& column) {
    if (column.columns != nullptr) widths[column.path] = column.width(schema);
    if (column.present == nullptr && column.columns == nullptr) return;
    (column.width(schema) > 0 ? present : absent).push_back(column.path);
  });
  json["widths"] = widths;
  json["present"] = present;
  json["absent"] = absent;
  json["warnings"] = log.warnings();
  return json;
}

void put_census(const Census& census, const io::ReadReport& report, Json& json) {
  const io::LogSchema& schema = census.schema;
  json["good_rows"] = census.rows;
  json["bad_rows"] = report.bad_rows;
  json["first_bad_row"] = report.first_bad_row.empty() ? Json() : Json(report.first_bad_row);
  Json kinds = Json::array();
  for (const io::BadKind& kind : report.bad_kinds) {
    kinds.push_back({{"what", kind.what}, {"rows", kind.rows}, {"examples", kind.examples}});
  }
  json["bad_row_kinds"] = kinds;
  json["users"] = {{"distinct", census.users.count(0)}, {"exact", census.users.exact(0)}};
  json["ids"] = census.ids.json({});
  const double rows = static_cast<double>(census.rows);
  json["outcome_mean"] = io::number(census.outcomes.value() / rows);
  json["weight_mean"] = schema.weight ? io::number(census.weights.value() / rows) : Json();
  json["outcome_mean_weighted"] =
      schema.weight ? io::number(census.weighted_outcomes.value() / census.weights.value())
                    : Json();
  const Census::Cluster& all = census.all_touches;
  json["mediator_known"] = schema.mediator ? share(all.mediator_known, all.touches) : Json();
  json["mediator_rate"] = share(all.mediator_set, all.mediator_known);
  json["proxies"] = proxies_json(census);
  json["journey_length"] = lengths_json(census);
  json["time"] = time_json(census);
  json["columns"] = columns_json(census);
  json["overlap"] = overlap_json(census);
  json["clusters_touched"] =
      census.clusters.empty()
          ? Json()
          : Json(std::count_if(census.clusters.begin(), census.clusters.end(),
                               [](const Census::Cluster& c) { return c.touches > 0; }));
  json["cluster_rates"] = clusters_json(census);
}

std::vector<std::string> problems_of(const Census& census, const io::ReadReport& report) {
  std::vector<std::string> problems;
  if (report.bad_rows > 0) {
    problems.push_back(io::bad_rows_text(report) + " (--on-bad-row skip leaves such rows out)");
  }
  if (census.rows + report.bad_rows == 0) {
    problems.push_back("the log holds no journey");
  } else if (census.rows == 0) {
    problems.push_back("no journey is left: every row is bad");
  } else if (census.schema.weight && census.counts[Census::kWeighted] == 0) {
    problems.push_back(
        "data set /journey/weight: is 0 in every row, so no journey counts: give inverse keep "
        "rates, or leave the data set out");
  }
  return problems;
}

}  // namespace alm
