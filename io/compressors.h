// The bytes of one compressor: deflate (libdeflate), zstd, and lz4 in the form of the registered
// plugin. All calls of the compression libraries are in compressors.cc, also those of codec.h's
// ZstdStream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "io/codec.h"

namespace alm::io {

bool is_compressor(uint32_t id);
// Whether so few stored bytes can hold so many plain ones. Asked before there is memory for them: a
// damaged file may claim any size.
bool may_hold(uint32_t id, size_t stored, size_t plain);
// Fills `out`; false: the bytes are damaged.
bool decompress(uint32_t id, std::span<const std::byte> in, std::byte* out, size_t out_bytes);
void compress(uint32_t id, const Buffer& in, Buffer& out, int deflate_level);

}  // namespace alm::io
