// alm inspect: what a log holds and whether it is valid, in one pass split over the ranks.
#include <cstdio>
#include <limits>

#include "engine/model/scan.h"
#include "kernels/base/log.h"
#include "launch/commands.h"
#include "launch/inspect_census.h"
#include "launch/inspect_json.h"
#include "launch/inspect_storage.h"
#include "launch/inspect_text.h"
#include "launch/threads.h"

namespace alm {
namespace {

// COLLECTIVE.
std::shared_ptr<const io::Log> open_to_look(const Options& options, Communicator& world) {
  io::LogOptions log_options;
  log_options.index_dir = options.text("index-dir");
  log_options.on_bad_row = io::OnBadRow::skip;  // count them all; the verdict comes at the end
  log_options.max_touches = std::numeric_limits<int32_t>::max();
  std::shared_ptr<const io::Log> log;
  try {
    world.together("opening the log",
                   [&] { log = io::Log::open(options.texts("log"), log_options); });
    return log;
  } catch (const UserError& error) {
    // What cannot be opened is no valid log: a script that asked for JSON gets that answer.
    const io::Json answer{{"schema", "alm-log/1"}, {"valid", false}, {"problems", {error.what()}}};
    if (options.flag("json") && world.rank() == 0) std::puts(io::json_text(answer, 2).c_str());
    throw;
  }
}

// COLLECTIVE. One pass over the rows; its findings are put into `json`.
void look_at_rows(const std::shared_ptr<const io::Log>& log, bool skip_bad_rows, int64_t threads,
                  Communicator& world, io::Json& json) {
  Census census(log->schema());
  const io::ReadReport mine = scan_blocks(log, threads, world, {}, io::ColumnSet::all(), "inspect",
                                          [&](int64_t, const std::vector<io::Journeys>& batches) {
                                            for (size_t at = 0; at < batches.size(); ++at)
                                              census.add(batches[at], at == 0);
                                          });
  census.reduce(world);
  io::ReadReport report = sum_over_ranks(mine, world);
  put_census(census, report, json);
  if (skip_bad_rows && census.rows > 0) report.bad_rows = 0;  // no reason to fail
  for (const std::string& problem : problems_of(census, report)) {
    json["problems"].push_back(problem);
  }
}

int run_inspect(const Options& options, Communicator& world) {
  const std::shared_ptr<const io::Log> log = open_to_look(options, world);
  for (const std::string& warning : log->warnings()) log_warning(warning);
  const int64_t threads = threads_of_rank(options, world);

  io::Json json = schema_json(*log);
  json["storage"] = storage_json(*log);
  json["verify"] = nullptr;
  bool damaged = false;
  if (options.flag("verify")) {
    ThreadPool pool(threads);
    json["verify"] = verify_log(*log, pool, world);
    damaged = json["verify"]["damaged"] != 0;
    for (const io::Json& line : json["verify"]["damage"]) json["problems"].push_back(line);
  }
  // Rows of a damaged file cannot be counted.
  if (!damaged) {
    look_at_rows(log, options.text("on-bad-row") == "skip", threads, world, json);
  }
  json["valid"] = json["problems"].empty();
  if (world.rank() == 0) {
    std::fputs((options.flag("json") ? io::json_text(json, 2) + "\n" : inspect_text(json)).c_str(),
               stdout);
  }
  return json["valid"] == true ? 0 : 1;
}

}  // namespace

Command inspect_command() {
  CommandSpec spec;
  spec.name = "inspect";
  spec.summary = "describe and check a log";
  spec.details =
      "Reads every row of the log, checks it as training would, and prints the schema, counts, "
      "rates, bad rows by kind, and how the files are stored with advice. Ends with exit code 1 "
      "when the log is not valid.";
  spec.options = {
      {.name = "log",
       .help = "Log files, directories or globs.",
       .required = true,
       .several = true},
      {.name = "index-dir",
       .help = "Where the index files of the log go; default: beside each log file."},
      {.name = "on-bad-row",
       .default_text = "fail",
       .help = "Whether bad rows make the log invalid; all are counted either way.",
       .choices = {"fail", "skip"}},
      {.name = "verify",
       .type = OptionType::flag,
       .default_text = "false",
       .help = "Read every stored byte against its checksum first, and go on after damage."},
      {.name = "json",
       .type = OptionType::flag,
       .default_text = "false",
       .help = "Print JSON (docs/data_format.md) instead of text for people."},
  };
  return {spec, run_inspect};
}

}  // namespace alm
