// The shuffle filter of HDF5: byte b of element i lies at plane b, place i. What is left of a chunk
// after its last whole element stays where it is.
#pragma once

#include <cstddef>

namespace alm::io {

// `in` and `out` hold `bytes` bytes each and may not overlap.
void shuffle(const std::byte* in, std::byte* out, size_t bytes, size_t element);
void unshuffle(const std::byte* in, std::byte* out, size_t bytes, size_t element);

}  // namespace alm::io
