#include "io/codec_trials.h"

#include <algorithm>
#include <cstring>
#include <ctime>

#include "io/chunk_cache.h"
#include "io/codec.h"
#include "io/column_reader.h"
#include "io/file_index.h"
#include "io/hdf5_child.h"
#include "kernels/base/check.h"
#include "kernels/base/text.h"
#include "kernels/base/view.h"

namespace alm::io {

namespace {

constexpr int64_t kSampleBytes = int64_t{4} << 20;
constexpr int64_t kDecodedBytes = int64_t{32} << 20;  // by each pipeline, for its time

struct Pipeline {
  std::vector<Filter> filters;
  int level;
  int64_t chunk_bytes;
  std::string name;
};

std::vector<Pipeline> pipelines(int64_t element_bytes) {
  constexpr int64_t kMiB = int64_t{1} << 20;
  const Filter shuffle{kFilterShuffle, narrow<uint32_t>(element_bytes)};
  std::vector<Pipeline> all;
  const auto add = [&](bool shuffled, uint32_t id, int level, int64_t chunk, std::string name) {
    if (!shuffled) return all.push_back({{{id}}, level, chunk, std::move(name)});
    if (element_bytes > 1) all.push_back({{shuffle, {id}}, level, chunk, "shuffle, " + name});
  };
  for (const bool shuffled : {false, true}) add(shuffled, kFilterDeflate, 1, kMiB, "deflate 1");
  const bool shuffled = element_bytes > 1;
  for (const int level : {3, 6, 9}) {
    add(shuffled, kFilterDeflate, level, kMiB, format("deflate %d", level));
  }
  add(shuffled, kFilterZstd, 1, kMiB, "zstd 3");
  add(shuffled, kFilterLz4, 1, kMiB, "lz4");
  for (const int64_t chunk : {kMiB / 4, 4 * kMiB}) {
    add(shuffled, kFilterDeflate, 1, chunk, "deflate 1");
  }
  return all;
}

double thread_cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

CodecTrial try_one(const std::string& column, const Pipeline& pipeline,
                   const std::vector<std::byte>& sample) {
  CodecTrial trial{column, pipeline.name, pipeline.chunk_bytes};
  const auto step = static_cast<size_t>(pipeline.chunk_bytes);
  std::vector<Buffer> stored;
  std::vector<size_t> sizes;
  Buffer scratch;
  Buffer work;
  double stored_bytes = 0;
  double start = thread_cpu_seconds();
  for (size_t at = 0; at < sample.size(); at += step) {
    const size_t size = std::min(step, sample.size() - at);
    Buffer chunk;
    std::memcpy(chunk.resize(size), sample.data() + at, size);
    encode_chunk(pipeline.filters, chunk, scratch, pipeline.level);
    stored_bytes += static_cast<double>(chunk.size());
    stored.push_back(std::move(chunk));
    sizes.push_back(size);
  }
  const auto plain_bytes = static_cast<double>(sample.size());
  trial.stored_share = stored_bytes / plain_bytes;
  trial.encode_per_second = plain_bytes / std::max(thread_cpu_seconds() - start, 1e-9);

  std::vector<std::byte> plain(step);
  double seconds = 0;
  double decoded = 0;
  while (decoded < static_cast<double>(kDecodedBytes)) {
    for (size_t chunk = 0; chunk < stored.size(); ++chunk) {
      std::memcpy(work.resize(stored[chunk].size()), stored[chunk].data(), stored[chunk].size());
      start = thread_cpu_seconds();
      const char* fault =
          decode_chunk(pipeline.filters, 0, std::span(plain).first(sizes[chunk]), work, scratch);
      seconds += thread_cpu_seconds() - start;
      ALM_CHECK(fault == nullptr, "%s", fault);
    }
    decoded += plain_bytes;
  }
  trial.decode_per_second = decoded / std::max(seconds, 1e-9);
  return trial;
}

}  // namespace

std::vector<CodecTrial> try_codecs(const Log& log) {
  const std::string& path = log.files().front().path;
  Hdf5Child hdf5;
  const FileIndex index = index_file(path, log.options().index_dir, hdf5);
  ChunkCache cache(0);
  ColumnReader reader(path, index, 0, cache, false);
  std::vector<CodecTrial> trials;
  for (size_t slot = 0; slot < index.sets.size(); ++slot) {
    const auto& set = index.sets[slot];
    if (!set || set->rows == 0) continue;
    const int64_t rows = std::min(set->rows, std::max<int64_t>(1, kSampleBytes / set->row_bytes()));
    std::vector<std::byte> sample(static_cast<size_t>(rows * set->row_bytes()));
    reader.read(static_cast<int64_t>(slot), 0, rows, sample.data());
    for (const Pipeline& pipeline : pipelines(set->type.bytes)) {
      trials.push_back(try_one(set->path, pipeline, sample));
    }
  }
  return trials;
}

}  // namespace alm::io
