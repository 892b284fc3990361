// Where this project's files lie, for tests that read them.
#pragma once

#include <string>

namespace alm {

std::string source_dir();

}  // namespace alm
