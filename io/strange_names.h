// Names in a log file that the schema does not know: most often a misspelt column, which would be
// passed over without a word.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace alm::io {

// One line for each data set below /journey, /touch, /meta and /truth, and each attribute of the
// root, that no log has: its name, and the known name that was likely meant. `file` is an open HDF5
// file and the caller holds the Hdf5Session.
std::vector<std::string> strange_names(int64_t file);

// The data set that is there where `path` is missing: the nearest of those that no log has; empty
// when none is near.
std::string misspelt(int64_t file, const std::string& path);

}  // namespace alm::io
