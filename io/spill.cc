#include "io/spill.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "io/input_file.h"
#include "kernels/base/check.h"

namespace alm::io {

namespace {

constexpr int64_t kPieceBytes = int64_t{1} << 20;

size_t at(int64_t index) {
  return static_cast<size_t>(index);
}

// An open file, closed at the end.
class Descriptor {
 public:
  Descriptor(const std::string& path, int flags) : number_(::open(path.c_str(), flags, 0600)) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }
  bool is_open() const { return number_ >= 0; }

 private:
  int number_;
};

std::string file_of(const std::string& path, int64_t partition) {
  return path + "." + std::to_string(partition);
}

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw MachineError(format("%s: a temporary file of the import cannot be %s: %s", path.c_str(),
                            what, std::strerror(errno)));
}

}  // namespace

struct SpillWriter::State {
  std::string path;
  int64_t writer;
  size_t buffer_bytes;
  std::vector<std::vector<std::byte>> buffers;
  std::vector<std::vector<SpillPiece>> pieces;

  // The piece that `bytes` more belong to.
  SpillPiece& piece_for(int64_t partition) {
    std::vector<SpillPiece>& of_partition = pieces[at(partition)];
    if (of_partition.empty()) {
      of_partition.push_back({writer, partition, 0, 0});
    } else if (of_partition.back().bytes >= kPieceBytes) {
      const SpillPiece& last = of_partition.back();
      of_partition.push_back({writer, partition, last.offset + last.bytes, 0});
    }
    return of_partition.back();
  }

  void write(int64_t partition, std::span<const std::byte> bytes) {
    if (bytes.empty()) return;
    piece_for(partition).bytes += static_cast<int64_t>(bytes.size());
    const std::string name = file_of(path, partition);
    const Descriptor file(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC);
    if (!file.is_open()) fail(name, "made");
    while (!bytes.empty()) {
      const ssize_t count = ::write(file.number(), bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail(name, "written (free space there, or name --out on another disk)");
      bytes = bytes.subspan(static_cast<size_t>(count));
    }
  }
};

SpillWriter::SpillWriter(const std::string& path, int64_t writer, int64_t partitions,
                         int64_t buffer_bytes)
    : state_(new State{path, writer, at(buffer_bytes),
                       std::vector<std::vector<std::byte>>(at(partitions)),
                       std::vector<std::vector<SpillPiece>>(at(partitions))}) {}

SpillWriter::~SpillWriter() = default;

void SpillWriter::append(int64_t partition, std::span<const std::byte> record) {
  std::vector<std::byte>& buffer = state_->buffers[at(partition)];
  if (buffer.size() + record.size() > state_->buffer_bytes) {
    state_->write(partition, buffer);
    buffer.clear();
  }
  if (record.size() > state_->buffer_bytes) return state_->write(partition, record);
  if (buffer.capacity() == 0) buffer.reserve(state_->buffer_bytes);
  buffer.insert(buffer.end(), record.begin(), record.end());
}

void SpillWriter::flush(int64_t partition) {
  std::vector<std::byte>& buffer = state_->buffers[at(partition)];
  state_->write(partition, buffer);
  std::vector<std::byte>().swap(buffer);
}

std::vector<std::vector<SpillPiece>> SpillWriter::finish() {
  for (size_t partition = 0; partition < state_->buffers.size(); ++partition) {
    flush(static_cast<int64_t>(partition));
  }
  return std::move(state_->pieces);
}

void read_spill(const std::string& path, const SpillPiece& piece, std::vector<std::byte>& to) {
  const std::string name = file_of(path, piece.partition);
  const Descriptor file(name, O_RDONLY | O_CLOEXEC);
  if (!file.is_open()) fail(name, "opened");
  const size_t before = to.size();
  to.resize(before + at(piece.bytes));
  const int64_t got = read_at(file.number(), piece.offset, std::span(to).subspan(before));
  if (got < 0) fail(name, "read");
  if (got < piece.bytes) {
    throw MachineError(name + ": a temporary file of the import is shorter than it was written");
  }
}

}  // namespace alm::io
