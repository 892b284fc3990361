// Stored rows of one log file, chunk by chunk: pread, checksum and decoding on the calling thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "io/chunk_cache.h"
#include "io/file_index.h"
#include "io/input_file.h"

namespace alm::io {

// Open for the length of one block; belongs to one thread. Whole chunks are decoded to where they
// are wanted; a chunk that reaches past the rows asked for goes through the cache, which all
// readers of a log share.
class ColumnReader {
 public:
  // `number`: of the file, as a key of the cache. UserError when the file is gone or has another
  // size than its index says.
  ColumnReader(const std::string& path, const FileIndex& index, int64_t number, ChunkCache& cache,
               bool use_hdf5);
  ColumnReader(const ColumnReader&) = delete;
  ColumnReader& operator=(const ColumnReader&) = delete;

  struct Run {
    const std::byte*
        data;  // as the data set's NumberType, aligned to it; valid until the next call
    int64_t rows;
  };
  // Some rows from `first` on, at least one and not past `last`. UserError naming file, data set
  // and rows on damage.
  Run next(int64_t slot, int64_t first, int64_t last);
  // All rows [first, last) as the data set's NumberType into `out`; errors as next().
  void read(int64_t slot, int64_t first, int64_t last, std::byte* out);

 private:
  [[noreturn]] void fail(const DatasetIndex& set, int64_t first, int64_t last,
                         const std::string& what) const;
  void read_bytes(const DatasetIndex& set, int64_t first, int64_t last, uint64_t address,
                  std::span<std::byte> out) const;
  void read_rows(const DatasetIndex& set, int64_t first, int64_t last, std::byte* out);
  void decode(const DatasetIndex& set, int64_t chunk, std::byte* out) const;
  // The chunk that holds row `first`, from there on.
  Run shared(const DatasetIndex& set, int64_t slot, int64_t first, int64_t last);

  const std::string& path_;
  const FileIndex& index_;
  int64_t number_;
  ChunkCache& cache_;
  bool use_hdf5_;
  InputFile file_;
  ChunkCache::Pin pin_;  // of the run handed out last
};

}  // namespace alm::io
