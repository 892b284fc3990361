// alm doctor: what a job needs, looked at before the job, each stage with a deadline.
#include <cstdio>

#include "kernels/base/text.h"
#include "launch/commands.h"
#include "launch/deadline.h"
#include "launch/doctor_checks.h"
#include "launch/log_flags.h"

namespace alm {
namespace {

struct Stage {
  const char* name;
  std::vector<Finding> (*check)(const Options& options, Communicator& world);
  const char* option;      // must be given, or the stage is left out; null: always made
  const char* if_overdue;  // advice
};

constexpr const char* kFileSystem =
    "a file system hangs, or a large log is opened for the first time (then give a longer "
    "--deadline): look at the hosts of ranks that are blocked or silent (df, ls)";
constexpr Stage kStages[] = {
    {"ping", [](const Options&, Communicator& world) { return check_ping(world); }, nullptr,
     "hosts cannot reach each other: look at firewalls, and which network MPI takes (mpirun --mca "
     "btl_tcp_if_include NETWORK)"},
    {"versions", [](const Options&, Communicator& world) { return check_versions(world); }, nullptr,
     "a driver or a file system with libraries hangs: look at nvidia-smi and df on the hosts of "
     "silent ranks first"},
    {"machine", check_machine, nullptr, "a host stopped answering: look at its load and memory"},
    {"gpu", check_gpu, nullptr,
     "a driver hangs: look at nvidia-smi on the hosts, those of silent ranks first; or GPUs do not "
     "find each other: NCCL_SOCKET_IFNAME names the network, NCCL_DEBUG=INFO says more"},
    {"bandwidth", [](const Options&, Communicator& world) { return check_bandwidth(world); },
     nullptr,
     "small messages pass and large ones do not: look at the network's MTU and which network MPI "
     "takes (mpirun --mca btl_tcp_if_include NETWORK)"},
    {"speed", check_speed, nullptr, "a host computes far too slowly: look at what else runs there"},
    {"out", check_out, "out", kFileSystem},
    {"log", check_log, "log", kFileSystem},
};

const char* mark(Health health) {
  switch (health) {
    case Health::well:
      return "ok  ";
    case Health::doubtful:
      return "warn";
    case Health::ill:
      return "FAIL";
  }
  return "";
}

void say(const char* stage, const Finding& finding) {
  std::printf("%s  %-10s %s%s%s\n", mark(finding.health), stage, finding.what.c_str(),
              finding.advice.empty() ? "" : ": ", finding.advice.c_str());
  std::fflush(stdout);
}

// COLLECTIVE. What is wrong for the user is a finding; faults of the machine end the command.
std::vector<Finding> findings_of(const Stage& stage, const Options& options, Communicator& world) {
  try {
    return stage.check(options, world);
  } catch (const UserError& error) {
    return {{Health::ill, error.what()}};
  }
}

int run_doctor(const Options& options, Communicator& world) {
  Deadline deadline(world.rank(), world.size());
  int64_t doubtful = 0, ill = 0;
  for (const Stage& stage : kStages) {
    if (stage.option != nullptr && !options.given(stage.option)) {
      if (world.rank() == 0) {
        std::printf("-     %-10s not looked at: give --%s\n", stage.name, stage.option);
      }
      continue;
    }
    deadline.start(stage.name, options.real("deadline"), stage.if_overdue);
    for (const Finding& finding : findings_of(stage, options, world)) {
      if (world.rank() == 0) say(stage.name, finding);
      doubtful += finding.health == Health::doubtful;
      ill += finding.health == Health::ill;
    }
  }
  deadline.end();
  if (world.rank() == 0) {
    std::printf("%s\n", ill > 0        ? "not fit to run: mend what FAIL names"
                        : doubtful > 0 ? "fit to run; read what warn names"
                                       : "fit to run");
  }
  return ill > 0 ? 1 : 0;
}

}  // namespace

Command doctor_command() {
  std::vector<OptionSpec> flags = {
      {.name = "log",
       .help = "The log the job will read: a file, a directory, a glob, or several of these.",
       .several = true},
      {.name = "index-dir", .help = "Where index files of the log are kept; default: beside it."},
      {.name = "out", .help = "The directory the job will write its run into."},
      {.name = "deadline",
       .type = OptionType::real,
       .default_text = "30",
       .help = "Seconds a stage may last before the ranks that wait say so and the job ends.",
       .lowest = 0.1,
       .highest = 86400}};
  const std::vector<OptionSpec> device =
      device_flags({"auto", "cpu", "cuda"},
                   "Where the job will compute; cuda: a rank without a GPU is a fault.");
  flags.insert(flags.end(), device.begin(), device.end());
  return {{.name = "doctor",
           .summary = "whether ranks, cores, network and files are fit for a job, before it runs",
           .details =
               "Start it as the job will be started (mpirun or srun, same hosts, same binding), "
               "with the job's --log and --out. Each stage prints ok, warn or FAIL with one "
               "sentence of advice; when one does not end by --deadline, every rank that is still "
               "in it says so. "
               "Exit codes: 0 fit to run, 1 something failed, 2 a fault of the machine or a stage "
               "that did not end.",
           .options = flags},
          run_doctor};
}

}  // namespace alm
