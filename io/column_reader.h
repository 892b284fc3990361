// Stored rows of one log file, chunk by chunk: pread, checksum and decoding on the calling thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "io/file_index.h"
#include "io/hdf5_handle.h"

namespace alm::io {

// Open for the length of one block; belongs to one thread. A thread keeps the last chunk of every
// data set decoded, so that neighbouring blocks do not decode a shared chunk twice; those buffers
// are reused.
class ColumnReader {
 public:
  // `identity` is unique to the file in this process. UserError when the file is gone or has
  // another size than its index says.
  ColumnReader(const std::string& path, const FileIndex& index, uint64_t identity, bool use_hdf5);
  ~ColumnReader();
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

 private:
  [[noreturn]] void fail(const DatasetIndex& set, int64_t first, int64_t last,
                         const std::string& what) const;
  void read_bytes(const DatasetIndex& set, int64_t first, int64_t last, uint64_t address,
                  size_t bytes, std::byte* out) const;

  const std::string& path_;
  const FileIndex& index_;
  uint64_t identity_;
  bool use_hdf5_;
  int file_ = -1;
  Hdf5Id hdf5_;
};

}  // namespace alm::io
