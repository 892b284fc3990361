// Reading a log. HDF5 serves as the index; bytes come by pread and are checked and decoded on the
// caller's threads; H5Dread is the fall-back for layouts we do not decode, and the test oracle.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/file_index.h"
#include "io/journeys.h"
#include "io/read_report.h"

namespace alm::io {

enum class OnBadRow { fail, skip };

struct LogOptions {
  std::string index_dir =
      {};  // where index sidecars go; empty: beside each log file where that is writable
  OnBadRow on_bad_row = OnBadRow::fail;
  int64_t max_touches = 64;  // longer journeys keep the latest
  bool use_h5dread = false;  // the oracle path (tests)
};

// One file of the log.
struct LogFile {
  std::string path;
  int64_t first_row = 0;
  int64_t rows = 0;
  int64_t touches = 0;
  int64_t bytes = 0;
};

// A run of consecutive rows inside one file: the unit of reading, sharding and shuffling.
struct BlockInfo {
  int64_t file = 0;
  int64_t first_row = 0;  // in the whole log
  int64_t rows = 0;
};

// Opened once, then read-only and thread-safe. Does not know ranks: under MPI every rank opens it.
class Log {
 public:
  // `paths`: files, directories (all *.h5 inside, sorted) or globs. UserError with one line when
  // nothing is found, a file is not a log, or the files' schemas differ.
  static std::shared_ptr<const Log> open(const std::vector<std::string>& paths,
                                         const LogOptions& options);
  virtual ~Log() = default;

  virtual const LogSchema& schema() const = 0;
  virtual const LogOptions& options() const = 0;
  virtual const std::vector<LogFile>& files() const = 0;
  // How one of them is stored; nullptr for a log that lies in no file.
  virtual const FileIndex* file_index(int64_t /*file*/) const { return nullptr; }
  virtual int64_t rows() const = 0;
  virtual int64_t touches() const = 0;
  virtual const std::vector<BlockInfo>& blocks() const = 0;
  // SHA-256 over file sizes, row counts, schema and the first and last bytes of each file: the same
  // log gives the same hash wherever it lies. 64 hex digits.
  virtual const std::string& manifest_hash() const = 0;
  // Warnings of opening (old format without checksums, many chunks, ...), one line each.
  virtual const std::vector<std::string>& warnings() const = 0;

  // Overwrites `out` with the rows of one block, checked (contract 2) and cut to max_touches.
  // Returns what was met. UserError on a bad row under OnBadRow::fail, on damage, on a checksum.
  virtual ReadReport read_block(int64_t block, const ColumnSet& columns, Journeys& out) const = 0;
  // Memory for decoded chunks, while the result lives (not longer than the log), for a reader that
  // goes on from block to block in `places` parts of the log in turn: each chunk is decoded once
  // for all blocks that follow each other. Without it there is enough for a few places.
  virtual std::shared_ptr<const void> keep_chunks(int64_t /*places*/,
                                                  const ColumnSet& /*columns*/) const {
    return nullptr;
  }
  // Of decoded chunks at most, while keep_chunks() lasts for so many places; 0: without it.
  virtual int64_t most_chunk_bytes(int64_t /*places*/, const ColumnSet& /*columns*/) const {
    return 0;
  }
};

// A log in a message: "logs/a.h5", "logs/a.h5 and 3 more files".
std::string title_of(const Log& log);

}  // namespace alm::io
