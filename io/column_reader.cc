#include "io/column_reader.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "io/codec.h"
#include "io/hdf5_child.h"
#include "io/loader_phases.h"
#include "kernels/base/check.h"
#include "kernels/base/clock.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

// A piece of a data set without chunks.
constexpr int64_t kRunBytes = int64_t{1} << 20;

// Buffers of a reading thread.
struct Desk {
  Buffer stored;
  Buffer scratch;
  Buffer run;
  Hdf5Child hdf5;
};

Desk& desk() {
  thread_local Desk instance;
  return instance;
}

}  // namespace

ColumnReader::ColumnReader(const std::string& path, const FileIndex& index, int64_t number,
                           ChunkCache& cache, bool use_hdf5)
    : path_(path), index_(index), number_(number), cache_(cache), use_hdf5_(use_hdf5), file_(path) {
  struct stat status {};
  if (::fstat(file_.number(), &status) != 0 || status.st_size != index.bytes) {
    throw UserError(path + ": has changed since the log was opened: start again");
  }
}

void ColumnReader::fail(const DatasetIndex& set, int64_t first, int64_t last,
                        const std::string& what) const {
  throw UserError(format("%s, data set %s, rows %lld to %lld: %s", path_.c_str(), set.path.c_str(),
                         static_cast<long long>(first), static_cast<long long>(last - 1),
                         what.c_str()));
}

void ColumnReader::read_bytes(const DatasetIndex& set, int64_t first, int64_t last,
                              uint64_t address, std::span<std::byte> out) const {
  const PhaseTimer timer(thread_phases().read);
  const int64_t got = file_.read(static_cast<int64_t>(address), out);
  if (got < 0) fail(set, first, last, std::string("cannot be read: ") + std::strerror(errno));
  if (got < static_cast<int64_t>(out.size())) {
    fail(set, first, last, "the file ends before them: it is truncated");
  }
}

// Chunks stored as they are, with a checksum or without, are read to where they are wanted.
void ColumnReader::decode(const DatasetIndex& set, int64_t chunk, std::byte* out) const {
  const int64_t begin = chunk * set.chunk_rows;
  const int64_t end = std::min(begin + set.chunk_rows, set.rows);
  const ChunkPlace& place = set.chunks[static_cast<size_t>(chunk)];
  const std::span plain(out, static_cast<size_t>(set.chunk_rows * set.row_bytes()));
  const char* fault = nullptr;
  const std::optional<int64_t> checksums = plain_checksums(set.filters, place.mask);
  if (checksums && *checksums <= 1) {
    std::array<std::byte, kChecksumBytes> tail;
    const auto rest = std::span(tail).first(static_cast<size_t>(*checksums) * kChecksumBytes);
    if (place.bytes != plain.size() + rest.size()) {
      fault = "a chunk has the wrong size";
    } else {
      read_bytes(set, begin, end, place.address, plain);
      read_bytes(set, begin, end, place.address + plain.size(), rest);
      if (!rest.empty() && !checksum_fits(plain, rest.data())) {
        fault = "the checksum does not match";
      }
    }
  } else {
    Desk& d = desk();
    std::byte* stored = d.stored.resize(place.bytes);
    read_bytes(set, begin, end, place.address, {stored, place.bytes});
    fault = decode_chunk(set.filters, place.mask, plain, d.stored, d.scratch);
  }
  if (fault != nullptr) {
    fail(set, begin, end, std::string(fault) + ": the file is damaged, bring it again");
  }
}

ColumnReader::Run ColumnReader::shared(const DatasetIndex& set, int64_t slot, int64_t first,
                                       int64_t last) {
  const int64_t chunk = first / set.chunk_rows;
  const int64_t begin = chunk * set.chunk_rows;
  const auto bytes = static_cast<uint64_t>(set.chunk_rows * set.row_bytes());
  const ChunkPlace& place = set.chunks[static_cast<size_t>(chunk)];
  if (!may_hold(set.filters, place.mask, place.bytes, bytes)) {
    fail(set, begin, std::min(begin + set.chunk_rows, set.rows),
         "the compressed bytes are damaged: the file is damaged, bring it again");
  }
  pin_ =
      cache_.get({number_, slot, chunk}, bytes, [&](std::byte* out) { decode(set, chunk, out); });
  const int64_t end = std::min(begin + set.chunk_rows, set.rows);
  if (last >= end) pin_.finish();
  return {pin_.data() + (first - begin) * set.row_bytes(), std::min(end, last) - first};
}

// Of a set without chunks.
void ColumnReader::read_rows(const DatasetIndex& set, int64_t first, int64_t last, std::byte* out) {
  if (set.layout == Layout::contiguous && !use_hdf5_) {
    const auto bytes = static_cast<size_t>((last - first) * set.row_bytes());
    read_bytes(set, first, last, set.address + static_cast<uint64_t>(first * set.row_bytes()),
               {out, bytes});
    return;
  }
  const PhaseTimer timer(thread_phases().read);
  desk().hdf5.read_rows(path_, index_.bytes, set, first, last, out);
}

ColumnReader::Run ColumnReader::next(int64_t slot, int64_t first, int64_t last) {
  const DatasetIndex& set = *index_.sets[static_cast<size_t>(slot)];
  if (set.layout == Layout::chunked && !use_hdf5_) return shared(set, slot, first, last);
  last = std::min(last, first + std::max<int64_t>(1, kRunBytes / set.row_bytes()));
  std::byte* out = desk().run.resize(static_cast<size_t>((last - first) * set.row_bytes()));
  read_rows(set, first, last, out);
  return {out, last - first};
}

void ColumnReader::read(int64_t slot, int64_t first, int64_t last, std::byte* out) {
  const DatasetIndex& set = *index_.sets[static_cast<size_t>(slot)];
  const bool chunked = set.layout == Layout::chunked && !use_hdf5_;
  while (first < last) {
    int64_t rows = last - first;
    if (!chunked) {
      rows = std::min(rows, std::max<int64_t>(1, kRunBytes / set.row_bytes()));
      read_rows(set, first, first + rows, out);
    } else if (const ChunkPlace& place = set.chunks[static_cast<size_t>(first / set.chunk_rows)];
               plain_checksums(set.filters, place.mask) == 0) {
      const int64_t skipped = first % set.chunk_rows;
      rows = std::min(rows, set.chunk_rows - skipped);
      if (place.bytes != static_cast<uint64_t>(set.chunk_rows * set.row_bytes())) {
        fail(set, first, first + rows, "a chunk has the wrong size: the file is damaged");
      }
      read_bytes(set, first, first + rows,
                 place.address + static_cast<uint64_t>(skipped * set.row_bytes()),
                 {out, static_cast<size_t>(rows * set.row_bytes())});
    } else if (first % set.chunk_rows == 0 && rows >= set.chunk_rows) {
      rows = set.chunk_rows;
      decode(set, first / set.chunk_rows, out);
    } else {
      const Run run = shared(set, slot, first, last);
      rows = run.rows;
      const PhaseTimer timer(thread_phases().decode);
      std::memcpy(out, run.data, static_cast<size_t>(rows * set.row_bytes()));
    }
    first += rows;
    out += rows * set.row_bytes();
  }
}

}  // namespace alm::io
