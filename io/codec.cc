#include "io/codec.h"

#include <libdeflate.h>
#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "io/digest.h"
#include "kernels/base/check.h"
#include "kernels/base/view.h"

namespace alm::io {

namespace {

constexpr size_t kChecksumBytes = 4;

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

// Byte b of element i lies at plane b, place i. Fixed sizes so that the compiler can vectorise.
template <size_t kSize>
void unshuffle_fixed(const uint8_t* in, uint8_t* out, size_t count) {
  using Word =
      std::conditional_t<kSize == 2, uint16_t, std::conditional_t<kSize == 4, uint32_t, uint64_t>>;
  for (size_t index = 0; index < count; ++index) {
    Word word = 0;
    for (size_t plane = 0; plane < kSize; ++plane) {
      word = static_cast<Word>(word | static_cast<Word>(in[plane * count + index]) << (8 * plane));
    }
    std::memcpy(out + index * kSize, &word, kSize);
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
  if (element == 2) {
    unshuffle_fixed<2>(in, out, count);
  } else if (element == 4) {
    unshuffle_fixed<4>(in, out, count);
  } else if (element == 8) {
    unshuffle_fixed<8>(in, out, count);
  } else {
    for (size_t plane = 0; plane < element; ++plane) {
      for (size_t index = 0; index < count; ++index) {
        out[index * element + plane] = in[plane * count + index];
      }
    }
  }
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
  libdeflate_compressor* compressor = libdeflate_alloc_compressor(kDeflateLevel);
  libdeflate_decompressor* decompressor = libdeflate_alloc_decompressor();
  ZSTD_CCtx* zstd_compressor = ZSTD_createCCtx();
  ZSTD_DCtx* zstd_decompressor = ZSTD_createDCtx();
  Tools() {
    if (!compressor || !decompressor || !zstd_compressor || !zstd_decompressor) {
      throw MachineError("out of memory for a decompressor");
    }
  }
  ~Tools() {
    libdeflate_free_compressor(compressor);
    libdeflate_free_decompressor(decompressor);
    ZSTD_freeCCtx(zstd_compressor);
    ZSTD_freeDCtx(zstd_decompressor);
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

bool decompress(uint32_t id, const Buffer& in, std::byte* out, size_t out_bytes) {
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

void compress(uint32_t id, const Buffer& in, Buffer& out) {
  size_t size = 0;
  if (id == kFilterDeflate) {
    const size_t room = libdeflate_zlib_compress_bound(tools().compressor, in.size());
    size =
        libdeflate_zlib_compress(tools().compressor, in.data(), in.size(), out.resize(room), room);
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
      if (filter.element_bytes == 0) return false;
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

std::vector<Filter> pipeline_of(Codec codec, int64_t element_bytes) {
  std::vector<Filter> filters;
  if (codec != Codec::none) {
    if (element_bytes > 1) {
      filters.push_back({kFilterShuffle, narrow<uint32_t>(element_bytes)});
    }
    filters.push_back({codec == Codec::deflate ? kFilterDeflate
                       : codec == Codec::zstd  ? kFilterZstd
                                               : kFilterLz4});
  }
  filters.push_back({kFilterFletcher32});
  return filters;
}

const char* decode_chunk(std::span<const Filter> filters, uint32_t mask, size_t plain_bytes,
                         Buffer& chunk, Buffer& scratch) {
  const auto active = [&](size_t stage) { return (mask >> std::min<size_t>(stage, 31) & 1u) == 0; };
  for (size_t stage = filters.size(); stage-- > 0;) {
    if (!active(stage)) continue;
    const uint32_t id = filters[stage].id;
    if (id == kFilterFletcher32) {
      if (chunk.size() < kChecksumBytes) return "a chunk is too short";
      const size_t payload = chunk.size() - kChecksumBytes;
      uint32_t stored;
      std::memcpy(&stored, chunk.data() + payload, kChecksumBytes);
      const uint32_t sum = fletcher32({chunk.data(), payload});
      // HDF5 up to 1.6.2 wrote the halves with their bytes swapped; HDF5 still accepts that.
      const uint32_t old_sum = ((sum & 0x00ff00ffu) << 8) | ((sum >> 8) & 0x00ff00ffu);
      if (stored != sum && stored != old_sum) return "the checksum does not match";
      chunk.cut(payload);
    } else if (id == kFilterShuffle) {
      unshuffle(chunk.data(), scratch.resize(chunk.size()), chunk.size(),
                filters[stage].element_bytes);
      std::swap(chunk, scratch);
    } else {
      size_t expected = plain_bytes;
      for (size_t before = 0; before < stage; ++before) {
        if (filters[before].id == kFilterFletcher32 && active(before)) expected += kChecksumBytes;
      }
      if (!may_hold(id, chunk.size(), expected) ||
          !decompress(id, chunk, scratch.resize(expected), expected)) {
        return "the compressed bytes are damaged";
      }
      std::swap(chunk, scratch);
    }
  }
  return chunk.size() == plain_bytes ? nullptr : "a chunk has the wrong size";
}

void encode_chunk(std::span<const Filter> filters, Buffer& chunk, Buffer& scratch) {
  for (const Filter& filter : filters) {
    if (filter.id == kFilterFletcher32) {
      const uint32_t sum = fletcher32({chunk.data(), chunk.size()});
      std::byte* out = scratch.resize(chunk.size() + kChecksumBytes);
      std::memcpy(out, chunk.data(), chunk.size());
      std::memcpy(out + chunk.size(), &sum, kChecksumBytes);
    } else if (filter.id == kFilterShuffle) {
      shuffle(chunk.data(), scratch.resize(chunk.size()), chunk.size(), filter.element_bytes);
    } else {
      compress(filter.id, chunk, scratch);
    }
    std::swap(chunk, scratch);
  }
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
