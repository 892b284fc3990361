// alm import: text tables into a log, by a mapping file or as a data set known by name.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "io/cluster_fit.h"
#include "io/datasets.h"
#include "io/import.h"
#include "io/json.h"
#include "kernels/base/check.h"
#include "kernels/base/clock.h"
#include "kernels/base/log.h"
#include "kernels/base/text.h"
#include "launch/commands.h"
#include "launch/signals.h"

namespace alm {
namespace {

constexpr size_t kClustersShown = 20;

std::vector<std::string> covariates_of(const Options& options) {
  if (options.text("covariates") == "none") return {};
  return split(options.text("covariates"), ',');
}

std::optional<io::ClusterChoice> clusters_of(const Options& options) {
  if (!options.given("cluster-file")) {
    for (const char* name : {"cluster-count", "cluster-column"}) {
      if (options.given(name)) throw UserError(format("--%s belongs to --cluster-file", name));
    }
    return std::nullopt;
  }
  if (options.given("cluster-count") && options.given("cluster-column")) {
    throw UserError("--cluster-count fits clusters and --cluster-column reads them: give one");
  }
  return io::ClusterChoice{options.text("cluster-file"), options.integer("cluster-count"),
                           options.text("cluster-column")};
}

// What to import and how: of a data set, or of a mapping file.
io::Dataset source_of(const Options& options) {
  if (options.given("dataset") == options.given("mapping")) {
    throw UserError(options.given("dataset")
                        ? "--dataset knows its own mapping and --mapping is one: give one of them"
                        : "import needs either --dataset NAME or --mapping FILE");
  }
  std::optional<io::ClusterChoice> clusters = clusters_of(options);
  io::Dataset source;
  if (options.given("dataset")) {
    source =
        io::open_dataset({options.text("dataset"), options.text("outcome"), options.text("arms"),
                          covariates_of(options), options.text("mediator-column"),
                          options.text("unit"), clusters.has_value()},
                         options.texts("in"));
  } else {
    for (const char* name : {"outcome", "arms", "covariates", "mediator-column", "unit"}) {
      if (options.given(name)) {
        throw UserError(format("--%s belongs to --dataset; a mapping file says it itself", name));
      }
    }
    source.mapping = io::read_mapping(options.text("mapping"));
    source.tables = io::expand_tables(options.texts("in"));
  }
  if (clusters) {
    clusters->unknown = source.unknown_clusters;
    source.mapping.cluster_table = io::read_clusters(*clusters);
    log_info(format("clusters of %s items from %s",
                    with_commas(source.mapping.cluster_table->items()).c_str(),
                    clusters->file.c_str()));
  }
  return source;
}

std::string counted(int64_t count, const std::string& what, const char* ending = "s") {
  return with_commas(count) + " " + what + (count == 1 ? "" : ending);
}

// What the log lacks that estimates would use.
std::string absent_text(const io::LogSchema& schema) {
  std::vector<std::string> absent;
  if (!schema.mediator)
    absent.push_back("mediator (so no front-door value can be had of this log)");
  if (!schema.is_arm_log()) {
    absent.push_back("reference arm (journeys of touches; interventions delete a touch)");
    if (!schema.touch_time)
      absent.push_back("touch times (the order of the rows is the order in time)");
  }
  if (!schema.time) absent.push_back("outcome window (no check that touches lie before it)");
  if (schema.dense + schema.cat == 0) absent.push_back("context");
  return absent.empty() ? "" : "absent   " + join(absent, "\n         ") + "\n";
}

std::string summary_text(const io::ImportSummary& summary, const std::string& out) {
  const io::LogSchema& schema = summary.schema;
  std::string text =
      format("read     %s, kept %s, dropped %s\n", counted(summary.rows_read, "row").c_str(),
             with_commas(summary.rows_kept).c_str(),
             with_commas(summary.rows_read - summary.rows_kept).c_str());
  for (const auto& [why, rows] : summary.dropped) {
    text += format("         %s: %s\n", counted(rows, "row").c_str(), why.c_str());
  }
  if (!summary.first_bad_row.empty())
    text += "         first: " + io::one_line(summary.first_bad_row) + "\n";
  text += format("wrote    %s with %s and %s to %s\n",
                 counted(static_cast<int64_t>(summary.files.size()), "file").c_str(),
                 counted(summary.journeys, "journey").c_str(),
                 counted(summary.touches, "touch", "es").c_str(), out.c_str());
  if (summary.windows_open > 0) {
    text += format("windows  %s reach past the log's end and were left out\n",
                   with_commas(summary.windows_open).c_str());
  }
  if (summary.users.labels > 0) {
    text +=
        format("users    %s that are texts, hashed to 64 bits: %s share an id (%.2g expected)\n",
               with_commas(summary.users.labels).c_str(),
               with_commas(summary.users.labels - summary.users.ids).c_str(),
               io::expected_collisions(summary.users.labels));
  }
  text += format("outcome  %s, mean %.6g\n",
                 schema.outcome == io::OutcomeKind::binary ? "binary" : "continuous",
                 summary.mean_outcome);
  text += absent_text(schema);
  const size_t shown = std::min(summary.clusters.size(), kClustersShown);
  text += format("%-32s %12s %14s %10s\n", schema.is_arm_log() ? "arm" : "cluster", "touches",
                 "mean outcome", "mediator");
  for (size_t id = 0; id < shown; ++id) {
    const io::ImportSummary::Cluster& cluster = summary.clusters[id];
    const bool reference = schema.reference_cluster == static_cast<int64_t>(id);
    text += format(
        "%-32s %12s %14.6g %10s\n",
        (io::one_line(cluster.name) + (reference ? " (reference)" : "")).c_str(),
        with_commas(cluster.touches).c_str(), cluster.mean_outcome,
        std::isnan(cluster.mediator_rate) ? "-" : format("%.4f", cluster.mediator_rate).c_str());
  }
  if (shown < summary.clusters.size()) {
    text += format("... and %s more\n",
                   with_commas(static_cast<long long>(summary.clusters.size() - shown)).c_str());
  }
  return text;
}

// One bar a phase, of this rank's share.
class PhaseBars {
 public:
  void show(const io::ImportProgress& progress) {
    if (phase_ != progress.phase) {
      phase_ = progress.phase;
      const bool reads = phase_ == "read";
      bar_.reset();
      bar_.emplace("import, " + phase_, progress.total,
                   reads               ? "bytes"
                   : phase_ == "write" ? "journeys"
                                       : "lots");
    }
    bar_->update(std::min(progress.done, progress.total),
                 phase_ == "read" ? human_count(static_cast<double>(progress.rows)) + " rows" : "");
  }

 private:
  std::string phase_;
  std::optional<Progress> bar_;
};

int run_import(const Options& options, Communicator& world) {
  install_stop_signals();
  io::Dataset source;
  world.together("what to import", [&] { source = source_of(options); });
  const std::string out = options.text("out");
  PhaseBars bars;
  io::ImportOptions how;
  how.on_bad_row = options.text("on-bad-row") == "skip" ? io::OnBadRow::skip : io::OnBadRow::fail;
  how.rows_per_file = options.integer("rows-per-file");
  how.ranks = {
      .rank = world.rank(),
      .ranks = world.size(),
      .all_gather =
          [&](const std::string& mine) { return world.all_gather_strings(mine, "import"); },
      .together = [&](const std::function<void()>& body) { world.together("import", body); },
      .alarm = [&] { return world.alarm(); }};
  how.on_progress = [&](const io::ImportProgress& progress) { bars.show(progress); };
  const Timer timer;
  io::ImportSummary summary;
  try {
    summary = io::import_tables(source.tables, source.mapping, out, how);
  } catch (const Stopped& stopped) {
    return say_stopped(stopped);
  }
  if (world.rank() != 0) return 0;
  for (const std::string& warning : summary.warnings) log_warning(warning);
  std::string text = summary_text(summary, out);
  for (const std::string& note : source.notes) text += "note     " + note + "\n";
  std::fputs(text.c_str(), stdout);
  log_info(format("%s rows in %s (%s rows/s)", with_commas(summary.rows_read).c_str(),
                  human_seconds(timer.seconds()).c_str(),
                  human_count(static_cast<double>(summary.rows_read) / timer.seconds()).c_str()));
  return 0;
}

}  // namespace

Command import_command() {
  CommandSpec spec;
  spec.name = "import";
  spec.summary = "make a log of CSV or TSV tables";
  spec.details =
      "Reads text tables (plain, gzip or zstd) and writes a log. Either a mapping file says which "
      "column is what (docs/import.md), or --dataset names a public experiment. Prints rows read, "
      "kept, and dropped and why. Several ranks share the tables; the log is the same for any "
      "number of them. Needs room beside --out for about the bytes of the plain tables.";
  spec.options = {
      {.name = "in",
       .help = "Tables, directories of tables or globs, read in this order.",
       .required = true,
       .several = true},
      {.name = "out", .help = "New directory for the log.", .required = true},
      {.name = "mapping", .help = "Mapping file (INI)."},
      {.name = "dataset",
       .help = "A data set whose mapping is known.",
       .choices = io::dataset_names()},
      {.name = "outcome",
       .help = "Data sets only: the outcome, where a data set has several (docs/import.md)."},
      {.name = "mediator-column",
       .help = "Data sets only: the mediator, where a data set has several."},
      {.name = "arms",
       .help =
           "Data sets only: which arms to make. hillstrom: three as they are (taken when not "
           "given) or both e-mails pooled; criteo-uplift: exposure or the randomised treatment.",
       .choices = io::dataset_arms()},
      {.name = "unit",
       .help = "kuairand only: what a journey is: one exposure and what the user did there (taken "
               "when not given), or a day's exposures and the outcomes of the next day.",
       .choices = io::dataset_units()},
      {.name = "covariates",
       .default_text = "none",
       .help = "Data sets only: columns for the context X, separated by commas, all that are "
               "offered, or none; none keeps the plain experiment and works with --nuisance "
               "tabular."},
      {.name = "cluster-file",
       .help = "A table of items that says the cluster of what the cluster column holds: its first "
               "column is the item."},
      {.name = "cluster-column",
       .help = "Which column of --cluster-file names the cluster; the second when not given."},
      {.name = "cluster-count",
       .type = OptionType::integer,
       .default_text = "0",
       .help = "Fit so many clusters by k-means to all further columns of --cluster-file, which "
               "are numbers; 0: the file names them.",
       .lowest = 0,
       .highest = io::kMostFitted},
      {.name = "on-bad-row",
       .default_text = "fail",
       .help = "Whether a bad row ends the import, or is dropped and counted.",
       .choices = {"fail", "skip"}},
      {.name = "rows-per-file",
       .type = OptionType::integer,
       .default_text = "1048576",
       .help = "Journeys of a file of the log; ranks share the writing by files.",
       .lowest = 1,
       .highest = 1e15},
  };
  return {spec, run_import};
}

}  // namespace alm
