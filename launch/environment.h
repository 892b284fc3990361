// Variables of the environment that look like ours and are not: a misspelt one is else ignored
// without a word.
#pragma once

#include <string>
#include <vector>

namespace alm {

// Those that scripts and tests of the project read; alm does not.
const std::vector<std::string>& variables_of_scripts();

// A warning for each of `environment` ("NAME=value") that has a value, begins as ours do, and is
// read by no subcommand, no script and no test.
std::vector<std::string> warnings_of_variables(const std::vector<std::string>& environment);
// The same of this process.
std::vector<std::string> warnings_of_variables();

}  // namespace alm
