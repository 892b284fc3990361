#include "io/codec.h"

#include <libdeflate.h>
#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "io/digest.h"
#include "io/loader_phases.h"
#include "kernels/base/check.h"
#include "kernels/base/clock.h"
#include "kernels/base/view.h"

namespace alm::io {

namespace {

bool is_compressor(uint32_t id) {
  return id == kFilterDeflate || id == kFilterLz4 || id == kFilterZstd;
}

template <class Word>
void store_big_endian(std::byte* out, Word value) {
  for (size_t index = 0; index < sizeof(Word); ++index) {
    out[index] = static_cast<std::byte>(value >> (8 * (sizeof(Word) - 1 - index)));
  }
}

template <class Word>
Word load_big_endian(const std::byte* in) {
  Word value = 0;
  for (size_t index = 0; index < sizeof(Word); ++index) {
    value = static_cast<Word>(value << 8) | static_cast<Word>(in[index]);
  }
  return value;
}

// Byte b of element i lies at plane b, place i. Sixteen elements at once: bytes of neighbouring
// planes are interleaved, then pairs, then fours, until elements are whole.
using Bytes16 = uint8_t __attribute__((vector_size(16)));
using Pairs8 = uint16_t __attribute__((vector_size(16)));
using Fours4 = uint32_t __attribute__((vector_size(16)));

Bytes16 load16(const uint8_t* in) {
  Bytes16 out;
  std::memcpy(&out, in, sizeof out);
  return out;
}

// The low and the high half of two vectors, element by element in turn.
void interleave(Bytes16 a, Bytes16 b, Bytes16& low, Bytes16& high) {
  low = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  high =
      __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
void interleave(Pairs8 a, Pairs8 b, Pairs8& low, Pairs8& high) {
  low = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
  high = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
void interleave(Fours4 a, Fours4 b, Fours4& low, Fours4& high) {
  low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
}

// 16 elements of 4 planes that lie `stride` apart, as 4 vectors.
void gather_fours(const uint8_t* in, size_t stride, Fours4 (&out)[4]) {
  Bytes16 bytes[4];
  interleave(load16(in), load16(in + stride), bytes[0], bytes[1]);
  interleave(load16(in + 2 * stride), load16(in + 3 * stride), bytes[2], bytes[3]);
  Pairs8 pairs[4];
  interleave(Pairs8(bytes[0]), Pairs8(bytes[2]), pairs[0], pairs[1]);
  interleave(Pairs8(bytes[1]), Pairs8(bytes[3]), pairs[2], pairs[3]);
  for (int part = 0; part < 4; ++part) out[part] = Fours4(pairs[part]);
}

// From element `first` on, one by one.
void unshuffle_rest(const uint8_t* in, uint8_t* out, size_t first, size_t count, size_t element) {
  for (size_t plane = 0; plane < element; ++plane) {
    for (size_t index = first; index < count; ++index) {
      out[index * element + plane] = in[plane * count + index];
    }
  }
}

// What is left of a chunk after its last whole element stays where it is.
void copy_rest(const std::byte* in, std::byte* out, size_t bytes, size_t from) {
  if (from < bytes) std::memcpy(out + from, in + from, bytes - from);
}

void unshuffle(const std::byte* in_bytes, std::byte* out_bytes, size_t bytes, size_t element) {
  const auto* in = reinterpret_cast<const uint8_t*>(in_bytes);
  auto* out = reinterpret_cast<uint8_t*>(out_bytes);
  const size_t count = bytes / element;
  size_t index = 0;
  if (element == 4) {
    for (; index + 16 <= count; index += 16) {
      Fours4 parts[4];
      gather_fours(in + index, count, parts);
      std::memcpy(out + index * 4, parts, sizeof parts);
    }
  } else if (element == 8) {
    for (; index + 16 <= count; index += 16) {
      Fours4 low[4];
      Fours4 high[4];
      gather_fours(in + index, count, low);
      gather_fours(in + 4 * count + index, count, high);
      Fours4 whole[8];
      for (int part = 0; part < 4; ++part) {
        interleave(low[part], high[part], whole[2 * part], whole[2 * part + 1]);
      }
      std::memcpy(out + index * 8, whole, sizeof whole);
    }
  }
  unshuffle_rest(in, out, index, count, element);
  copy_rest(in_bytes, out_bytes, bytes, count * element);
}

void shuffle(const std::byte* in, std::byte* out, size_t bytes, size_t element) {
  const size_t count = bytes / element;
  for (size_t plane = 0; plane < element; ++plane) {
    for (size_t index = 0; index < count; ++index) {
      out[plane * count + index] = in[index * element + plane];
    }
  }
  copy_rest(in, out, bytes, count * element);
}

struct Tools {
  std::array<libdeflate_compressor*, 13> compressors{};  // by level
  libdeflate_decompressor* decompressor = libdeflate_alloc_decompressor();
  ZSTD_CCtx* zstd_compressor = ZSTD_createCCtx();
  ZSTD_DCtx* zstd_decompressor = ZSTD_createDCtx();
  Buffer plain;
  Tools() {
    if (!decompressor || !zstd_compressor || !zstd_decompressor) {
      throw MachineError("out of memory for a decompressor");
    }
  }
  ~Tools() {
    for (libdeflate_compressor* compressor : compressors) libdeflate_free_compressor(compressor);
    libdeflate_free_decompressor(decompressor);
    ZSTD_freeCCtx(zstd_compressor);
    ZSTD_freeDCtx(zstd_decompressor);
  }
  libdeflate_compressor* compressor(int level) {
    libdeflate_compressor*& made = compressors.at(static_cast<size_t>(level));
    if (made == nullptr) made = libdeflate_alloc_compressor(level);
    if (made == nullptr) throw MachineError("out of memory for a compressor");
    return made;
  }
};

Tools& tools() {
  thread_local Tools instance;
  return instance;
}

// The lz4 plugin: plain bytes (8, big-endian), block bytes (4), then for each block its stored
// bytes (4) and the block, which is stored plain when it did not get smaller.
bool lz4_decode(const std::byte* in, size_t in_bytes, std::byte* out, size_t out_bytes) {
  if (in_bytes < 12 || load_big_endian<uint64_t>(in) != out_bytes) return false;
  const size_t block = std::min<size_t>(load_big_endian<uint32_t>(in + 8), out_bytes);
  if (block == 0 && out_bytes > 0) return false;
  size_t read = 12;
  for (size_t written = 0; written < out_bytes;) {
    const size_t plain = std::min(block, out_bytes - written);
    if (in_bytes - read < 4) return false;
    const size_t stored = load_big_endian<uint32_t>(in + read);
    read += 4;
    if (in_bytes - read < stored || plain > LZ4_MAX_INPUT_SIZE || stored > plain) return false;
    if (stored == plain) {
      std::memcpy(out + written, in + read, plain);
    } else if (LZ4_decompress_safe(reinterpret_cast<const char*>(in + read),
                                   reinterpret_cast<char*>(out + written), narrow<int>(stored),
                                   narrow<int>(plain)) != narrow<int>(plain)) {
      return false;
    }
    read += stored;
    written += plain;
  }
  return true;
}

size_t lz4_encode(const Buffer& in, Buffer& out) {
  const int plain = narrow<int>(in.size());
  const int room = LZ4_compressBound(plain);
  std::byte* to = out.resize(16 + static_cast<size_t>(std::max(room, plain)));
  store_big_endian<uint64_t>(to, in.size());
  store_big_endian<uint32_t>(to + 8, narrow<uint32_t>(in.size()));
  int stored = LZ4_compress_default(reinterpret_cast<const char*>(in.data()),
                                    reinterpret_cast<char*>(to + 16), plain, room);
  if (stored <= 0 || stored >= plain) {
    std::memcpy(to + 16, in.data(), in.size());
    stored = plain;
  }
  store_big_endian<uint32_t>(to + 12, static_cast<uint32_t>(stored));
  return 16 + static_cast<size_t>(stored);
}

// Whether so few stored bytes can hold so many plain ones. Asked before there is memory for them: a
// damaged file may claim any size. zlib and lz4 document their limits; a block of zstd has at least
// 4 bytes and at most 128 KiB of content.
bool may_hold(uint32_t id, size_t stored, size_t plain) {
  const size_t most = id == kFilterDeflate ? 1032 : id == kFilterLz4 ? 255 : 32768;
  return plain / most <= stored;
}

bool decompress(uint32_t id, std::span<const std::byte> in, std::byte* out, size_t out_bytes) {
  if (id == kFilterDeflate) {
    return libdeflate_zlib_decompress(tools().decompressor, in.data(), in.size(), out, out_bytes,
                                      nullptr) == LIBDEFLATE_SUCCESS;
  }
  if (id == kFilterZstd) {
    return ZSTD_decompressDCtx(tools().zstd_decompressor, out, out_bytes, in.data(), in.size()) ==
           out_bytes;
  }
  return lz4_decode(in.data(), in.size(), out, out_bytes);
}

void compress(uint32_t id, const Buffer& in, Buffer& out, int deflate_level) {
  size_t size = 0;
  if (id == kFilterDeflate) {
    libdeflate_compressor* compressor = tools().compressor(deflate_level);
    const size_t room = libdeflate_zlib_compress_bound(compressor, in.size());
    size = libdeflate_zlib_compress(compressor, in.data(), in.size(), out.resize(room), room);
    ALM_CHECK(size > 0);
  } else if (id == kFilterZstd) {
    const size_t room = ZSTD_compressBound(in.size());
    size = ZSTD_compressCCtx(tools().zstd_compressor, out.resize(room), room, in.data(), in.size(),
                             kZstdLevel);
    ALM_CHECK(ZSTD_isError(size) == 0);
  } else {
    size = lz4_encode(in, out);
  }
  out.cut(size);
}

}  // namespace

Codec codec_by_name(const std::string& name) {
  if (name == "none") return Codec::none;
  if (name == "deflate") return Codec::deflate;
  if (name == "zstd") return Codec::zstd;
  if (name == "lz4") return Codec::lz4;
  throw UserError(format("unknown codec '%s': use none, deflate, zstd or lz4", name.c_str()));
}

const char* filter_name(uint32_t id) {
  static constexpr std::pair<uint32_t, const char*> kNames[] = {{kFilterDeflate, "deflate"},
                                                                {kFilterShuffle, "shuffle"},
                                                                {kFilterFletcher32, "fletcher32"},
                                                                {4, "szip"},
                                                                {5, "nbit"},
                                                                {6, "scaleoffset"},
                                                                {307, "bzip2"},
                                                                {32000, "lzf"},
                                                                {32001, "blosc"},
                                                                {kFilterLz4, "lz4"},
                                                                {32008, "bitshuffle"},
                                                                {32013, "zfp"},
                                                                {kFilterZstd, "zstd"},
                                                                {32026, "blosc2"}};
  for (const auto& [number, name] : kNames) {
    if (number == id) return name;
  }
  return "";
}

bool can_decode(std::span<const Filter> filters) {
  int64_t compressors = 0;
  for (const Filter& filter : filters) {
    if (is_compressor(filter.id)) {
      ++compressors;
    } else if (filter.id == kFilterShuffle) {
      // Compressed bytes are not shuffled by anyone; HDF5 can undo it.
      if (filter.element_bytes == 0 || compressors > 0) return false;
    } else if (filter.id != kFilterFletcher32) {
      return false;
    }
  }
  return compressors <= 1;
}

bool detects_damage(std::span<const Filter> filters) {
  return std::any_of(filters.begin(), filters.end(), [](const Filter& filter) {
    return filter.id == kFilterFletcher32 || filter.id == kFilterDeflate;
  });
}

std::vector<Filter> pipeline_of(Codec codec, int64_t element_bytes, bool shuffle) {
  std::vector<Filter> filters;
  if (codec != Codec::none) {
    if (shuffle && element_bytes > 1) {
      filters.push_back({kFilterShuffle, narrow<uint32_t>(element_bytes)});
    }
    filters.push_back({codec == Codec::deflate ? kFilterDeflate
                       : codec == Codec::zstd  ? kFilterZstd
                                               : kFilterLz4});
  }
  filters.push_back({kFilterFletcher32});
  return filters;
}

namespace {

constexpr const char* kDamaged = "the compressed bytes are damaged";

bool is_active(uint32_t mask, size_t stage) {
  return (mask >> std::min<size_t>(stage, 31) & 1u) == 0;
}

}  // namespace

std::optional<int64_t> plain_checksums(std::span<const Filter> filters, uint32_t mask) {
  int64_t checksums = 0;
  for (size_t stage = 0; stage < filters.size(); ++stage) {
    if (!is_active(mask, stage)) continue;
    if (filters[stage].id != kFilterFletcher32) return std::nullopt;
    ++checksums;
  }
  return checksums;
}

bool may_hold(std::span<const Filter> filters, uint32_t mask, uint64_t stored, uint64_t plain) {
  for (size_t stage = 0; stage < filters.size(); ++stage) {
    const uint32_t id = filters[stage].id;
    if (is_compressor(id) && is_active(mask, stage)) return may_hold(id, stored, plain);
  }
  return plain <= stored;
}

bool checksum_fits(std::span<const std::byte> bytes, const std::byte* stored) {
  const PhaseTimer timer(thread_phases().check);
  uint32_t expected;
  std::memcpy(&expected, stored, kChecksumBytes);
  const uint32_t sum = fletcher32(bytes);
  // HDF5 up to 1.6.2 wrote the halves with their bytes swapped; HDF5 still accepts that.
  const uint32_t old_sum = ((sum & 0x00ff00ffu) << 8) | ((sum >> 8) & 0x00ff00ffu);
  return expected == sum || expected == old_sum;
}

const char* decode_chunk(std::span<const Filter> filters, uint32_t mask, std::span<std::byte> plain,
                         Buffer& stored, Buffer& scratch) {
  std::span<const std::byte> bytes(stored.data(), stored.size());
  for (size_t stage = filters.size(); stage-- > 0;) {
    if (!is_active(mask, stage)) continue;
    const uint32_t id = filters[stage].id;
    if (id == kFilterFletcher32) {
      if (bytes.size() < kChecksumBytes) return "a chunk is too short";
      bytes = bytes.first(bytes.size() - kChecksumBytes);
      if (!checksum_fits(bytes, bytes.data() + bytes.size())) {
        return "the checksum does not match";
      }
      continue;
    }
    const PhaseTimer timer(thread_phases().decode);
    const std::span<const Filter> before = filters.first(stage);
    size_t expected = plain.size();
    for (size_t earlier = 0; earlier < stage; ++earlier) {
      if (before[earlier].id == kFilterFletcher32 && is_active(mask, earlier)) {
        expected += kChecksumBytes;
      }
    }
    if (id == kFilterShuffle && bytes.size() != expected) return "a chunk has the wrong size";
    if (id != kFilterShuffle && !may_hold(id, bytes.size(), expected)) return kDamaged;
    // The last thing undone goes where it is wanted, what comes before into the buffer not in use.
    std::byte* out = plain.data();
    if (plain_checksums(before, mask) != 0) {
      out = (bytes.data() == scratch.data() ? stored : scratch).resize(expected);
    }
    if (id == kFilterShuffle) {
      unshuffle(bytes.data(), out, expected, filters[stage].element_bytes);
    } else if (!decompress(id, bytes, out, expected)) {
      return kDamaged;
    }
    bytes = {out, expected};
  }
  if (bytes.size() != plain.size()) return "a chunk has the wrong size";
  if (bytes.data() != plain.data() && !plain.empty()) {
    std::memcpy(plain.data(), bytes.data(), plain.size());
  }
  return nullptr;
}

void encode_chunk(std::span<const Filter> filters, Buffer& chunk, Buffer& scratch,
                  int deflate_level) {
  for (const Filter& filter : filters) {
    if (filter.id == kFilterFletcher32) {
      const uint32_t sum = fletcher32({chunk.data(), chunk.size()});
      std::byte* out = scratch.resize(chunk.size() + kChecksumBytes);
      std::memcpy(out, chunk.data(), chunk.size());
      std::memcpy(out + chunk.size(), &sum, kChecksumBytes);
    } else if (filter.id == kFilterShuffle) {
      shuffle(chunk.data(), scratch.resize(chunk.size()), chunk.size(), filter.element_bytes);
    } else {
      compress(filter.id, chunk, scratch, deflate_level);
    }
    std::swap(chunk, scratch);
  }
}

uint32_t encode_worthwhile(std::span<const Filter> filters, Buffer& chunk, Buffer& scratch,
                           int deflate_level) {
  uint32_t mask = 0;
  std::vector<Filter> checksums;
  for (size_t stage = 0; stage < filters.size(); ++stage) {
    if (filters[stage].id == kFilterFletcher32) {
      checksums.push_back(filters[stage]);
    } else {
      mask |= 1u << stage;
    }
  }
  if (mask == 0) {
    encode_chunk(filters, chunk, scratch);
    return 0;
  }
  Buffer& plain = tools().plain;
  std::memcpy(plain.resize(chunk.size()), chunk.data(), chunk.size());
  encode_chunk(filters, chunk, scratch, deflate_level);
  const double most = (1 - kWorthwhile) * static_cast<double>(plain.size());
  if (static_cast<double>(chunk.size()) <= most) return 0;
  std::memcpy(chunk.resize(plain.size()), plain.data(), plain.size());
  encode_chunk(checksums, chunk, scratch);
  return mask;
}

struct ZstdStream::State {
  ZSTD_DStream* stream = ZSTD_createDStream();
  ~State() { ZSTD_freeDStream(stream); }
};

ZstdStream::ZstdStream() : state_(std::make_unique<State>()) {
  if (state_->stream == nullptr) throw MachineError("no memory for a zstd stream");
}
ZstdStream::~ZstdStream() = default;

std::optional<size_t> ZstdStream::undo(std::span<const std::byte>& in, std::span<std::byte> out) {
  ZSTD_inBuffer from{in.data(), in.size(), 0};
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  while (from.pos < from.size || to.pos == 0) {
    const size_t taken = from.pos;
    const size_t written = to.pos;
    const size_t rest = ZSTD_decompressStream(state_->stream, &to, &from);
    if (ZSTD_isError(rest)) return std::nullopt;
    const bool moved = from.pos > taken || to.pos > written;
    if (moved) at_end_ = rest == 0;
    if (!moved || to.pos == to.size) break;
  }
  in = in.subspan(from.pos);
  return to.pos;
}

std::vector<std::pair<std::string, std::string>> codec_versions() {
  return {{"libdeflate", LIBDEFLATE_VERSION_STRING},
          {"zstd", ZSTD_versionString()},
          {"lz4", LZ4_versionString()}};
}

}  // namespace alm::io
