// Guessing what a misspelt name was meant to be.
#pragma once

#include <string>
#include <vector>

namespace alm {

// The known name that `name` was most likely meant to be; empty when none is near.
std::string nearest_name(const std::string& name, const std::vector<std::string>& known);

}  // namespace alm
