// A CUDA thread on the host: a stack of its own, switched to and from on one OS thread. This file's
// code is never instrumented, but tells AddressSanitizer (SIMT_ASAN) and ThreadSanitizer
// (SIMT_TSAN) what it does: to the latter every fibre is a thread, and a switch orders nothing.
#pragma once

#include <cstddef>

namespace simt {

class Fibre {
 public:
  Fibre() = default;
  ~Fibre();
  Fibre(const Fibre&) = delete;
  Fibre& operator=(const Fibre&) = delete;

  // The next enter() begins at `entry`, which begins with arrived() and ends with leave(true).
  void prepare(void (*entry)());
  // From the scheduler into the fibre, until it leaves.
  void enter();
  static void arrived();
  // From the fibre to the scheduler. `last`: it is never entered again.
  void leave(bool last);

 private:
  void* stack_pointer_ = nullptr;
  char* stack_ = nullptr;
  char* top_ = nullptr;
  void* fake_stack_ = nullptr;  // of AddressSanitizer
  void* watched_ = nullptr;     // ThreadSanitizer's name of this fibre
};

// For ThreadSanitizer: what was done before a release of the tag is before what follows an acquire.
void order_release(void* tag);
void order_acquire(void* tag);
// Accesses of the runtime itself, which are not the kernel's.
struct Unwatched {
  Unwatched();
  ~Unwatched();
};

}  // namespace simt
