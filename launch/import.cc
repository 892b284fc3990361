// alm import: text tables into a log, by a mapping file or as a data set known by name.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "io/datasets.h"
#include "io/import.h"
#include "kernels/base/check.h"
#include "kernels/base/log.h"
#include "kernels/base/text.h"
#include "launch/commands.h"

namespace alm {
namespace {

constexpr size_t kClustersShown = 20;

std::vector<std::string> covariates_of(const Options& options) {
  if (options.text("covariates") == "none") return {};
  return split(options.text("covariates"), ',');
}

io::Mapping mapping_of(const Options& options) {
  if (options.given("dataset") == options.given("mapping")) {
    throw UserError("import needs either --dataset NAME or --mapping FILE");
  }
  if (options.given("dataset")) {
    return io::dataset_mapping({options.text("dataset"), options.text("outcome"),
                                options.text("arms"), covariates_of(options)});
  }
  for (const char* name : {"outcome", "arms", "covariates"}) {
    if (options.given(name)) {
      throw UserError(format("--%s belongs to --dataset; a mapping file says it itself", name));
    }
  }
  return io::read_mapping(options.text("mapping"));
}

std::string counted(int64_t count, const std::string& what, const char* ending = "s") {
  return with_commas(count) + " " + what + (count == 1 ? "" : ending);
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
  if (!summary.first_bad_row.empty()) text += "         first: " + summary.first_bad_row + "\n";
  text += format("wrote    %s with %s and %s to %s\n",
                 counted(static_cast<int64_t>(summary.files.size()), "file").c_str(),
                 counted(summary.journeys, "journey").c_str(),
                 counted(summary.touches, "touch", "es").c_str(), out.c_str());
  text += format("outcome  %s, mean %.6g\n",
                 schema.outcome == io::OutcomeKind::binary ? "binary" : "continuous",
                 summary.mean_outcome);
  const size_t shown = std::min(summary.clusters.size(), kClustersShown);
  text += format("%-32s %12s %14s %10s\n", schema.is_arm_log() ? "arm" : "cluster", "touches",
                 "mean outcome", "mediator");
  for (size_t id = 0; id < shown; ++id) {
    const io::ImportSummary::Cluster& cluster = summary.clusters[id];
    const bool reference = schema.reference_cluster == static_cast<int64_t>(id);
    text += format(
        "%-32s %12s %14.6g %10s\n", (cluster.name + (reference ? " (reference)" : "")).c_str(),
        with_commas(cluster.touches).c_str(), cluster.mean_outcome,
        std::isnan(cluster.mediator_rate) ? "-" : format("%.4f", cluster.mediator_rate).c_str());
  }
  if (shown < summary.clusters.size()) {
    text += format("... and %s more\n",
                   with_commas(static_cast<long long>(summary.clusters.size() - shown)).c_str());
  }
  return text;
}

void import_here(const Options& options) {
  io::ImportOptions import;
  import.on_bad_row =
      options.text("on-bad-row") == "skip" ? io::OnBadRow::skip : io::OnBadRow::fail;
  const std::string out = options.text("out");
  log_info("importing " + join(options.texts("in"), " "));
  const io::ImportSummary summary =
      io::import_tables(options.texts("in"), mapping_of(options), out, import);
  std::fputs(summary_text(summary, out).c_str(), stdout);
}

// A table is read from its beginning, so rank 0 does the work and the others wait for its end. An
// error there ends all ranks.
int run_import(const Options& options, Communicator& world) {
  if (world.rank() == 0) import_here(options);
  world.barrier("end of import");
  return 0;
}

}  // namespace

Command import_command() {
  CommandSpec spec;
  spec.name = "import";
  spec.summary = "make a log of CSV or TSV tables";
  spec.details =
      "Reads text tables (plain, gzip or zstd) and writes a log. Either a mapping file says which "
      "column "
      "is "
      "what (docs/import.md), or --dataset names a public experiment. Prints rows read, kept, and "
      "dropped "
      "and why.";
  spec.options = {
      {.name = "in", .help = "Tables, read in this order.", .required = true, .several = true},
      {.name = "out", .help = "New directory for the log.", .required = true},
      {.name = "mapping", .help = "Mapping file (INI)."},
      {.name = "dataset",
       .help = "A data set whose mapping is known.",
       .choices = io::dataset_names()},
      {.name = "outcome",
       .help =
           "Data sets only: the outcome column; jtpa: earnings; hillstrom: conversion (taken when "
           "not given) or spend."},
      {.name = "arms",
       .help = "Hillstrom only: three arms as they are (taken when not given), or both e-mails "
               "pooled.",
       .choices = {"three", "pooled"}},
      {.name = "covariates",
       .default_text = "none",
       .help = "Data sets only: columns for the context X, separated by commas, or none; none "
               "keeps the "
               "plain experiment and works with --nuisance tabular."},
      {.name = "on-bad-row",
       .default_text = "fail",
       .help = "Whether a bad row ends the import, or is dropped and counted.",
       .choices = {"fail", "skip"}},
  };
  return {spec, run_import};
}

}  // namespace alm
