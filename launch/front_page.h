// What `alm`, `alm --help` and `alm --version` print.
#pragma once

#include <string>

#include "launch/commands.h"

namespace alm {

// The list of subcommands.
std::string front_page();

// Versions of everything linked, asked of the libraries at run time, and of the CUDA toolkit of the
// build, one a line. `communicator` is the world's name.
std::string version_text(const std::string& communicator);
// The same of what a GPU needs, as it is found here: asks the driver and loads cuBLASLt and NCCL.
std::string gpu_version_text();

// UserError with the nearest known name.
Command find_command(const std::string& name);

}  // namespace alm
