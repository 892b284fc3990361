#include "io/raw_reads.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "io/codec.h"
#include "io/file_index.h"
#include "io/hdf5_child.h"
#include "io/schema.h"
#include "kernels/base/check.h"
#include "kernels/base/clock.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

constexpr int64_t kPieceBytes = int64_t{1} << 20;  // of a data set without chunks

struct Piece {
  int file = -1;
  uint64_t address = 0;
  uint64_t bytes = 0;
  uint64_t plain_bytes = 0;
  const Filter* compressor = nullptr;  // that was used
  uint64_t checksum_bytes = 0;         // behind what it made
};

// The files of a log, open, and the pieces of them that hold the wanted columns.
class Pieces {
 public:
  Pieces(const Log& log, const ColumnSet& columns) {
    Hdf5Child hdf5;
    for (const LogFile& file : log.files()) {
      indices_.push_back(index_file(file.path, log.options().index_dir, hdf5));
    }
    for (size_t number = 0; number < indices_.size(); ++number) {
      const std::string& path = log.files()[number].path;
      const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
      if (file < 0) throw UserError(path + ": cannot be opened: " + std::strerror(errno));
      files_.push_back(file);
      const FileIndex& index = indices_[number];
      add(file, *index.sets[kTouchBeginSlot]);
      for_each_column([&](const auto& column) {
        const auto& set = index.sets[static_cast<size_t>(column.slot)];
        if (set && column.is_wanted(columns)) add(file, *set);
      });
    }
    // As they lie on the disk.
    std::sort(list.begin(), list.end(), [](const Piece& a, const Piece& b) {
      return std::pair(a.file, a.address) < std::pair(b.file, b.address);
    });
  }
  ~Pieces() {
    for (const int file : files_) ::close(file);
  }
  Pieces(const Pieces&) = delete;
  Pieces& operator=(const Pieces&) = delete;

  std::vector<Piece> list;

 private:
  void add(int file, const DatasetIndex& set) {
    const auto plain = static_cast<uint64_t>(set.chunk_rows * set.row_bytes());
    for (const ChunkPlace& place : set.chunks) {
      Piece piece{file, place.address, place.bytes, plain};
      for (size_t stage = 0; stage < set.filters.size(); ++stage) {
        if ((place.mask >> std::min<size_t>(stage, 31) & 1u) != 0) continue;
        if (set.filters[stage].id == kFilterFletcher32) {
          piece.checksum_bytes += kChecksumBytes;
        } else if (set.filters[stage].id != kFilterShuffle) {
          piece.compressor = &set.filters[stage];
          piece.checksum_bytes = 0;
        }
      }
      list.push_back(piece);
    }
    if (set.layout != Layout::contiguous) return;
    const auto bytes = static_cast<uint64_t>(set.rows * set.row_bytes());
    for (uint64_t at = 0; at < bytes; at += kPieceBytes) {
      const uint64_t size = std::min<uint64_t>(kPieceBytes, bytes - at);
      list.push_back({file, set.address + at, size, size});
    }
  }

  std::vector<FileIndex> indices_;
  std::vector<int> files_;
};

void read_piece(const Piece& piece, std::byte* out) {
  for (uint64_t done = 0; done < piece.bytes;) {
    const ssize_t got = ::pread(piece.file, out + done, piece.bytes - done,
                                static_cast<off_t>(piece.address + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw UserError("a file of the log is truncated or cannot be read");
    done += static_cast<uint64_t>(got);
  }
}

// What one thread reads into.
struct Desk {
  Buffer stored;
  Buffer plain;
  Buffer scratch;
  Buffer ring;
  size_t ring_at = 0;

  void take(const Piece& piece, RawRead how, size_t ring_bytes) {
    if (how == RawRead::ring) {
      std::byte* memory = ring.resize(std::max<size_t>(ring_bytes, piece.bytes));
      if (ring_at + piece.bytes > ring.size()) ring_at = 0;
      read_piece(piece, memory + ring_at);
      ring_at += piece.bytes;
      return;
    }
    read_piece(piece, stored.resize(piece.bytes));
    if (how != RawRead::codec || piece.compressor == nullptr) return;
    if (piece.bytes < piece.checksum_bytes) return;
    stored.cut(piece.bytes - piece.checksum_bytes);
    std::byte* to = plain.resize(piece.plain_bytes);
    const char* fault =
        decode_chunk({piece.compressor, 1}, 0, {to, piece.plain_bytes}, stored, scratch);
    if (fault != nullptr) throw UserError(format("a chunk of the log: %s", fault));
  }
};

}  // namespace

double process_cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

RawPass read_raw(const Log& log, const ColumnSet& columns, int64_t threads, RawRead how,
                 int64_t ring_bytes) {
  const Pieces pieces(log, columns);
  RawPass pass;
  for (const Piece& piece : pieces.list) {
    pass.stored_bytes += static_cast<int64_t>(piece.bytes);
    pass.plain_bytes += static_cast<int64_t>(piece.plain_bytes);
  }
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      Desk desk;
      for (size_t at = next++; at < pieces.list.size(); at = next++) {
        desk.take(pieces.list[at], how, static_cast<size_t>(ring_bytes));
      }
    } catch (...) {
      std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
  };
  const double cpu_before = process_cpu_seconds();
  const Timer timer;
  std::vector<std::thread> crew;
  for (int64_t thread = 0; thread < threads; ++thread) crew.emplace_back(work);
  for (std::thread& thread : crew) thread.join();
  pass.seconds = timer.seconds();
  pass.cpu_seconds = process_cpu_seconds() - cpu_before;
  if (failure) std::rethrow_exception(failure);
  return pass;
}

void drop_page_cache(const Log& log) {
  for (const LogFile& file : log.files()) {
    const int opened = ::open(file.path.c_str(), O_RDONLY | O_CLOEXEC);
    if (opened < 0) throw UserError(file.path + ": cannot be opened: " + std::strerror(errno));
    ::posix_fadvise(opened, 0, 0, POSIX_FADV_DONTNEED);
    ::close(opened);
  }
}

}  // namespace alm::io
