#include "io/raw_reads.h"

#include <fcntl.h>

#include <algorithm>
#include <ctime>
#include <deque>
#include <vector>

#include "io/codec.h"
#include "io/file_index.h"
#include "io/input_file.h"
#include "io/schema.h"
#include "kernels/base/check.h"
#include "kernels/base/clock.h"
#include "kernels/base/text.h"
#include "kernels/base/thread_pool.h"

namespace alm::io {

namespace {

constexpr int64_t kPieceBytes = int64_t{1} << 20;  // of a data set without chunks

struct Piece {
  const InputFile* file = nullptr;
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
    for (size_t number = 0; number < log.files().size(); ++number) {
      const FileIndex* known = log.file_index(static_cast<int64_t>(number));
      ALM_CHECK(known != nullptr);  // only logs of files are measured
      const FileIndex& index = *known;
      const InputFile& file = files_.emplace_back(log.files()[number].path);
      add(file, *index.sets[kTouchBeginSlot]);
      for_each_column([&](const auto& column) {
        const auto& set = index.sets[static_cast<size_t>(column.slot)];
        if (set && column.is_wanted(columns)) add(file, *set);
      });
    }
    // As they lie on the disk.
    std::sort(list.begin(), list.end(), [](const Piece& a, const Piece& b) {
      return std::pair(a.file->number(), a.address) < std::pair(b.file->number(), b.address);
    });
  }
  Pieces(const Pieces&) = delete;
  Pieces& operator=(const Pieces&) = delete;

  std::vector<Piece> list;

 private:
  void add(const InputFile& file, const DatasetIndex& set) {
    const auto plain = static_cast<uint64_t>(set.chunk_rows * set.row_bytes());
    for (const ChunkPlace& place : set.chunks) {
      Piece piece{&file, place.address, place.bytes, plain};
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
      list.push_back({&file, set.address + at, size, size});
    }
  }

  std::deque<InputFile> files_;
};

void read_piece(const Piece& piece, std::byte* out) {
  const int64_t got = piece.file->read(static_cast<int64_t>(piece.address), {out, piece.bytes});
  if (got < static_cast<int64_t>(piece.bytes)) {
    throw UserError("a file of the log is truncated or cannot be read");
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
  ThreadPool pool(threads);
  std::vector<Desk> desks(static_cast<size_t>(threads));
  const double cpu_before = process_cpu_seconds();
  const Timer timer;
  pool.parallel_for(static_cast<int64_t>(pieces.list.size()), [&](int64_t piece, int64_t thread) {
    desks[static_cast<size_t>(thread)].take(pieces.list[static_cast<size_t>(piece)], how,
                                            static_cast<size_t>(ring_bytes));
  });
  pass.seconds = timer.seconds();
  pass.cpu_seconds = process_cpu_seconds() - cpu_before;
  return pass;
}

void drop_page_cache(const Log& log) {
  for (const LogFile& file : log.files()) {
    const InputFile opened(file.path);
    ::posix_fadvise(opened.number(), 0, 0, POSIX_FADV_DONTNEED);
  }
}

}  // namespace alm::io
