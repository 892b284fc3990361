// A log in HDF5 files: opening them, and reading a block of rows.
#include "io/log_reader.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "io/column_reader.h"
#include "io/digest.h"
#include "io/file_index.h"
#include "io/hdf5_child.h"
#include "io/loader_phases.h"
#include "io/log_files.h"
#include "io/log_warnings.h"
#include "io/log_writer.h"
#include "io/read_rows.h"
#include "io/row_checks.h"
#include "io/schema.h"
#include "kernels/base/check.h"
#include "kernels/base/clock.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

// A foreign block_rows may be anything; memory is bounded by this.
constexpr int64_t kMostBlockRows = int64_t{1} << 20;
constexpr int64_t kMostBlocks = int64_t{1} << 22;  // of a file
// Of decoded chunks that blocks share: room for two of every column.
constexpr size_t kCacheBytes = size_t{64} << 20;
constexpr int64_t kMostPlaceBytes = int64_t{32} << 20;  // of keep_chunks(), a place

// Buffers of one reading thread.
struct Desk {
  std::vector<int64_t> offsets;
  Spans spans;
  BadRows bad;
};

Desk& desk() {
  thread_local Desk instance;
  return instance;
}

class Hdf5Log final : public Log {
 public:
  Hdf5Log(const std::vector<std::string>& paths, const LogOptions& options) : options_(options) {
    ALM_CHECK(options.max_touches > 0);
    WarningList warnings;
    Sha256 digest;
    Hdf5Child hdf5;
    for (const std::string& path : list_log_files(paths)) add_file(path, hdf5, warnings, digest);
    digest.update(schema_text(schema()));
    manifest_hash_ = digest.hex();
    warnings_ = warnings.lines();
  }

  const LogSchema& schema() const override { return indices_.front().schema; }
  const LogOptions& options() const override { return options_; }
  const std::vector<LogFile>& files() const override { return files_; }
  const FileIndex* file_index(int64_t file) const override {
    return &indices_[static_cast<size_t>(file)];
  }
  int64_t rows() const override { return rows_; }
  int64_t touches() const override { return touches_; }
  const std::vector<BlockInfo>& blocks() const override { return blocks_; }
  const std::string& manifest_hash() const override { return manifest_hash_; }
  const std::vector<std::string>& warnings() const override { return warnings_; }

  ReadReport read_block(int64_t block, const ColumnSet& columns, Journeys& out) const override {
    ALM_CHECK(block >= 0 && block < static_cast<int64_t>(blocks_.size()));
    const BlockInfo& info = blocks_[static_cast<size_t>(block)];
    const auto number = static_cast<size_t>(info.file);
    const LogFile& file = files_[number];
    const FileIndex& index = indices_[number];
    const int64_t first = info.first_row - file.first_row;
    Desk& d = desk();
    ColumnReader reader(file.path, index, info.file, cache_, options_.use_h5dread);
    d.bad.start(file.path, first, info.rows);
    read_spans(reader, file, index, first, info.rows, d);
    read_columns(reader, index, columns, first, info.rows, d, out);
    require_unchanged(file, index);
    {
      const PhaseTimer timer(thread_phases().check);
      check_rows(schema(), out, d.spans, d.bad);
    }
    if (d.bad.any() && options_.on_bad_row == OnBadRow::fail) {
      throw UserError(d.bad.first() + " (--on-bad-row skip leaves such rows out)");
    }
    return keep_good_rows(info, d, out);
  }

  std::shared_ptr<const void> keep_chunks(int64_t places, const ColumnSet& columns) const override {
    const int64_t bytes = places * bytes_of_place(columns);
    cache_.grow(bytes);
    return {this, [this, bytes](const void*) { cache_.grow(-bytes); }};
  }
  int64_t most_chunk_bytes(int64_t places, const ColumnSet& columns) const override {
    return static_cast<int64_t>(kCacheBytes) + places * bytes_of_place(columns);
  }

 private:
  void add_file(const std::string& path, Hdf5Child& hdf5, WarningList& warnings, Sha256& digest) {
    FileIndex index = index_file(path, options_.index_dir, hdf5);
    if (!indices_.empty()) {
      const std::string difference = schema_difference(schema(), index.schema);
      if (!difference.empty()) {
        throw UserError(
            format("%s: differs from %s, the first file of the log: %s: write all files "
                   "with the same columns, or name only those that belong together",
                   path.c_str(), files_.front().path.c_str(), difference.c_str()));
      }
    }
    if (index.schema.block_rows == 0) index.schema.block_rows = kBlockRows;
    warn_of(path, index, warnings);
    digest.update(format("%lld %lld %lld\n", static_cast<long long>(index.bytes),
                         static_cast<long long>(index.rows),
                         static_cast<long long>(index.touches)));
    const std::string ends = hash_of_ends(path, index.bytes);
    digest.update(ends);
    refuse_copies(path, index.bytes, ends);
    const int64_t step =
        std::max(std::min(index.schema.block_rows, kMostBlockRows), index.rows / kMostBlocks + 1);
    for (int64_t row = 0; row < index.rows; row += step) {
      blocks_.push_back(
          {static_cast<int64_t>(files_.size()), rows_ + row, std::min(step, index.rows - row)});
    }
    files_.push_back({path, rows_, index.rows, index.touches, index.bytes});
    rows_ += index.rows;
    touches_ += index.touches;
    indices_.push_back(std::move(index));
  }

  // The same journeys twice would count twice.
  void refuse_copies(const std::string& path, int64_t bytes, const std::string& ends) {
    const auto [first, last] = ends_.equal_range(ends);
    for (auto earlier = first; earlier != last; ++earlier) {
      const LogFile& file = files_[earlier->second];
      if (file.bytes == bytes && same_bytes(file.path, path)) {
        throw UserError(path + ": holds the same bytes as " + file.path +
                        ": leave one of them out");
      }
    }
    ends_.emplace(ends, files_.size());
  }

  int64_t bytes_of_place(const ColumnSet& columns) const {
    int64_t bytes = 0;
    for (const FileIndex& index : indices_) {
      bytes = std::max(bytes, shared_chunk_bytes(index, columns));
    }
    return std::min(bytes, kMostPlaceBytes);
  }

  // One chunk of every wanted column whose chunks do not end where blocks do.
  static int64_t shared_chunk_bytes(const FileIndex& index, const ColumnSet& columns) {
    const auto bytes_of = [&](const DatasetIndex& set, Scope scope) {
      const bool apart = scope == Scope::journey && set.chunk_rows > 0 &&
                         index.schema.block_rows % set.chunk_rows == 0;
      return set.layout == Layout::chunked && !apart ? set.chunk_rows * set.row_bytes() : 0;
    };
    int64_t bytes = bytes_of(*index.sets[kTouchBeginSlot], Scope::journey);
    for_each_column([&](const auto& column) {
      const auto& set = index.sets[static_cast<size_t>(column.slot)];
      if (set && column.is_wanted(columns)) bytes += bytes_of(*set, column.scope);
    });
    return bytes;
  }

  // What was read of a file that another program writes to is worth nothing.
  static void require_unchanged(const LogFile& file, const FileIndex& index) {
    struct stat now {};
    if (::stat(file.path.c_str(), &now) == 0 && now.st_size == index.bytes &&
        int64_t{now.st_mtim.tv_sec} * 1000000000 + now.st_mtim.tv_nsec == index.modified_ns) {
      return;
    }
    throw UserError(file.path +
                    ": changed while it was read: start again when nothing writes to it");
  }

  // The offsets of the block, with one neighbour on either side.
  static void read_spans(ColumnReader& reader, const LogFile& file, const FileIndex& index,
                         int64_t first, int64_t rows, Desk& d) {
    const int64_t before = first > 0 ? 1 : 0;
    const int64_t last = std::min(first + rows + 2, index.rows + 1);
    std::vector<int64_t>& offsets = d.offsets;
    std::vector<int64_t> misfits;
    read_rows(reader, index, kTouchBeginSlot, first - before, last, offsets,
              [&](int64_t at) { misfits.push_back(at); });
    for (const int64_t at : misfits) offsets[static_cast<size_t>(at)] = -1;
    const auto require = [&](int64_t row, int64_t found, int64_t expected) {
      if (found == expected) return;
      throw UserError(format("%s, data set %s, row %lld: is %lld, but %s offset must be %lld",
                             file.path.c_str(), kTouchBeginPath, static_cast<long long>(row),
                             static_cast<long long>(found), row == 0 ? "the first" : "the last",
                             static_cast<long long>(expected)));
    };
    if (first == 0) require(0, offsets.front(), 0);
    if (first + rows == index.rows) require(index.rows, offsets.back(), index.touches);
    read_offsets(offsets, before, rows, index.touches, d.spans, d.bad);
  }

  void read_columns(ColumnReader& reader, const FileIndex& index, const ColumnSet& columns,
                    int64_t first, int64_t rows, Desk& d, Journeys& out) const {
    const Spans& spans = d.spans;
    for_each_column([&](const auto& column) {
      auto& values = out.*column.values;
      if (column.width(schema()) == 0 || !column.is_wanted(columns)) {
        values.clear();
        return;
      }
      constexpr const char* kKind = "does not fit its type";
      const auto words = [&] { return std::string("a value does not fit the type it is kept in"); };
      if (column.scope == Scope::journey) {
        read_rows(reader, index, column.slot, first, first + rows, values,
                  [&](int64_t row) { d.bad.mark(row, column.path, kKind, -1, words); });
        return;
      }
      int64_t row = 0;  // the misfits come in order, and so do the spans that are not empty
      read_rows(reader, index, column.slot, spans.first_touch, spans.first_touch + spans.touches,
                values, [&](int64_t touch) {
                  while (row < rows && spans.end[static_cast<size_t>(row)] <= touch) ++row;
                  if (row == rows || touch < spans.begin[static_cast<size_t>(row)]) return;
                  d.bad.mark(row, column.path, kKind, spans.first_touch + touch, words);
                });
    });
  }

  // Drops bad rows and the early touches of long journeys, in place.
  ReadReport keep_good_rows(const BlockInfo& info, Desk& d, Journeys& out) const {
    const PhaseTimer timer(thread_phases().check);
    ReadReport report;
    report.bad_rows = d.bad.count();
    report.first_bad_row = d.bad.first();
    report.bad_kinds = d.bad.kinds();
    Spans& spans = d.spans;
    out.row.clear();
    out.touch_begin.assign(1, 0);
    for (int64_t row = 0; row < info.rows; ++row) {
      const auto at = static_cast<size_t>(row);
      if (d.bad.is_bad(row)) continue;
      const int64_t extra = spans.end[at] - spans.begin[at] - options_.max_touches;
      if (extra > 0) {
        ++report.truncated_rows;
        report.truncated_touches += extra;
        spans.begin[at] += extra;
      }
      out.row.push_back(info.first_row + row);
      out.touch_begin.push_back(out.touch_begin.back() + spans.end[at] - spans.begin[at]);
    }
    report.rows = static_cast<int64_t>(out.row.size());
    if (report.bad_rows == 0 && report.truncated_rows == 0) return report;
    for_each_column([&](const auto& column) {
      auto& values = out.*column.values;
      if (values.empty()) return;
      const int64_t width = column.width(schema());
      auto end = values.begin();
      for (const int64_t whole : out.row) {
        const int64_t row = whole - info.first_row;
        const auto at = static_cast<size_t>(row);
        const bool journey = column.scope == Scope::journey;
        const int64_t from = (journey ? row : spans.begin[at]) * width;
        const int64_t to = (journey ? row + 1 : spans.end[at]) * width;
        end = std::copy(values.begin() + from, values.begin() + to, end);
      }
      values.erase(end, values.end());
    });
    return report;
  }

  LogOptions options_;
  std::vector<FileIndex> indices_;
  std::vector<LogFile> files_;
  std::multimap<std::string, size_t> ends_;  // hash of the ends of a file, its number
  std::vector<BlockInfo> blocks_;
  std::vector<std::string> warnings_;
  std::string manifest_hash_;
  int64_t rows_ = 0;
  int64_t touches_ = 0;
  mutable ChunkCache cache_{kCacheBytes};
};

}  // namespace

std::shared_ptr<const Log> Log::open(const std::vector<std::string>& paths,
                                     const LogOptions& options) {
  return std::make_shared<Hdf5Log>(paths, options);
}

std::string title_of(const Log& log) {
  const size_t more = log.files().size() - 1;
  const std::string first = log.files().front().path;
  if (more == 0) return first;
  return first + (more == 1 ? " and 1 more file" : format(" and %zu more files", more));
}

}  // namespace alm::io
