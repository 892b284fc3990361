// The index of a log file, read through HDF5.
#pragma once

#include <string>

#include "io/file_index.h"

namespace alm::io {

// Checks the file against contract 2 as far as it can be known without reading rows. Runs HDF5 in
// this process: callers outside a helper go through Hdf5Child. UserError naming file and data set.
FileIndex read_file_index(const std::string& path);

}  // namespace alm::io
