#include "tests/simt/arena.h"

#include <cstdlib>
#include <cstring>
#ifdef SIMT_ASAN
#include <sanitizer/asan_interface.h>
#endif

#include "kernels/cuda/simt.cuh"

namespace simt {
namespace {

constexpr size_t kLimit = 48 * 1024;  // of a block without asking for more
constexpr size_t kGap = 64;
// Two barriers in a row need tags of their own, or who comes late to leave the first would be
// ordered after who has come to the second. Groups of a warp meet at will: more for them.
constexpr int64_t kBarrierTags = 2;
constexpr int64_t kWarpTags = 64;
constexpr size_t kAlignment = 128;
constexpr size_t kTags =
    (8 * (kBarrierTags + 32 * kWarpTags) + kAlignment - 1) / kAlignment * kAlignment;  // bytes
constexpr size_t kArena = kTags + 2 * kLimit;
constexpr int kNan = 0xff;  // in every byte: a NaN as a float, nonsense as an index

}  // namespace

void Arena::begin_block() {
  memory_ = static_cast<char*>(std::aligned_alloc(kAlignment, kArena));
  if (memory_ == nullptr) std::abort();
  std::memset(memory_, kNan, kArena);
  next_ = kTags + kGap;
  wanted_ = 0;
  arrays_.clear();
#ifdef SIMT_ASAN
  __asan_poison_memory_region(memory_, kArena);
#endif
}

void Arena::end_block() {
#ifdef SIMT_ASAN
  __asan_unpoison_memory_region(memory_, kArena);
#endif
  std::free(memory_);
  memory_ = nullptr;
}

void* Arena::array(const void* key, size_t bytes, const std::string& line) {
  for (const auto& [known, address] : arrays_) {
    if (known == key) return address;
  }
  const size_t room = (bytes + 15) / 16 * 16;
  wanted_ += room;
  if (wanted_ > kLimit || next_ + room + kGap > kArena) {
    throw Error("more than 48 KiB of shared memory at " + line);
  }
  void* const address = memory_ + next_;
  next_ += room + kGap;
  arrays_.emplace_back(key, address);
#ifdef SIMT_ASAN
  __asan_unpoison_memory_region(address, bytes);
#endif
  return address;
}

void* Arena::barrier_tag(int64_t number) {
  return memory_ + 8 * (number % kBarrierTags);
}

void* Arena::warp_tag(size_t warp, int64_t number) {
  return memory_ + 8 * (kBarrierTags + static_cast<int64_t>(warp) * kWarpTags + number % kWarpTags);
}

bool Arena::holds(const void* address) const {
  const char* const at = static_cast<const char*>(address);
  return memory_ != nullptr && at >= memory_ && at < memory_ + kArena;
}

}  // namespace simt
