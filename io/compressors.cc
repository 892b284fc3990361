// Calls of the compression libraries, with a thread's tools for them.
#include "io/compressors.h"

#include <libdeflate.h>
#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/base/check.h"
#include "kernels/base/view.h"

namespace alm::io {

namespace {

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

struct Tools {
  std::array<libdeflate_compressor*, 13> compressors{};  // by level
  libdeflate_decompressor* decompressor = libdeflate_alloc_decompressor();
  ZSTD_CCtx* zstd_compressor = ZSTD_createCCtx();
  ZSTD_DCtx* zstd_decompressor = ZSTD_createDCtx();
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

}  // namespace

bool is_compressor(uint32_t id) {
  return id == kFilterDeflate || id == kFilterLz4 || id == kFilterZstd;
}

// zlib and lz4 document their limits; a block of zstd has at least 4 bytes and at most 128 KiB of
// content.
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
