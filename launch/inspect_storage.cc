#include "launch/inspect_storage.h"

#include <algorithm>
#include <map>
#include <optional>

#include "io/chunk_index.h"
#include "io/codec.h"
#include "io/verify.h"
#include "kernels/base/clock.h"
#include "kernels/base/log.h"
#include "kernels/base/stop_flag.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

using io::Json;

constexpr int64_t kSmallChunkBytes = int64_t{1} << 20;
constexpr int64_t kPlentyChunks = 1024;
constexpr int64_t kPiecesAtOnce = 64;

// One data set in all files of the log.
struct Stored {
  std::string type;
  std::vector<std::string> layouts;  // each that was met, once
  int64_t columns = 0;
  int64_t most_chunks = 0;          // in one file
  int64_t largest_chunk_bytes = 0;  // plain, of files with several chunks
  int64_t plain_bytes = 0;
  int64_t stored_bytes = 0;  // 0 where only HDF5 knows
  bool checked = true;
  bool contiguous = false;
  bool by_hdf5 = false;
};

std::string type_name(const io::NumberType& type) {
  const char* kind = type.kind == io::NumberKind::floating           ? "f"
                     : type.kind == io::NumberKind::unsigned_integer ? "u"
                                                                     : "i";
  return format("%s%lld", kind, static_cast<long long>(8 * type.bytes));
}

std::string layout_name(const io::DatasetIndex& set) {
  if (set.layout == io::Layout::contiguous) return "contiguous";
  std::vector<std::string> filters;
  for (const io::Filter& filter : set.filters) {
    const std::string name = io::filter_name(filter.id);
    filters.push_back(name.empty() ? format("filter %u", filter.id) : name);
  }
  const std::string pipeline = filters.empty() ? "plain" : join(filters, "+");
  return set.layout == io::Layout::chunked ? pipeline : pipeline + ", through HDF5";
}

void add_file(const io::FileIndex& index, std::map<std::string, Stored>& stored) {
  for (const auto& set : index.sets) {
    if (!set || set->rows == 0) continue;
    Stored& all = stored[set->path];
    all.type = type_name(set->type);
    all.columns = set->width;
    all.plain_bytes += set->rows * set->row_bytes();
    all.checked = all.checked && set->detects_damage;
    all.contiguous = all.contiguous || set->layout == io::Layout::contiguous;
    all.by_hdf5 = all.by_hdf5 || set->layout == io::Layout::hdf5;
    if (set->layout == io::Layout::contiguous) all.stored_bytes += set->rows * set->row_bytes();
    for (const io::ChunkPlace& chunk : set->chunks) {
      all.stored_bytes += static_cast<int64_t>(chunk.bytes);
    }
    const auto chunks = static_cast<int64_t>(set->chunks.size());
    all.most_chunks = std::max(all.most_chunks, chunks);
    if (chunks > 1) {
      all.largest_chunk_bytes =
          std::max(all.largest_chunk_bytes, set->chunk_rows * set->row_bytes());
    }
    const std::string layout = layout_name(*set);
    if (std::find(all.layouts.begin(), all.layouts.end(), layout) == all.layouts.end()) {
      all.layouts.push_back(layout);
    }
  }
}

Json advice_json(const std::map<std::string, Stored>& stored, bool old_format) {
  const auto paths = [&](auto holds) {
    std::vector<std::string> list;
    for (const auto& [path, set] : stored) {
      if (holds(set)) list.push_back(path);
    }
    return list;
  };
  Json advice = Json::array();
  const auto say = [&](const std::vector<std::string>& list, const std::string& what) {
    if (!list.empty()) advice.push_back(join(list, ", ") + ": " + what);
  };
  say(paths([](const Stored& s) { return s.by_hdf5; }),
      "only HDF5 reads this layout or filter, slowly: use whole rows in a chunk, native "
      "little-endian numbers, and deflate, zstd, lz4 or no compression");
  say(paths([](const Stored& s) {
        return s.largest_chunk_bytes > 0 && s.largest_chunk_bytes < kSmallChunkBytes;
      }),
      "chunks below 1 MiB cost a look-up and a read each: write larger ones (h5py: "
      "chunks=(rows, columns))");
  say(paths([](const Stored& s) {
        return s.most_chunks > kPlentyChunks && s.most_chunks <= io::kManyChunks;
      }),
      "more than 1,024 chunks in a file: larger chunks or smaller files open faster");
  say(paths([](const Stored& s) { return s.most_chunks > io::kManyChunks; }),
      "more than 4,096 chunks in a file: the first opening is slow; write larger chunks");
  say(paths([](const Stored& s) { return s.contiguous; }),
      "contiguous, so neither compressed nor checked: write chunks (h5py: chunks=True, "
      "compression=\"gzip\", compression_opts=1, shuffle=True, fletcher32=True)");
  say(paths([](const Stored& s) { return !s.checked && !s.contiguous; }),
      "no checksum, so damage cannot be seen: h5py fletcher32=True, or h5repack -f FLET IN OUT");
  if (old_format) {
    advice.push_back(
        "the old HDF5 format has no checksums over its own structure: h5py libver=\"latest\", or "
        "h5repack --latest IN OUT");
  }
  return advice;
}

}  // namespace

Json storage_json(const io::Log& log) {
  std::map<std::string, Stored> stored;
  bool old_format = false;
  for (size_t file = 0; file < log.files().size(); ++file) {
    const io::FileIndex* index = log.file_index(static_cast<int64_t>(file));
    if (index == nullptr) continue;
    add_file(*index, stored);
    old_format = old_format || index->old_format;
  }
  Json sets = Json::array();
  for (const auto& [path, set] : stored) {
    sets.push_back({{"data_set", path},
                    {"type", set.type},
                    {"columns", set.columns},
                    {"layouts", set.layouts},
                    {"chunks", set.most_chunks},
                    {"chunk_bytes", set.largest_chunk_bytes},
                    {"bytes", set.plain_bytes},
                    {"stored_bytes", set.stored_bytes == 0 ? Json() : Json(set.stored_bytes)},
                    {"checksum", set.checked}});
  }
  return {{"data_sets", sets}, {"advice", advice_json(stored, old_format)}};
}

Json verify_log(const io::Log& log, ThreadPool& pool, Communicator& world) {
  const Timer timer;
  io::VerifyCounts counts;
  std::vector<std::string> faults;
  world.together("verify", [&] {
    const auto files = static_cast<int64_t>(log.files().size());
    for (int64_t file = world.rank(); file < files; file += world.size()) {
      const std::string fault = io::verify_structure(log, file);
      if (!fault.empty()) faults.push_back(fault);
    }
    const std::vector<io::StoredPiece> pieces = io::stored_pieces(log);
    const auto count = static_cast<int64_t>(pieces.size());
    const int64_t first = count * world.rank() / world.size();
    const int64_t last = count * (world.rank() + 1) / world.size();
    std::optional<Progress> progress;
    if (last > first) progress.emplace("verify", last - first, "chunks");
    std::vector<io::VerifyCounts> found(kPiecesAtOnce);
    for (int64_t from = first; from < last && !world.alarm(); from += kPiecesAtOnce) {
      const int64_t some = std::min(kPiecesAtOnce, last - from);
      pool.parallel_for(some, [&](int64_t item, int64_t) {
        found[static_cast<size_t>(item)] =
            io::verify_piece(log, pieces[static_cast<size_t>(from + item)]);
      });
      for (int64_t item = 0; item < some; ++item) counts.add(found[static_cast<size_t>(item)]);
      progress->update(from + some - first);
      if (stop_requested()) throw Stopped("verify");
    }
  });
  int64_t sums[] = {counts.checked_bytes, counts.unchecked_bytes,
                    counts.damaged_pieces + static_cast<int64_t>(faults.size())};
  world.all_reduce_sum(std::span<int64_t>(sums), "bytes of inspect --verify");
  faults.insert(faults.end(), counts.damage.begin(), counts.damage.end());
  const std::string mine = io::json_text(faults);
  Json damage = Json::array();
  for (const std::string& list : world.all_gather_strings(mine, "damage of inspect --verify")) {
    for (const Json& line : Json::parse(list)) {
      if (damage.size() < io::VerifyCounts::kMostDamage) damage.push_back(line);
    }
  }
  // Of the slowest rank, which is what a person waits for.
  float seconds = static_cast<float>(timer.seconds());
  world.all_reduce_max(std::span(&seconds, 1), "time of inspect --verify");
  return {{"checked_bytes", sums[0]},
          {"unchecked_bytes", sums[1]},
          {"damaged", sums[2]},
          {"damage", damage},
          {"bytes_per_second",
           io::number(static_cast<double>(sums[0] + sums[1]) / static_cast<double>(seconds))}};
}

}  // namespace alm
