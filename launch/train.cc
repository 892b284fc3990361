// alm train: the main job. Options to TrainOptions, the run, the report, the last line.
#include <unistd.h>

#include <cstdio>
#include <ctime>

#include "engine/report/report.h"
#include "engine/train/device_step.h"
#include "engine/train/metrics_log.h"
#include "engine/train/timeline.h"
#include "engine/train/trainer.h"
#include "kernels/base/log.h"
#include "kernels/base/text.h"
#include "launch/commands.h"
#include "launch/device_choice.h"
#include "launch/effects_table.h"
#include "launch/front_page.h"
#include "launch/log_flags.h"
#include "launch/signals.h"
#include "launch/train_flags.h"
#include "launch/train_rules.h"

namespace alm {
namespace {

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text;
}

// COLLECTIVE. `trains`: where training steps are taken.
io::Json run_config(const Options& options, Compute& compute, const Device& trains,
                    Communicator& world) {
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  io::Json hosts = io::Json::array();
  for (const std::string& host : world.all_gather_strings(name, "host names"))
    hosts.push_back(host);
  return {{"schema", "alm-config/1"},
          {"command", "train"},
          {"started", now_text()},
          {"ranks", world.size()},
          {"threads", compute.threads()},
          {"device", trains.describe()},
          {"hosts", hosts},
          {"versions", split(version_text(world.name()), '\n')},
          {"options", options.to_json()}};
}

void write_report(const std::string& run_dir) {
  const std::string text = make_report(
      io::read_json(run_dir + "/config.json"), io::read_json(run_dir + "/estimates.json"),
      read_metrics(run_dir + "/metrics.jsonl"), io::read_json(run_dir + "/examples.json"));
  io::write_text_atomically(run_dir + "/report.html", text);
}

int run_train(const Options& options, Communicator& world) {
  install_stop_signals();
  const TrainOptions resolved = train_options(options);
  if (!resolved.timeline.empty()) {
    check_no_other_file(resolved.timeline, world);
    check_output_file("timeline", resolved.timeline, true, world);
  }
  const std::shared_ptr<const io::Log> log = open_log(options, world);
  check_log_fits(resolved, log->schema());
  const std::unique_ptr<Compute> compute = make_compute(options, world);
  const Precision of_gpu = precision_on_gpu(options, resolved);
  const Products products = products_on_gpu(resolved);
  const std::unique_ptr<Device> gpu =
      chosen_gpu(options, not_yet_on_device(resolved, of_gpu), of_gpu, products, world);
  const std::unique_ptr<DeviceCommunicator> gpus = gpu ? make_gpu_communicator(world) : nullptr;
  if (!resolved.graph && (gpu == nullptr || resolved.model.proxy_mode())) {
    log_warning(format("--no-graph changes nothing: %s has no graphs anyway",
                       gpu == nullptr ? "training on the CPU" : "--mediator proxy"));
  }
  std::unique_ptr<Compute> in_bf16;
  if (gpu == nullptr && chosen_precision(options, Precision::fp32) == Precision::bf16) {
    in_bf16 = make_compute(options, world, Precision::bf16);
  }
  const Device& trains = gpu ? *gpu : (in_bf16 ? *in_bf16 : *compute).device();
  const std::string run_dir = options.text("out");
  const TrainResult result = train({.log = log,
                                    .run_dir = run_dir,
                                    .options = resolved,
                                    .config = run_config(options, *compute, trains, world),
                                    .init = options.text("init"),
                                    .compute = *compute,
                                    .world = world,
                                    .training = in_bf16.get(),
                                    .accelerator = gpu.get(),
                                    .accelerators = gpus.get()});
  if (!result.finished) return 75;
  world.together("report", [&] {
    if (world.rank() == 0) write_report(run_dir);
  });
  if (world.rank() != 0) return 0;
  std::fputs(effects_table(result.estimates.json).c_str(), stdout);
  std::printf("\nreport %s/report.html\n", run_dir.c_str());
  std::printf("parameters sha256 %s\n", result.digest.c_str());
  return 0;
}

}  // namespace

Command train_command() {
  std::vector<OptionSpec> options = train_flags();
  options.insert(options.begin() + std::ssize(log_flags()),
                 {.name = "out", .help = "The run directory to write.", .required = true});
  return {
      {.name = "train",
       .summary = "train on a log, estimate effects on held-out users, write a report",
       .details =
           "Writes a run directory: config.json, metrics.jsonl, checkpoints/, estimates.json and "
           "report.html. Runs alone or under mpirun or srun with any number of ranks. USR1 stops "
           "it early with a good checkpoint (exit code 75); the same command with --resume goes "
           "on.",
       .options = options},
      run_train};
}

}  // namespace alm
