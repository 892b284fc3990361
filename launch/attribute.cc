// alm attribute: the credit of every touch, from a trained run.
#include <cmath>
#include <cstdio>

#include "engine/estimate/attribution.h"
#include "engine/estimate/few_steps.h"
#include "engine/train/run_dir.h"
#include "io/attribution_writer.h"
#include "kernels/base/log.h"
#include "launch/commands.h"
#include "launch/log_flags.h"
#include "launch/signals.h"

namespace alm {
namespace {

void warn(const Attribution& result, const Bundle& bundle) {
  const io::ReadReport& report = result.report;
  if (report.bad_rows > 0) {
    log_warning("skipped " + io::bad_rows_text(report));
  }
  if (report.truncated_rows > 0) {
    log_warning(format("%s journeys longer than --max-touches kept their latest touches",
                       with_commas(report.truncated_rows).c_str()));
  }
  if (result.training_users > 0) {
    log_warning(
        format("not the log the run was trained on: all %s users are scored, of whom the ids of "
               "%s fall into the share (%g) that training takes",
               with_commas(result.users).c_str(), with_commas(result.training_users).c_str(),
               1 - bundle.holdout));
  }
  const std::string few = few_steps_warning(bundle, "credit does not know that");
  if (!few.empty()) log_warning(few);
  if (result.scores) {
    log_warning("proxy mode: what was written are scores, not effects");
    return;
  }
  if (std::isnan(result.mediator_variance_share)) {
    log_warning("no mediator of the scored touches was observed: nothing shows that it varies");
  }
  for (const io::Json& line : mediator_variation_warnings(result.mediator_variance_share)) {
    log_warning(line.get<std::string>());
  }
}

int run_attribute(const Options& options, Communicator& world) {
  install_stop_signals();
  const std::string out = options.text("out");
  io::check_attribution_path(out);
  check_output_file("out", out, !out.ends_with(".h5"), world);
  const Bundle bundle = load_run(options.text("run"), world);
  const std::shared_ptr<const io::Log> log = open_log(options, world);
  const std::unique_ptr<Compute> compute = make_compute(options, world);
  Attribution result;
  try {
    result = attribute({log, bundle, *compute, world}, out);
  } catch (const Stopped& stopped) {
    return say_stopped(stopped);
  }
  warn(result, bundle);
  if (world.rank() != 0) return 0;
  std::printf("attribution %s: %s touches of %s journeys\n", out.c_str(),
              with_commas(result.touches).c_str(), with_commas(result.journeys).c_str());
  return 0;
}

}  // namespace

Command attribute_command() {
  std::vector<OptionSpec> flags = log_flags();
  flags.push_back({.name = "run", .help = "The run directory of alm train.", .required = true});
  flags.push_back({.name = "out",
                   .help = "The file to write; .csv or .h5 chooses the format.",
                   .required = true});
  const std::vector<OptionSpec> device = cpu_flags();
  flags.insert(flags.end(), device.begin(), device.end());
  return {
      {.name = "attribute",
       .summary = "the credit of every touch, from a trained run on a log",
       .details =
           "One row a touch, in the order of the log: row (of the journey), user, position, "
           "cluster, do, ett, shapley (exact Shapley value of the journey's effect; with "
           "--outcome-head general and more than 6 touches, over 64 random orders) and share (of "
           "the journey's total). On the log the run was trained on: the held-out users. On any "
           "other log with the same columns: all its users. Arm logs: the effect of the arm "
           "against the reference. Runs of --mediator proxy: scores, "
           "paper (the fall of the prediction without the touch) in the place of shapley, do and "
           "ett empty where the code reads no proxies. The bytes do not depend on ranks or "
           "threads.",
       .options = flags},
      run_attribute};
}

}  // namespace alm
