// alm evaluate: the estimates of a trained run on a log.
#include <cstdio>
#include <filesystem>

#include "engine/estimate/coordinator.h"
#include "engine/train/run_dir.h"
#include "kernels/base/log.h"
#include "kernels/base/text.h"
#include "launch/commands.h"
#include "launch/effects_table.h"
#include "launch/log_flags.h"
#include "launch/signals.h"

namespace alm {
namespace {

void warn(const io::Json& estimates) {
  io::ReadReport report;
  report.bad_rows = estimates.at("bad_rows").get<int64_t>();
  if (report.bad_rows > 0) {
    report.first_bad_row = estimates.at("first_bad_row").get<std::string>();
    for (const auto& [what, rows] : estimates.at("bad_row_kinds").items()) {
      report.bad_kinds.push_back({what, rows.get<int64_t>(), {}});
    }
    log_warning("skipped " + io::bad_rows_text(report));
  }
  const int64_t cut = estimates.at("truncated_rows").get<int64_t>();
  if (cut > 0) {
    log_warning(format("%s journeys longer than --max-touches kept their latest touches",
                       with_commas(cut).c_str()));
  }
  const io::Json& trained = estimates.at("users_in_training_share");
  if (trained.is_number()) {
    log_warning(
        format("not the log the run was trained on: all %s users are scored, of whom the ids of %s "
               "fall into the share that training takes",
               with_commas(estimates.at("users").get<int64_t>()).c_str(),
               with_commas(trained.get<int64_t>()).c_str()));
  }
}

// COLLECTIVE. UserError when the estimates would take the place of a file of the run.
void check_outside_run(const std::string& out, const std::string& run, Communicator& world) {
  namespace fs = std::filesystem;
  world.together("output file", [&] {
    if (world.rank() != 0 || !fs::exists(out) || !fs::is_directory(run)) return;
    const fs::path inside = fs::relative(fs::canonical(out), fs::canonical(run));
    if (inside.empty() || *inside.begin() == "..") return;
    throw UserError("--out " + out + ": is a file of the run and would be replaced; name another");
  });
}

int run_evaluate(const Options& options, Communicator& world) {
  install_stop_signals();
  check_output_file("out", options.text("out"), true, world);
  check_outside_run(options.text("out"), options.text("run"), world);
  const Bundle bundle = load_run(options.text("run"), world);
  const std::shared_ptr<const io::Log> log = open_log(options, world);
  const std::unique_ptr<Compute> compute = make_compute(options, world);
  Estimates estimates;
  try {
    estimates = make_estimates({log, bundle, *compute, world, options.flag("prediction-only")});
  } catch (const Stopped& stopped) {
    return say_stopped(stopped);
  }
  world.together("estimates file", [&] {
    if (world.rank() == 0) io::write_json_atomically(options.text("out"), estimates.json);
  });
  if (world.rank() != 0) return 0;
  warn(estimates.json);
  std::fputs(effects_table(estimates.json).c_str(), stdout);
  std::printf("\nestimates %s\n", options.text("out").c_str());
  return 0;
}

}  // namespace

Command evaluate_command() {
  std::vector<OptionSpec> flags = log_flags();
  flags.push_back({.name = "run", .help = "The run directory of alm train.", .required = true});
  flags.push_back({.name = "out", .help = "The estimates file (JSON) to write.", .required = true});
  flags.push_back({.name = "prediction-only",
                   .type = OptionType::flag,
                   .default_text = "false",
                   .help =
                       "Only how well outcomes are predicted, many times as fast: no effects, and "
                       "nothing that is made of them."});
  const std::vector<OptionSpec> device = cpu_flags();
  flags.insert(flags.end(), device.begin(), device.end());
  return {
      {.name = "evaluate",
       .summary = "metrics and effects of a trained run on a log",
       .details =
           "On the log the run was trained on: the held-out users, the same numbers bit for bit as "
           "training gave. On any other log with the same columns: all its users.",
       .options = flags},
      run_evaluate};
}

}  // namespace alm
