// Rows that only HDF5 can read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "io/chunk_index.h"

namespace alm::io {

// Which rows: what H5Dread must know of them.
struct RowRequest {
  std::string path;
  DatasetIndex set;  // its path, type, dimensions and width
  int64_t first = 0;
  int64_t last = 0;

  size_t bytes() const { return static_cast<size_t>((last - first) * set.row_bytes()); }
  // "FILE, data set SET, rows A to B".
  std::string subject() const;
  std::string pack() const;
  static RowRequest unpack(const std::string& packed);
};

// Runs HDF5 in this process: callers outside a helper go through Hdf5Child. UserError.
void read_rows_here(const RowRequest& request, std::byte* out);

}  // namespace alm::io
