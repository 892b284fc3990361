// Writing a log: latest format, Fletcher32 on every chunk, shuffle + deflate 1 by default.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "io/codec.h"
#include "io/journeys.h"

namespace alm::io {

inline constexpr int64_t kBlockRows = 32768;

// Writes one file of known size. Rows are appended in order; the file appears under its name only
// at finish() (written to "<path>.tmp", fsynced, renamed), so a killed writer leaves no half log.
// Equal rows give equal bytes (no times, no versions of the run inside). Not thread-safe.
class LogWriter {
 public:
  // schema.block_rows 0 means kBlockRows. Creates missing directories. MachineError when it cannot
  // write.
  LogWriter(const std::string& path, const LogSchema& schema, int64_t rows, Codec codec);
  ~LogWriter();
  void append(const Journeys& journeys);
  // All announced rows must have been appended.
  void finish();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Row ranges of files: file f holds rows [f * rows_per_file, ...). Name "part-00000.h5".
std::string log_file_name(int64_t file);

}  // namespace alm::io
