#include "tests/simt/host_guard.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "kernels/base/check.h"
#include "tests/simt/runtime.h"

namespace {

constexpr std::size_t kRoom = std::size_t{8} << 30;  // of addresses: pages come when written
// The system changes the protection of large pages 512 times as fast.
constexpr std::size_t kLargePage = std::size_t{2} << 20;
char* room = nullptr;
std::size_t used = 0;
thread_local bool guarded = false;

bool in_room(const void* address) {
  const char* const at = static_cast<const char*>(address);
  return room != nullptr && at >= room && at < room + kRoom;
}

void out_of_reach(bool device_works) {
  const std::size_t whole = (used + kLargePage - 1) / kLargePage * kLargePage;
  ::mprotect(room, whole, device_works ? PROT_NONE : PROT_READ | PROT_WRITE);
}

void on_fault(int, siginfo_t* fault, void*) {
  constexpr char kOfHost[] = "a kernel touched memory of the host\n";
  constexpr char kOther[] = "the host touched memory of the device, or memory of nobody\n";
  const bool of_host = in_room(fault->si_addr);
  const ssize_t told = ::write(STDERR_FILENO, of_host ? kOfHost : kOther,
                               of_host ? sizeof(kOfHost) - 1 : sizeof(kOther) - 1);
  ::_exit(told > 0 ? 1 : 2);
}

void* take(std::size_t size, std::size_t alignment) {
  if (!guarded || simt::InsideDouble::depth > 0) {
    const std::size_t whole = (std::max<std::size_t>(size, 1) + alignment - 1) / alignment;
    return std::aligned_alloc(alignment, whole * alignment);
  }
  used = (used + alignment - 1) / alignment * alignment;
  char* const memory = room + used;
  used += size;
  return used <= kRoom ? memory : nullptr;
}

void* take_or_throw(std::size_t size, std::size_t alignment) {
  void* const memory = take(size, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void give_back(void* memory) {
  if (!in_room(memory)) std::free(memory);
}

}  // namespace

namespace simt {

HostGuard::HostGuard() {
  if (room == nullptr) {
    void* const mapping = ::mmap(nullptr, kRoom + kLargePage, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ALM_CHECK(mapping != MAP_FAILED);
    const std::size_t past = reinterpret_cast<std::uintptr_t>(mapping) % kLargePage;
    room = static_cast<char*>(mapping) + (kLargePage - past);
    ::madvise(room, kRoom, MADV_HUGEPAGE);
    static char stack[1 << 16];
    const stack_t alternate{.ss_sp = stack, .ss_flags = 0, .ss_size = sizeof(stack)};
    ::sigaltstack(&alternate, nullptr);
    struct sigaction action {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    ::sigaction(SIGSEGV, &action, nullptr);
  }
  at_device_work = out_of_reach;
  guarded = true;
}

HostGuard::~HostGuard() {
  guarded = false;
  at_device_work = nullptr;
}

}  // namespace simt

void* operator new(std::size_t size) {
  return take_or_throw(size, alignof(std::max_align_t));
}
void* operator new[](std::size_t size) {
  return take_or_throw(size, alignof(std::max_align_t));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return take_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return take_or_throw(size, static_cast<std::size_t>(alignment));
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
