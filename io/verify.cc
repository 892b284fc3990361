#include "io/verify.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "io/codec.h"
#include "io/hdf5_child.h"
#include "io/index_sidecar.h"
#include "io/input_file.h"
#include "kernels/base/check.h"

namespace alm::io {

namespace {

constexpr int64_t kRunBytes = int64_t{4} << 20;

// Rows of a piece.
int64_t piece_rows(const DatasetIndex& set) {
  return set.layout == Layout::chunked ? set.chunk_rows
                                       : std::max<int64_t>(1, kRunBytes / set.row_bytes());
}

const char* read_whole(const std::string& path, uint64_t address, std::span<std::byte> out) {
  const InputFile file(path);
  const int64_t got = file.read(static_cast<int64_t>(address), out);
  if (got < 0) return std::strerror(errno);
  return got < static_cast<int64_t>(out.size()) ? "the file ends before them" : nullptr;
}

}  // namespace

void VerifyCounts::add(const VerifyCounts& later) {
  checked_bytes += later.checked_bytes;
  unchecked_bytes += later.unchecked_bytes;
  damaged_pieces += later.damaged_pieces;
  for (const std::string& line : later.damage) {
    if (damage.size() < kMostDamage) damage.push_back(line);
  }
}

std::vector<StoredPiece> stored_pieces(const Log& log) {
  std::vector<StoredPiece> pieces;
  for (size_t file = 0; file < log.files().size(); ++file) {
    const FileIndex* index = log.file_index(static_cast<int64_t>(file));
    for (int64_t slot = 0; index != nullptr && slot < kSlots; ++slot) {
      const auto& set = index->sets[static_cast<size_t>(slot)];
      if (!set || set->layout == Layout::hdf5 || set->rows == 0) continue;
      const int64_t count = (set->rows - 1) / piece_rows(*set) + 1;
      for (int64_t number = 0; number < count; ++number) {
        pieces.push_back({static_cast<int64_t>(file), slot, number});
      }
    }
  }
  return pieces;
}

VerifyCounts verify_piece(const Log& log, const StoredPiece& piece) {
  thread_local Buffer bytes;
  thread_local Buffer scratch;
  thread_local Buffer plain;
  const FileIndex& index = *log.file_index(piece.file);
  const std::string& path = log.files()[static_cast<size_t>(piece.file)].path;
  const DatasetIndex& set = *index.sets[static_cast<size_t>(piece.slot)];
  const int64_t rows = piece_rows(set);
  const int64_t first = piece.number * rows;
  const int64_t last = std::min(first + rows, set.rows);
  const bool chunked = set.layout == Layout::chunked;
  ChunkPlace place;
  if (chunked) {
    place = set.chunks[static_cast<size_t>(piece.number)];
  } else {
    place.address = set.address + static_cast<uint64_t>(first * set.row_bytes());
    place.bytes = static_cast<uint64_t>((last - first) * set.row_bytes());
  }
  VerifyCounts counts;
  const char* fault = read_whole(path, place.address,
                                 {bytes.resize(place.bytes), static_cast<size_t>(place.bytes)});
  if (fault == nullptr && chunked) {
    const auto size = static_cast<size_t>(rows * set.row_bytes());
    fault = decode_chunk(set.filters, place.mask, {plain.resize(size), size}, bytes, scratch);
  }
  (set.detects_damage ? counts.checked_bytes : counts.unchecked_bytes) =
      static_cast<int64_t>(place.bytes);
  if (fault != nullptr) {
    counts.damaged_pieces = 1;
    counts.damage.push_back(format("%s, data set %s, rows %lld to %lld: %s: bring the file again",
                                   path.c_str(), set.path.c_str(), static_cast<long long>(first),
                                   static_cast<long long>(last - 1), fault));
  }
  return counts;
}

std::string verify_structure(const Log& log, int64_t file) {
  const LogFile& entry = log.files()[static_cast<size_t>(file)];
  try {
    FileIndex fresh = Hdf5Child().read_index(entry.path, entry.bytes);
    FileIndex known = *log.file_index(file);
    // Where the file names none, the log has put in the default.
    if (fresh.schema.block_rows == 0) fresh.schema.block_rows = known.schema.block_rows;
    if (pack_index(fresh) == pack_index(known)) return "";
    return entry.path + ": its index file does not fit it: remove " +
           sidecar_path(entry.path, log.options().index_dir);
  } catch (const UserError& error) {
    return error.what();
  }
}

}  // namespace alm::io
