// The bounds of any loader: the stored bytes of a log by pread alone, and through the codec alone.
#pragma once

#include <cstdint>

#include "io/log_reader.h"

namespace alm::io {

struct RawPass {
  double seconds = 0;      // wall clock of the pass
  double cpu_seconds = 0;  // of the process meanwhile
  int64_t stored_bytes = 0;
  int64_t plain_bytes = 0;
};

// Processor time of this process so far, all threads.
double process_cpu_seconds();

// Reads every stored byte of the wanted columns once, in pieces of a chunk, each thread into one
// reused buffer; with `decompress` each chunk also goes through its codec, and no further.
// UserError when a file is gone or damaged.
RawPass read_raw(const Log& log, const ColumnSet& columns, int64_t threads, bool decompress);

// Asks the kernel to forget the log's bytes, so that the next pass reads the disk.
void drop_page_cache(const Log& log);

}  // namespace alm::io
