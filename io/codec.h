// Filters of HDF5 chunks, done here and not by HDF5: shuffle, deflate (libdeflate), zstd and lz4 in
// the forms of the registered plugins, Fletcher32. The only user of the compression libraries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace alm::io {

enum class Codec { none, deflate, zstd, lz4 };
// UserError listing the names when `name` is none of them.
Codec codec_by_name(const std::string& name);

// Numbers of filters, from HDF5 and from its register of plugins.
inline constexpr uint32_t kFilterDeflate = 1;
inline constexpr uint32_t kFilterShuffle = 2;
inline constexpr uint32_t kFilterFletcher32 = 3;
inline constexpr uint32_t kFilterLz4 = 32004;
inline constexpr uint32_t kFilterZstd = 32015;
inline constexpr int kDeflateLevel = 1;
inline constexpr int kByteDeflateLevel = 3;  // of bytes: smaller, and undone twice as fast
inline constexpr int kZstdLevel = 3;

// One stage of a data set's pipeline, in the order of writing.
struct Filter {
  uint32_t id = 0;
  uint32_t element_bytes = 0;  // shuffle only
  bool operator==(const Filter&) const = default;
};

// "lz4", "szip", ... or "" for a number nobody here knows.
const char* filter_name(uint32_t id);
// Whether decode_chunk() can undo this pipeline: known filters, at most one compressor, no
// shuffle after it.
bool can_decode(std::span<const Filter> filters);
// Whether a flipped bit in the chunk is certain to be noticed (Fletcher32, or the zlib checksum).
bool detects_damage(std::span<const Filter> filters);
// What the writer uses for a codec. Shuffling does not pay for single bytes, nor for columns in
// which one value stands for most rows.
std::vector<Filter> pipeline_of(Codec codec, int64_t element_bytes, bool shuffle = true);

// Bytes that are never cleared when they grow.
class Buffer {
 public:
  // Room for `size` bytes; the old content is lost when it must grow.
  std::byte* resize(size_t size) {
    if (size > capacity_) {
      bytes_ = std::make_unique_for_overwrite<std::byte[]>(size);
      capacity_ = size;
    }
    size_ = size;
    return bytes_.get();
  }
  void cut(size_t size) { size_ = size; }
  std::byte* data() { return bytes_.get(); }
  const std::byte* data() const { return bytes_.get(); }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  size_t capacity_ = 0;
  size_t size_ = 0;
};

// The number of checksums behind the bytes of a chunk that are otherwise stored as they are;
// nullopt for a chunk with more to undo. `mask`: bit i set means stage i was left out.
std::optional<int64_t> plain_checksums(std::span<const Filter> filters, uint32_t mask);
// Whether so few stored bytes can hold so many plain ones at all: a damaged file may claim any
// size, so this is asked before there is memory for it.
bool may_hold(std::span<const Filter> filters, uint32_t mask, uint64_t stored, uint64_t plain);
// Whether the Fletcher32 checksum `stored` (4 bytes) fits.
bool checksum_fits(std::span<const std::byte> bytes, const std::byte* stored);
inline constexpr size_t kChecksumBytes = 4;
// Undoes the pipeline of one chunk: `stored` holds its bytes and is spoilt, `scratch` too; both are
// reused between calls. Fills `plain`. Returns nullptr, or what is wrong in a few words.
// Thread-safe on distinct buffers.
const char* decode_chunk(std::span<const Filter> filters, uint32_t mask, std::span<std::byte> plain,
                         Buffer& stored, Buffer& scratch);
// Runs the pipeline: `chunk` holds plain bytes and then the stored ones.
void encode_chunk(std::span<const Filter> filters, Buffer& chunk, Buffer& scratch,
                  int deflate_level = kDeflateLevel);
// The same, but a chunk that the compressor makes less than kWorthwhile smaller is stored as it is,
// so that reading it costs no decoding. Returns the mask.
uint32_t encode_worthwhile(std::span<const Filter> filters, Buffer& chunk, Buffer& scratch,
                           int deflate_level = kDeflateLevel);
inline constexpr double kWorthwhile = 0.2;  // measured: docs/performance.md

// A zstd stream (one frame or several), undone piece by piece. Not thread-safe.
class ZstdStream {
 public:
  ZstdStream();
  ~ZstdStream();
  // Takes bytes off the front of `in` and returns how many of `out` it filled; an output not filled
  // means that all of `in` was taken. nullopt: the stream is damaged.
  std::optional<size_t> undo(std::span<const std::byte>& in, std::span<std::byte> out);
  // No frame is under way.
  bool at_end() const { return at_end_; }

 private:
  struct State;
  std::unique_ptr<State> state_;
  bool at_end_ = true;
};

// (library, version) of each compression library; libdeflate as of its header, it cannot be asked.
std::vector<std::pair<std::string, std::string>> codec_versions();

}  // namespace alm::io
