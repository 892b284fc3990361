// Records set aside on disk, in partitions: what lets an import of any size use little memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace alm::io {

// A run of whole records of one partition in a spill file.
struct SpillPiece {
  int64_t file = 0;  // which of several spill files: the rank that wrote it
  int64_t offset = 0;
  int64_t bytes = 0;
};

// Writes one file. Each partition has a buffer, written as a piece when it is full, so the file is
// written in large pieces whatever the order of records. Not thread-safe.
class SpillWriter {
 public:
  // MachineError when the file cannot be made. `file`: number of this file in its pieces.
  SpillWriter(const std::string& path, int64_t file, int64_t partitions, int64_t buffer_bytes);
  ~SpillWriter();
  SpillWriter(const SpillWriter&) = delete;
  SpillWriter& operator=(const SpillWriter&) = delete;

  // MachineError when the disk is full.
  void append(int64_t partition, std::span<const std::byte> record);
  // Writes what the partition has buffered and gives its buffer back.
  void flush(int64_t partition);
  // Flushes all and closes. The pieces of each partition, in the order of appending.
  std::vector<std::vector<SpillPiece>> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Appends the bytes of a piece of file `path` to `to`. MachineError when they cannot be read.
void read_spill(const std::string& path, const SpillPiece& piece, std::vector<std::byte>& to);

}  // namespace alm::io
