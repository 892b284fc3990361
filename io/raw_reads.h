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

enum class RawRead {
  one_buffer,  // each thread into one buffer, which stays in its cache
  ring,  // into `ring_bytes` of memory for each thread, over and over: as whoever hands bytes on
         // must
  codec  // as one_buffer, and each chunk through its compressor's library
};

// Reads every stored byte of the wanted columns once, in pieces of a chunk. UserError when a file
// is gone or damaged.
RawPass read_raw(const Log& log, const ColumnSet& columns, int64_t threads, RawRead how,
                 int64_t ring_bytes = 0);

// Asks the kernel to forget the log's bytes, so that the next pass reads the disk.
void drop_page_cache(const Log& log);

}  // namespace alm::io
