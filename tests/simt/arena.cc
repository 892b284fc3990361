#include "tests/simt/arena.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#ifdef SIMT_ASAN
#include <sanitizer/asan_interface.h>
#endif

#include "tests/simt/block.h"

namespace simt {
namespace {

constexpr size_t kLimit = 48 * 1024;  // of a block without asking for more
constexpr size_t kGap = 1024;
// Two barriers in a row need tags of their own, or who comes late to leave the first would be
// ordered after who has come to the second. Groups of a warp meet at will: more for them.
constexpr int64_t kBarrierTags = 2;
constexpr int64_t kWarpTags = 64;
constexpr size_t kAlignment = 128;
constexpr int kNan = 0xff;  // in every byte: a NaN as a float, nonsense as an index

char* allocate(size_t bytes) {
  void* const memory =
      std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  if (memory == nullptr) std::abort();
  return static_cast<char*>(memory);
}

}  // namespace

void Arena::begin_block(size_t warps) {
  tags_ = allocate(8 * (kBarrierTags + warps * kWarpTags));
  wanted_ = 0;
}

void Arena::end_block() {
  for (const Array& array : arrays_) {
#ifdef SIMT_ASAN
    __asan_unpoison_memory_region(array.memory, array.room + 2 * kGap);
#endif
    std::free(array.memory);
  }
  arrays_.clear();
  std::free(tags_);
  tags_ = nullptr;
}

void* Arena::array(const void* key, size_t bytes, Line at) {
  for (const Array& known : arrays_) {
    if (known.key == key) return known.memory + kGap;
  }
  const size_t room = (bytes + 15) / 16 * 16;
  wanted_ += room;
  if (wanted_ > kLimit) throw Error("more than 48 KiB of shared memory at " + text_of(at));
  char* const memory = allocate(room + 2 * kGap);
  std::memset(memory, kNan, room + 2 * kGap);
#ifdef SIMT_ASAN
  __asan_poison_memory_region(memory, room + 2 * kGap);
  __asan_unpoison_memory_region(memory + kGap, bytes);
#endif
  arrays_.push_back({key, memory, room});
  return memory + kGap;
}

void* Arena::barrier_tag(int64_t number) {
  return tags_ + 8 * (number % kBarrierTags);
}

void* Arena::warp_tag(size_t warp, int64_t number) {
  return tags_ + 8 * (kBarrierTags + static_cast<int64_t>(warp) * kWarpTags + number % kWarpTags);
}

bool Arena::holds(const void* address) const {
  const char* const at = static_cast<const char*>(address);
  return std::any_of(arrays_.begin(), arrays_.end(), [&](const Array& of) {
    return at >= of.memory && at < of.memory + of.room + 2 * kGap;
  });
}

}  // namespace simt
