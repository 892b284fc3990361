#include "tests/simt/fibre.h"

#include <sys/mman.h>

#include <cstdlib>
#ifdef SIMT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#ifdef SIMT_TSAN
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* tag);
void __tsan_release(void* tag);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif

// Saves the registers that a call must keep, swaps stacks, restores. x86-64, System V.
extern "C" void simt_switch(void** save, void* to);
asm(R"(.text
.globl simt_switch
.type simt_switch,@function
simt_switch:
 pushq %rbp
 pushq %rbx
 pushq %r12
 pushq %r13
 pushq %r14
 pushq %r15
 movq %rsp,(%rdi)
 movq %rsi,%rsp
 popq %r15
 popq %r14
 popq %r13
 popq %r12
 popq %rbx
 popq %rbp
 ret
)");

namespace simt {
namespace {

constexpr size_t kStack = 256 * 1024;
constexpr size_t kGuard = 4096;
// Stacks begin at different places of their pages: else the same few lines of the processor's cache
// would serve all of them.
constexpr size_t kColours = 61;
constexpr size_t kColourStep = 17 * 64;
size_t stacks_made = 0;

void* scheduler_pointer = nullptr;
#ifdef SIMT_ASAN
const void* scheduler_bottom = nullptr;
size_t scheduler_size = 0;
void* scheduler_fake = nullptr;
bool from_scheduler = false;  // the switch under way

// `fake`: what the switch away from here kept.
void finish_switch(void* fake) {
  if (from_scheduler) {
    __sanitizer_finish_switch_fiber(fake, &scheduler_bottom, &scheduler_size);
  } else {
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
  }
  from_scheduler = false;
}
#endif
#ifdef SIMT_TSAN
void* scheduler_watched = nullptr;
#endif

}  // namespace

Fibre::~Fibre() {
#ifdef SIMT_TSAN
  if (watched_ != nullptr) __tsan_destroy_fiber(watched_);
#endif
  if (stack_ != nullptr) ::munmap(stack_, kStack);
}

void Fibre::prepare(void (*entry)()) {
  if (stack_ == nullptr) {
    void* const memory = ::mmap(nullptr, kStack, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || ::mprotect(memory, kGuard, PROT_NONE) != 0) std::abort();
    stack_ = static_cast<char*>(memory);
    top_ = stack_ + kStack - stacks_made++ % kColours * kColourStep;
#ifdef SIMT_TSAN
    watched_ = __tsan_create_fiber(0);
#endif
  }
#ifdef SIMT_ASAN
  // A fibre that was given up left its frames marked.
  __asan_unpoison_memory_region(stack_ + kGuard, kStack - kGuard);
#endif
  // As after a call: the entry's return address (never used) on top, below it where simt_switch
  // returns to and six registers.
  void** const top = reinterpret_cast<void**>(top_ - 56);
  top[0] = nullptr;
  top[-1] = reinterpret_cast<void*>(entry);
  for (int i = 2; i < 8; ++i) top[-i] = nullptr;
  stack_pointer_ = top - 7;
}

void Fibre::enter() {
#ifdef SIMT_ASAN
  from_scheduler = true;
  __sanitizer_start_switch_fiber(&scheduler_fake, stack_ + kGuard, kStack - kGuard);
#endif
#ifdef SIMT_TSAN
  scheduler_watched = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(watched_, 1);
#endif
  simt_switch(&scheduler_pointer, stack_pointer_);
#ifdef SIMT_ASAN
  __sanitizer_finish_switch_fiber(scheduler_fake, nullptr, nullptr);
#endif
}

void Fibre::arrived() {
#ifdef SIMT_ASAN
  finish_switch(nullptr);
#endif
}

void Fibre::leave(Fibre* next, [[maybe_unused]] bool last) {
#ifdef SIMT_ASAN
  const void* const bottom = next != nullptr ? next->stack_ + kGuard : scheduler_bottom;
  __sanitizer_start_switch_fiber(last ? nullptr : &fake_stack_, bottom,
                                 next != nullptr ? kStack - kGuard : scheduler_size);
#endif
#ifdef SIMT_TSAN
  __tsan_switch_to_fiber(next != nullptr ? next->watched_ : scheduler_watched, 1);
#endif
  simt_switch(&stack_pointer_, next != nullptr ? next->stack_pointer_ : scheduler_pointer);
#ifdef SIMT_ASAN
  finish_switch(fake_stack_);
#endif
}

#ifdef SIMT_TSAN
void order_release(void* tag) {
  __tsan_release(tag);
}
void order_acquire(void* tag) {
  __tsan_acquire(tag);
}
Unwatched::Unwatched() {
  AnnotateIgnoreReadsBegin("", 0);
  AnnotateIgnoreWritesBegin("", 0);
}
Unwatched::~Unwatched() {
  AnnotateIgnoreWritesEnd("", 0);
  AnnotateIgnoreReadsEnd("", 0);
}
#else
void order_release(void*) {}
void order_acquire(void*) {}
Unwatched::Unwatched() {}
Unwatched::~Unwatched() {}
#endif

}  // namespace simt
