// Pipelines of filters: what they are called, whether they can be undone, and a chunk through one.
#include "io/codec.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "io/compressors.h"
#include "io/digest.h"
#include "io/loader_phases.h"
#include "io/shuffle.h"
#include "kernels/base/check.h"
#include "kernels/base/clock.h"
#include "kernels/base/view.h"

namespace alm::io {

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
  thread_local Buffer plain;
  std::memcpy(plain.resize(chunk.size()), chunk.data(), chunk.size());
  encode_chunk(filters, chunk, scratch, deflate_level);
  const double most = (1 - kWorthwhile) * static_cast<double>(plain.size());
  if (static_cast<double>(chunk.size()) <= most) return 0;
  std::memcpy(chunk.resize(plain.size()), plain.data(), plain.size());
  encode_chunk(checksums, chunk, scratch);
  return mask;
}

}  // namespace alm::io
