// Versions of the libraries that io links.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace alm::io {

// (library, version as it says itself at run time).
std::vector<std::pair<std::string, std::string>> library_versions();

}  // namespace alm::io
