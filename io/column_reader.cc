#include "io/column_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "io/codec.h"
#include "kernels/base/check.h"

namespace alm::io {

namespace {

// A piece of a data set without chunks.
constexpr int64_t kRunBytes = int64_t{1} << 20;

struct CachedChunk {
  uint64_t identity = 0;  // of the file; 0 = empty
  int64_t chunk = -1;
  Buffer bytes;
};

struct ThreadCache {
  std::array<CachedChunk, kSlots> slots;
  Buffer scratch;
};

ThreadCache& cache() {
  thread_local ThreadCache instance;
  return instance;
}

}  // namespace

ColumnReader::ColumnReader(const std::string& path, const FileIndex& index, uint64_t identity,
                           bool use_hdf5)
    : path_(path), index_(index), identity_(identity), use_hdf5_(use_hdf5) {
  file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file_ < 0) throw UserError(path + ": cannot be opened: " + std::strerror(errno));
  struct stat status {};
  if (::fstat(file_, &status) != 0 || status.st_size != index.bytes) {
    ::close(file_);
    throw UserError(path + ": has changed since the log was opened: start again");
  }
}

ColumnReader::~ColumnReader() {
  ::close(file_);
  if (hdf5_) {
    const Hdf5Session session;
    hdf5_.reset();
  }
}

void ColumnReader::fail(const DatasetIndex& set, int64_t first, int64_t last,
                        const std::string& what) const {
  throw UserError(format("%s, data set %s, rows %lld to %lld: %s", path_.c_str(), set.path.c_str(),
                         static_cast<long long>(first), static_cast<long long>(last - 1),
                         what.c_str()));
}

void ColumnReader::read_bytes(const DatasetIndex& set, int64_t first, int64_t last,
                              uint64_t address, size_t bytes, std::byte* out) const {
  while (bytes > 0) {
    const ssize_t got = ::pread(file_, out, bytes, static_cast<off_t>(address));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(set, first, last, std::string("cannot be read: ") + std::strerror(errno));
    if (got == 0) fail(set, first, last, "the file ends before them: it is truncated");
    out += got;
    address += static_cast<uint64_t>(got);
    bytes -= static_cast<size_t>(got);
  }
}

ColumnReader::Run ColumnReader::next(int64_t slot, int64_t first, int64_t last) {
  const DatasetIndex& set = *index_.sets[static_cast<size_t>(slot)];
  CachedChunk& cached = cache().slots[static_cast<size_t>(slot)];
  const Layout layout = use_hdf5_ ? Layout::hdf5 : set.layout;
  if (layout == Layout::chunked) {
    const int64_t number = first / set.chunk_rows;
    const int64_t begin = number * set.chunk_rows;
    const int64_t end = std::min(begin + set.chunk_rows, set.rows);
    if (cached.identity != identity_ || cached.chunk != number) {
      const ChunkPlace& place = set.chunks[static_cast<size_t>(number)];
      cached.identity = 0;  // until it is whole
      read_bytes(set, begin, end, place.address, place.bytes, cached.bytes.resize(place.bytes));
      const char* fault = decode_chunk(set.filters, place.mask,
                                       static_cast<size_t>(set.chunk_rows * set.row_bytes()),
                                       cached.bytes, cache().scratch);
      if (fault != nullptr) {
        fail(set, begin, end, std::string(fault) + ": the file is damaged, bring it again");
      }
      cached.identity = identity_;
      cached.chunk = number;
    }
    return {cached.bytes.data() + (first - begin) * set.row_bytes(), std::min(end, last) - first};
  }
  cached.identity = 0;
  last = std::min(last, first + std::max<int64_t>(1, kRunBytes / set.row_bytes()));
  const auto bytes = static_cast<size_t>((last - first) * set.row_bytes());
  std::byte* out = cached.bytes.resize(bytes);
  if (layout == Layout::contiguous) {
    read_bytes(set, first, last, set.address + static_cast<uint64_t>(first * set.row_bytes()),
               bytes, out);
  } else {
    const Hdf5Session session;
    if (!hdf5_) hdf5_ = hdf5_open(path_);
    if (!hdf5_ || !read_by_hdf5(hdf5_.get(), set, first, last, out)) {
      fail(set, first, last, "HDF5 cannot read them: " + hdf5_error());
    }
  }
  return {out, last - first};
}

}  // namespace alm::io
