#include "io/hdf5_child.h"

#include <cstring>

#include "io/file_indexer.h"
#include "io/hdf5_protocol.h"
#include "io/hdf5_rows.h"
#include "io/index_sidecar.h"
#include "kernels/base/check.h"

namespace alm::io {

namespace {

// Slow storage is not damage: time to read this much is granted on top.
constexpr int64_t kBytesPerSecond = int64_t{64} << 20;
constexpr uint64_t kMostAnswerBytes = uint64_t{1} << 33;

}  // namespace

FileIndex Hdf5Child::read_index(const std::string& path, int64_t file_bytes) {
  std::optional<FileIndex> index =
      ready() ? unpack_index(ask(path, file_bytes, kRequestIndex + path)) : read_file_index(path);
  if (!index || !is_consistent(*index)) blame(path, "what HDF5 found there contradicts itself");
  return std::move(*index);
}

void Hdf5Child::read_rows(const std::string& path, int64_t file_bytes, const DatasetIndex& set,
                          int64_t first, int64_t last, std::byte* out) {
  const RowRequest request{path, set, first, last};
  if (!ready()) {
    read_rows_here(request, out);
    return;
  }
  const std::string bytes = ask(request.subject(), file_bytes, kRequestRows + request.pack());
  if (bytes.size() != request.bytes()) blame(request.subject(), "HDF5 gave other bytes than asked");
  std::memcpy(out, bytes.data(), bytes.size());
}

// Without a helper (too many processes, no /proc) the log is read all the same, without this guard.
bool Hdf5Child::ready() {
  if (helper_available() && !child_) child_ = ChildProcess::start(kHelperArgument);
  return child_.has_value();
}

std::string Hdf5Child::ask(const std::string& subject, int64_t file_bytes,
                           const std::string& request) {
  using enum ChildProcess::Heard;
  const auto limit = patience_ + std::chrono::seconds(file_bytes / kBytesPerSecond);
  const auto receive = [&](std::span<std::byte> out) {
    const ChildProcess::Heard heard = child_->receive(out, limit);
    if (heard == end) blame(subject, "HDF5 crashed over it, " + child_->stop());
    if (heard == silence) {
      blame(subject, format("HDF5 did not come to an end within %lld s",
                            static_cast<long long>(limit.count() / 1000)));
    }
  };
  if (!child_->send(frame(request))) blame(subject, "HDF5 crashed over it, " + child_->stop());
  char answer = kAlive;
  while (answer == kAlive) receive(std::as_writable_bytes(std::span(&answer, 1)));
  uint64_t bytes = 0;
  receive(std::as_writable_bytes(std::span(&bytes, 1)));
  if (bytes > kMostAnswerBytes) blame(subject, "what HDF5 found there contradicts itself");
  std::string text(bytes, '\0');
  receive(std::as_writable_bytes(std::span(text)));
  if (answer == kDone) return text;
  child_.reset();  // HDF5 may be in any state after a file that it could not read
  if (answer == kMachineFault) throw MachineError(text);
  throw UserError(text);
}

void Hdf5Child::blame(const std::string& subject, const std::string& how) {
  child_.reset();
  throw UserError(subject + ": its HDF5 structure is damaged (" + how +
                  "): bring the file again, or write it anew");
}

}  // namespace alm::io
