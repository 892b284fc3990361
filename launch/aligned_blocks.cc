// Memory of the program: large blocks begin at a cache line. The system's begin 16 bytes behind
// one, so that every row of a weight, of a gradient or of a table, each a whole number of lines,
// would take one line more, and every second load or store two lines: 2 % of a training step.
#include <cstdlib>
#include <new>

namespace {

constexpr std::size_t kLarge = std::size_t{1} << 16;
constexpr std::size_t kCacheLine = 64;

}  // namespace

void* operator new(std::size_t size) {
  void* memory = nullptr;
  if (size < kLarge) {
    memory = std::malloc(size > 0 ? size : 1);
  } else if (posix_memalign(&memory, kCacheLine, size) != 0) {
    memory = nullptr;
  }
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void operator delete(void* memory) noexcept {
  std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
