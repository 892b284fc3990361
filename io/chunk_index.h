// Where the bytes of a data set lie in its file: read once through HDF5 (1.10 looks a chunk up in
// linear time, so a whole index is quadratic), then kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "io/codec.h"

namespace alm::io {

// Above this many chunks in a data set the index takes HDF5 1.10 noticeable time.
inline constexpr int64_t kManyChunks = 4096;

enum class NumberKind : uint8_t { unsigned_integer, signed_integer, floating };

// How values come out of reading: little-endian, of 1, 2, 4 or 8 bytes (floating: 4 or 8).
struct NumberType {
  NumberKind kind = NumberKind::unsigned_integer;
  int64_t bytes = 0;
};

enum class Layout : uint8_t {
  contiguous,  // one run of bytes at `address`
  chunked,     // whole rows in `chunks`, undone by decode_chunk()
  hdf5         // anything else: read by H5Dread
};

struct ChunkPlace {
  uint64_t address = 0;
  uint64_t bytes = 0;
  uint32_t mask = 0;  // stages of the pipeline that were left out
};

struct DatasetIndex {
  std::string path;
  NumberType type;
  int64_t dimensions = 1;
  int64_t rows = 0;
  int64_t width = 1;  // values a row
  Layout layout = Layout::hdf5;
  uint64_t address = 0;
  int64_t chunk_rows = 0;
  std::vector<Filter> filters;
  std::vector<ChunkPlace> chunks;  // chunk c holds rows [c * chunk_rows, ...)
  bool detects_damage = false;     // flipped bytes are noticed

  int64_t row_bytes() const { return type.bytes * width; }
};

// `file` is an open HDF5 file (its size in bytes given) and the caller holds the Hdf5Session.
// UserError naming `file_path`, data set and reason: no numbers, rank above 2, chunks never written
// or outside the file, a filter that neither we nor HDF5 know.
DatasetIndex index_dataset(int64_t file, const std::string& file_path, int64_t file_bytes,
                           const std::string& path);

// H5Dread of rows [first, last) as index.type into `out`; false on failure (hdf5_error() says why).
// The caller holds the Hdf5Session.
bool read_by_hdf5(int64_t file, const DatasetIndex& index, int64_t first, int64_t last,
                  std::byte* out);

}  // namespace alm::io
