// Records set aside on disk, in partitions: what lets an import of any size use little memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace alm::io {

// A run of whole records of one partition.
struct SpillPiece {
  int64_t writer = 0;  // which of several: the rank
  int64_t partition = 0;
  int64_t offset = 0;  // in the partition's file
  int64_t bytes = 0;
};

// Writes a file a partition, "<path>.<partition>" where there are records. Each partition has a
// buffer, so files are written in large parts whatever the order of records; none is open in
// between. Not thread-safe.
class SpillWriter {
 public:
  // `writer`: number of this one in its pieces.
  SpillWriter(const std::string& path, int64_t writer, int64_t partitions, int64_t buffer_bytes);
  ~SpillWriter();
  SpillWriter(const SpillWriter&) = delete;
  SpillWriter& operator=(const SpillWriter&) = delete;

  // MachineError when the disk is full.
  void append(int64_t partition, std::span<const std::byte> record);
  // Writes what the partition has buffered and gives its buffer back.
  void flush(int64_t partition);
  // Flushes all. The pieces of each partition, in the order of appending, of about 1 MiB or one
  // buffer, whichever is more.
  std::vector<std::vector<SpillPiece>> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Appends the bytes of a piece to `to`; `path` is its writer's. MachineError when they cannot be
// read.
void read_spill(const std::string& path, const SpillPiece& piece, std::vector<std::byte>& to);

}  // namespace alm::io
