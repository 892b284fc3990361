// The subcommands: each file of launch/ named after one holds its table of options and its work.
#pragma once

#include <vector>

#include "engine/comm/communicator.h"
#include "launch/options.h"

namespace alm {

struct Command {
  CommandSpec spec;
  // COLLECTIVE. Returns the exit code; throws Error.
  int (*run)(const Options& options, Communicator& world);
};

Command synth_command();
Command import_command();
Command inspect_command();
Command plan_command();
Command train_command();
Command evaluate_command();
Command attribute_command();
Command doctor_command();
Command bench_command();

// In the order `alm --help` lists them.
std::vector<Command> all_commands();

}  // namespace alm
