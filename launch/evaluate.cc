// alm evaluate: the estimates of a trained run on a log.
#include <cstdio>

#include "engine/train/trainer.h"
#include "kernels/base/log.h"
#include "launch/commands.h"
#include "launch/effects_table.h"
#include "launch/log_flags.h"

namespace alm {
namespace {

int run_evaluate(const Options& options, Communicator& world) {
  const Bundle bundle = load_run(options.text("run"));
  const std::shared_ptr<const io::Log> log = open_log(options);
  const std::unique_ptr<Compute> compute = make_compute(options, world);
  const Estimates estimates = make_estimates({log, bundle, *compute, world});
  if (world.rank() != 0) return 0;
  io::write_json_atomically(options.text("out"), estimates.json);
  std::fputs(effects_table(estimates.json).c_str(), stdout);
  std::printf("\nestimates %s\n", options.text("out").c_str());
  return 0;
}

}  // namespace

Command evaluate_command() {
  std::vector<OptionSpec> flags = log_flags();
  flags.push_back({.name = "run", .help = "The run directory of alm train.", .required = true});
  flags.push_back({.name = "out", .help = "The estimates file (JSON) to write.", .required = true});
  const std::vector<OptionSpec> device = device_flags();
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
