#include "io/file_index.h"

#include <algorithm>
#include <filesystem>

#include "io/digest.h"
#include "io/file_key.h"
#include "io/hdf5_child.h"
#include "io/index_sidecar.h"
#include "io/json.h"
#include "kernels/base/check.h"

namespace alm::io {

namespace {

constexpr int64_t kMostChunkBytes = int64_t{1} << 32;  // HDF5's own limit
constexpr int64_t kMostRows = int64_t{1} << 48;
constexpr int64_t kMostColumns = int64_t{1} << 24;
constexpr int64_t kMostClusters = int64_t{1} << 24;
constexpr int64_t kMostBytes = int64_t{1} << 50;

bool is_inside(uint64_t address, uint64_t bytes, int64_t file_bytes) {
  const auto end = static_cast<uint64_t>(file_bytes);
  return address <= end && bytes <= end - address;
}

bool is_consistent(const DatasetIndex& set, int64_t rows, int64_t width, int64_t dimensions,
                   int64_t file_bytes) {
  const int64_t bytes = set.type.bytes;
  const bool is_number = bytes == 4 || bytes == 8 ||
                         (set.type.kind != NumberKind::floating && (bytes == 1 || bytes == 2));
  if (!is_number || set.rows != rows || set.width != width || set.dimensions != dimensions) {
    return false;
  }
  if (rows > kMostBytes / set.row_bytes()) return false;
  if (rows == 0 || set.layout == Layout::hdf5) return true;
  if (set.layout == Layout::contiguous) {
    return rows <= file_bytes / set.row_bytes() &&
           is_inside(set.address, static_cast<uint64_t>(rows * set.row_bytes()), file_bytes);
  }
  if (set.layout != Layout::chunked || set.chunk_rows < 1 || !can_decode(set.filters) ||
      set.chunk_rows > kMostChunkBytes / set.row_bytes() ||
      static_cast<int64_t>(set.chunks.size()) != (rows - 1) / set.chunk_rows + 1) {
    return false;
  }
  return std::all_of(set.chunks.begin(), set.chunks.end(), [&](const ChunkPlace& chunk) {
    return is_inside(chunk.address, chunk.bytes, file_bytes);
  });
}

// Of a set that is there.
bool is_floating(const FileIndex& index, int64_t slot) {
  return index.sets[static_cast<size_t>(slot)]->type.kind == NumberKind::floating;
}

template <class T>
bool holds_floats(const Column<T>&) {
  return std::is_floating_point_v<T>;
}

// One for each column, or none at all.
template <class T>
bool fits(const std::vector<T>& list, int64_t columns) {
  return list.empty() || static_cast<int64_t>(list.size()) == columns;
}

bool are_utf8(const std::vector<std::string>& names) {
  return std::all_of(names.begin(), names.end(),
                     [](const std::string& name) { return valid_utf8(name) == name; });
}

}  // namespace

bool is_consistent(const FileIndex& index) {
  const LogSchema& schema = index.schema;
  const int64_t reference = schema.reference_cluster.value_or(0);
  bool good = index.rows >= 0 && index.rows < kMostRows && index.touches >= 0 &&
              index.touches < kMostRows && schema.clusters >= 1 &&
              schema.clusters <= kMostClusters && schema.block_rows >= 0 && reference >= 0 &&
              reference < schema.clusters;
  const auto check = [&](int64_t slot, int64_t rows, int64_t width, int64_t dimensions) {
    const auto& set = index.sets[static_cast<size_t>(slot)];
    good = good && set.has_value() == (width > 0) && width >= 0 && width < kMostColumns &&
           (!set || is_consistent(*set, rows, width, dimensions, index.bytes));
  };
  check(kTouchBeginSlot, index.rows + 1, 1, 1);
  for_each_column([&](const auto& column) {
    check(column.slot, column.scope == Scope::journey ? index.rows : index.touches,
          column.width(schema), column.is_matrix() ? 2 : 1);
    good = good && (column.slot == kOutcomeSlot || column.width(schema) == 0 ||
                    is_floating(index, column.slot) == holds_floats(column));
  });
  good = good && !is_floating(index, kTouchBeginSlot) &&
         is_floating(index, kOutcomeSlot) == (schema.outcome == OutcomeKind::continuous);
  for_each_name_list([&](const char*, auto names, auto width) {
    good = good && fits(schema.*names, schema.*width) && are_utf8(schema.*names);
  });
  return good && fits(schema.proxy_leaky, schema.proxies);
}

std::string sidecar_path(const std::string& path, const std::string& index_dir) {
  if (index_dir.empty()) return path + ".index";
  const std::filesystem::path full = std::filesystem::absolute(path).lexically_normal();
  Sha256 digest;
  digest.update(full.string());
  return (std::filesystem::path(index_dir) /
          (full.filename().string() + "." + digest.hex().substr(0, 16) + ".index"))
      .string();
}

FileIndex index_file(const std::string& path, const std::string& index_dir, Hdf5Child& hdf5) {
  const FileKey key = look_at(path);
  const std::string sidecar = sidecar_path(path, index_dir);
  if (auto index = load_sidecar(sidecar, key)) {
    index->modified_ns = key.modified_ns;
    return std::move(*index);
  }
  FileIndex index = hdf5.read_index(path, key.bytes);
  if (look_at(path) != key) throw UserError(path + ": changes while it is read");
  if (!index_dir.empty()) {
    std::error_code ignored;
    std::filesystem::create_directories(index_dir, ignored);
  }
  save_sidecar(sidecar, key, index);
  index.modified_ns = key.modified_ns;
  return index;
}

}  // namespace alm::io
