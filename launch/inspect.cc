// alm inspect: what a log holds, in one pass split over the ranks.
#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <limits>

#include "io/batch_stream.h"
#include "io/json.h"
#include "io/log_reader.h"
#include "kernels/base/fixed_point.h"
#include "kernels/base/log.h"
#include "launch/commands.h"
#include "launch/threads.h"

namespace alm {
namespace {

constexpr int64_t kLengths = 257;  // journeys of 0 .. 255 touches, then all longer ones
constexpr int64_t kNoTime = std::numeric_limits<int64_t>::min();

// What one rank, then all, have counted.
struct Census {
  enum { kRows, kTouches, kEmpty, kBadRows, kMediatorKnown, kMediatorSet, kWeighted, kCounts };
  std::array<int64_t, kCounts> counts{};
  std::array<int64_t, kLengths> lengths{};
  std::vector<int64_t> cluster_touches;
  std::array<FixedSum, 2> sums;  // of outcomes, of weights
  int64_t longest = 0;
  int64_t first_time = std::numeric_limits<int64_t>::max();
  int64_t last_time = kNoTime;
  std::string first_bad_row;

  explicit Census(int64_t clusters) : cluster_touches(static_cast<size_t>(clusters)) {}

  void add(const io::Journeys& journeys) {
    counts[kRows] += journeys.size();
    counts[kTouches] += journeys.touches();
    for (int64_t row = 0; row < journeys.size(); ++row) {
      const int64_t touches = journeys.touches_of(row);
      counts[kEmpty] += touches == 0;
      longest = std::max(longest, touches);
      ++lengths[static_cast<size_t>(std::min(touches, kLengths - 1))];
    }
    for (const float outcome : journeys.outcome) sums[0].add(outcome);
    for (const float weight : journeys.weight) sums[1].add(weight);
    counts[kWeighted] += static_cast<int64_t>(journeys.weight.size());
    for (const uint8_t mediator : journeys.mediator) {
      counts[kMediatorKnown] += mediator != 255;
      counts[kMediatorSet] += mediator == 1;
    }
    for (const uint32_t cluster : journeys.cluster) ++cluster_touches[cluster];
    for (const int64_t time : journeys.time) {
      first_time = std::min(first_time, time);
      last_time = std::max(last_time, time);
    }
  }

  void reduce(Communicator& world) {
    world.all_reduce_sum(std::span<int64_t>(counts), "counts of inspect");
    world.all_reduce_sum(std::span<int64_t>(lengths), "journey lengths of inspect");
    world.all_reduce_sum(std::span<int64_t>(cluster_touches), "touches by cluster of inspect");
    world.all_reduce_sum(std::span<FixedSum>(sums), "outcomes of inspect");
    world.all_reduce_max(std::span<int64_t>(&longest, 1), "longest journey of inspect");
    world.all_reduce_min(std::span<int64_t>(&first_time, 1), "first time of inspect");
    world.all_reduce_max(std::span<int64_t>(&last_time, 1), "last time of inspect");
    // Ranks hold consecutive blocks, so the first one that met a bad row met the first bad row.
    for (const std::string& row : world.all_gather_strings(first_bad_row, "bad rows of inspect")) {
      first_bad_row = row;
      if (!row.empty()) break;
    }
  }

  double share(int64_t part, int64_t whole) const {
    return whole == 0 ? std::numeric_limits<double>::quiet_NaN()
                      : static_cast<double>(part) / static_cast<double>(whole);
  }

  // The length that `share` of the journeys do not exceed.
  int64_t length_quantile(double share) const {
    const double wanted = share * static_cast<double>(counts[kRows]);
    int64_t seen = 0;
    for (int64_t length = 0; length < kLengths - 1; ++length) {
      seen += lengths[static_cast<size_t>(length)];
      if (static_cast<double>(seen) >= wanted) return length;
    }
    return longest;
  }
};

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

io::Json schema_json(const io::LogSchema& schema) {
  io::Json json;
  json["schema"] = "alm-log/1";
  json["kind"] = schema.is_arm_log() ? "arm log" : "sequence log";
  json["clusters"] = schema.clusters;
  if (schema.is_arm_log()) json["reference_cluster"] = *schema.reference_cluster;
  json["block_rows"] = schema.block_rows;
  json["outcome"] = schema.outcome == io::OutcomeKind::binary ? "binary" : "continuous";
  json["widths"] = {{"/journey/dense", schema.dense},
                    {"/journey/cat", schema.cat},
                    {"/touch/dense", schema.touch_dense},
                    {"/touch/cat", schema.touch_cat},
                    {"/touch/proxy", schema.proxies}};
  const std::pair<const char*, bool> optional[] = {{"/journey/time", schema.time},
                                                   {"/journey/outcome_time", schema.outcome_time},
                                                   {"/journey/weight", schema.weight},
                                                   {"/touch/item", schema.item},
                                                   {"/touch/time", schema.touch_time},
                                                   {"/touch/mediator", schema.mediator},
                                                   {"/touch/mediator_time", schema.mediator_time},
                                                   {"/touch/match", schema.match},
                                                   {"/touch/propensity", schema.propensity},
                                                   {"/touch/randomised", schema.randomised},
                                                   {"/truth", schema.truth}};
  io::Json present = io::Json::array(), absent = io::Json::array();
  for (const auto& [name, there] : optional) (there ? present : absent).push_back(name);
  json["present"] = present;
  json["absent"] = absent;
  return json;
}

io::Json report_json(const io::Log& log, const Census& census) {
  const auto& counts = census.counts;
  io::Json json = schema_json(log.schema());
  int64_t bytes = 0;
  for (const io::LogFile& file : log.files()) bytes += file.bytes;
  json["files"] = log.files().size();
  json["bytes"] = bytes;
  json["blocks"] = log.blocks().size();
  json["manifest_hash"] = log.manifest_hash();
  json["rows"] = log.rows();
  json["touches"] = log.touches();
  json["good_rows"] = counts[Census::kRows];
  json["bad_rows"] = counts[Census::kBadRows];
  json["first_bad_row"] =
      census.first_bad_row.empty() ? io::Json() : io::Json(census.first_bad_row);
  const double rows = static_cast<double>(counts[Census::kRows]);
  json["outcome_mean"] = io::number(census.sums[0].value() / rows);
  json["weight_mean"] =
      counts[Census::kWeighted] == 0
          ? io::Json()
          : io::number(census.sums[1].value() / static_cast<double>(counts[Census::kWeighted]));
  json["mediator_known"] =
      log.schema().mediator
          ? io::number(census.share(counts[Census::kMediatorKnown], counts[Census::kTouches]))
          : io::Json();
  json["mediator_rate"] =
      io::number(census.share(counts[Census::kMediatorSet], counts[Census::kMediatorKnown]));
  const auto& touches = census.cluster_touches;
  json["clusters_touched"] =
      std::count_if(touches.begin(), touches.end(), [](int64_t count) { return count > 0; });
  json["journey_length"] = {
      {"mean", io::number(static_cast<double>(counts[Census::kTouches]) / rows)},
      {"median", census.length_quantile(.5)},
      {"p99", census.length_quantile(.99)},
      {"longest", census.longest},
      {"without_touches", counts[Census::kEmpty]}};
  const bool timed = log.schema().time && census.last_time != kNoTime;
  json["first_time"] = timed ? io::Json(utc(census.first_time)) : io::Json();
  json["last_time"] = timed ? io::Json(utc(census.last_time)) : io::Json();
  json["warnings"] = log.warnings();
  return json;
}

std::string names_text(const io::Json& names) {
  return names.empty() ? "none" : join(names.get<std::vector<std::string>>(), " ");
}

std::string report_text(const io::Json& json) {
  std::string text;
  const auto line = [&](const char* what, const std::string& value) {
    text += format("%-18s %s\n", what, value.c_str());
  };
  const auto count = [&](const char* key) { return with_commas(json[key].get<int64_t>()); };
  const auto percent = [&](const char* key) {
    return json[key].is_null() ? std::string("none")
                               : format("%.3f %%", 100 * json[key].get<double>());
  };
  line("log", json["kind"].get<std::string>() + ", " + json["schema"].get<std::string>());
  line("files", count("files") + ", " + human_bytes(json["bytes"].get<double>()) + ", " +
                    count("blocks") + " blocks of at most " + count("block_rows") + " rows");
  line("journeys", count("rows"));
  line("touches", count("touches"));
  std::string clusters = count("clusters") + ", touched " + count("clusters_touched");
  if (json.contains("reference_cluster")) clusters += ", reference " + count("reference_cluster");
  line("clusters", clusters);
  const bool binary = json["outcome"] == "binary";
  line("outcome", json["outcome"].get<std::string>() + ", " +
                      (json["outcome_mean"].is_null() ? "no rows"
                       : binary                       ? "rate " + percent("outcome_mean")
                                : format("mean %.6g", json["outcome_mean"].get<double>())));
  if (!json["weight_mean"].is_null()) {
    line("weight", format("mean %.6g", json["weight_mean"].get<double>()));
  }
  line("mediator", json["mediator_known"].is_null()
                       ? "none"
                       : "known for " + percent("mediator_known") + " of touches, rate " +
                             percent("mediator_rate"));
  const io::Json& length = json["journey_length"];
  line("journey length",
       (length["mean"].is_null()
            ? std::string("no rows")
            : format("mean %.2f, median %lld, 99 %% within %lld, longest %lld",
                     length["mean"].get<double>(), length["median"].get<long long>(),
                     length["p99"].get<long long>(), length["longest"].get<long long>())) +
           ", " + with_commas(length["without_touches"].get<int64_t>()) + " without touches");
  line("time", json["first_time"].is_null() ? "none: order of time is not checked"
                                            : json["first_time"].get<std::string>() + " to " +
                                                  json["last_time"].get<std::string>());
  std::vector<std::string> widths;
  for (const auto& [name, width] : json["widths"].items()) {
    widths.push_back(format("%s %lld", name.c_str(), width.get<long long>()));
  }
  line("columns", join(widths, ", "));
  line("present", names_text(json["present"]));
  line("absent", names_text(json["absent"]));
  line("bad rows", count("bad_rows"));
  if (!json["first_bad_row"].is_null()) {
    line("first bad row", json["first_bad_row"].get<std::string>());
  }
  line("manifest hash", json["manifest_hash"].get<std::string>());
  return text;
}

int run_inspect(const Options& options, Communicator& world) {
  io::LogOptions log_options;
  log_options.on_bad_row = io::OnBadRow::skip;  // count them all; the verdict comes at the end
  log_options.max_touches = std::numeric_limits<int32_t>::max();
  const auto log = io::Log::open(options.texts("log"), log_options);
  for (const std::string& warning : log->warnings()) log_warning(warning);

  const int64_t blocks = static_cast<int64_t>(log->blocks().size());
  io::ScanStream::Options scan;
  scan.first_block = blocks * world.rank() / world.size();
  scan.last_block = blocks * (world.rank() + 1) / world.size();
  for (const io::BlockInfo& block : log->blocks()) scan.rows = std::max(scan.rows, block.rows);
  scan.columns = io::ColumnSet::all();
  scan.threads = threads_of_rank(options, world);

  Census census(log->schema().clusters);
  {
    io::ScanStream stream(log, scan);
    Progress progress("inspect", scan.last_block - scan.first_block, "blocks");
    int64_t block = 0;
    while (const std::vector<io::Journeys>* batches = stream.next(&block)) {
      for (const io::Journeys& journeys : *batches) census.add(journeys);
      progress.update(block + 1 - scan.first_block);
    }
    census.counts[Census::kBadRows] = stream.report().bad_rows;
    census.first_bad_row = stream.report().first_bad_row;
  }
  census.reduce(world);

  const bool failed = census.counts[Census::kBadRows] > 0 && options.text("on-bad-row") == "fail";
  if (world.rank() == 0) {
    const io::Json json = report_json(*log, census);
    const std::string text = options.flag("json") ? json.dump(2) + "\n" : report_text(json);
    std::fputs(text.c_str(), stdout);
  }
  return failed ? 1 : 0;
}

}  // namespace

Command inspect_command() {
  CommandSpec spec;
  spec.name = "inspect";
  spec.summary = "describe and check a log";
  spec.details =
      "Reads every row of the log, checks it as training would, and prints the schema, counts, "
      "rates and "
      "the first bad row. Ends with exit code 1 when rows are bad, unless --on-bad-row skip.";
  spec.options = {
      {.name = "log",
       .help = "Log files, directories or globs.",
       .required = true,
       .several = true},
      {.name = "on-bad-row",
       .default_text = "fail",
       .help = "Whether bad rows make the command fail; all are counted either way.",
       .choices = {"fail", "skip"}},
      {.name = "json",
       .type = OptionType::flag,
       .default_text = "false",
       .help = "Print JSON instead of lines for people."},
  };
  return {spec, run_inspect};
}

}  // namespace alm
