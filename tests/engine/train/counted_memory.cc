#include "tests/engine/train/counted_memory.h"

#include <malloc.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace alm {

thread_local bool counted_memory::this_thread = false;
std::atomic<int64_t> counted_memory::allocations{0};
std::atomic<int64_t> counted_memory::held{0};
std::atomic<int64_t> counted_memory::peak{0};

}  // namespace alm

namespace counted_memory = alm::counted_memory;

namespace {

int64_t usable(void* memory) {
  return static_cast<int64_t>(::malloc_usable_size(memory));
}

void* counted(std::size_t size, std::size_t alignment) {
  if (counted_memory::this_thread) ++counted_memory::allocations;
  const std::size_t whole =
      (std::max<std::size_t>(size, 1) + alignment - 1) / alignment * alignment;
  void* const memory = std::aligned_alloc(alignment, whole);
  if (memory == nullptr) throw std::bad_alloc();
  const int64_t held = counted_memory::held += usable(memory);
  int64_t peak = counted_memory::peak;
  while (held > peak && !counted_memory::peak.compare_exchange_weak(peak, held)) {
  }
  return memory;
}

void give_back(void* memory) {
  counted_memory::held -= usable(memory);
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) {
  return counted(size, alignof(std::max_align_t));
}
void* operator new[](std::size_t size) {
  return counted(size, alignof(std::max_align_t));
}
// What std::stable_sort takes its buffer from.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return counted(size, alignof(std::max_align_t));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return counted(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  give_back(memory);
}
void operator delete[](void* memory) noexcept {
  give_back(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  give_back(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  give_back(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  give_back(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  give_back(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  give_back(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  give_back(memory);
}
