// What `alm`, `alm --help` and `alm --version` print.
#pragma once

#include <string>

#include "launch/commands.h"

namespace alm {

// The list of subcommands.
std::string front_page();

// Versions of everything linked, asked of the libraries at run time, one a line. `communicator` is
// the world's name.
std::string version_text(const std::string& communicator);

// UserError with the nearest known name.
Command find_command(const std::string& name);

}  // namespace alm
