// Shuffling of bytes, undone sixteen elements at once.
#include "io/shuffle.h"

#include <cstdint>
#include <cstring>

namespace alm::io {

namespace {

// Sixteen elements at once: bytes of neighbouring planes are interleaved, then pairs, then fours,
// until elements are whole.
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

}  // namespace

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

}  // namespace alm::io
