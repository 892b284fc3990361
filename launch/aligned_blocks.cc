// Memory of the program: large blocks begin at a cache line. The system's begin 16 bytes behind
// one, so that every row of a weight, of a gradient or of a table, each a whole number of lines,
// would take one line more, and every second load or store two lines: 2 % of a training step.
#include <cstdlib>
#include <new>

namespace {

constexpr std::size_t kLarge = std::size_t{1} << 16;
constexpr std::size_t kCacheLine = 64;

// Null where there is no memory.
void* block(std::size_t size) {
  if (size < kLarge) return std::malloc(size > 0 ? size : 1);
  void* memory = nullptr;
  return posix_memalign(&memory, kCacheLine, size) == 0 ? memory : nullptr;
}

}  // namespace

void* operator new(std::size_t size) {
  void* const memory = block(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return block(size);
}

void operator delete(void* memory) noexcept {
  std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
