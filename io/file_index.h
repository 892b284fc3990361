// All that must be known of one log file before its rows are read: schema, and the place of every
// data set.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/chunk_index.h"
#include "io/journeys.h"
#include "io/schema.h"

namespace alm::io {

class Hdf5Child;

struct FileIndex {
  int64_t bytes = 0;  // of the file when it was indexed
  int64_t rows = 0;
  int64_t touches = 0;
  int64_t modified_ns = 0;                   // when it was last written, as of then
  bool old_format = false;                   // HDF5 metadata without checksums
  std::vector<std::string> notes;            // what is odd, but no error
  std::vector<std::string> unchecked_names;  // lists of names that no checksum covers
  LogSchema schema;
  std::array<std::optional<DatasetIndex>, kSlots> sets;  // by slot
};

// Whether the parts of an index fit each other and the size of the file, so that reading by it is
// safe however it came about.
bool is_consistent(const FileIndex& index);

// Takes the index from its sidecar where that fits the file, else has `hdf5` read it and leaves a
// sidecar if it can: beside the file, or in `index_dir` when that is not empty. UserError naming
// file and data set.
FileIndex index_file(const std::string& path, const std::string& index_dir, Hdf5Child& hdf5);

// Where the sidecar of a log file goes.
std::string sidecar_path(const std::string& path, const std::string& index_dir);

}  // namespace alm::io
