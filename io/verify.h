// Every stored byte of a log against its checksum, whatever the bytes mean.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/log_reader.h"

namespace alm::io {

// A piece of a data set that is read and checked at once: a chunk, or a run of bytes without one.
struct StoredPiece {
  int64_t file = 0;
  int64_t slot = 0;
  int64_t number = 0;
};

// All of them, in the order of files and data sets. Data sets that only HDF5 reads have none: HDF5
// checks them while it reads them.
std::vector<StoredPiece> stored_pieces(const Log& log);

struct VerifyCounts {
  int64_t checked_bytes = 0;    // had a checksum
  int64_t unchecked_bytes = 0;  // were read, but damage could not be seen
  int64_t damaged_pieces = 0;
  std::vector<std::string> damage;  // the first kMostDamage, one line each

  static constexpr size_t kMostDamage = 20;
  void add(const VerifyCounts& later);
};

// Reads one piece. Thread-safe. Damage is counted, not thrown; UserError where the file is gone.
VerifyCounts verify_piece(const Log& log, const StoredPiece& piece);

// Whether what HDF5 says of the file now is what the log was opened by: nothing, or one line. Reads
// the file's own structure, whose checksums HDF5 verifies where the file has them.
std::string verify_structure(const Log& log, int64_t file);

}  // namespace alm::io
