// A CUDA thread on the host: a stack of its own, switched to and from on one OS thread. This file's
// code is never instrumented, but tells AddressSanitizer (SIMT_ASAN) and ThreadSanitizer
// (SIMT_TSAN) what it does: to the latter every fibre is a thread, and a switch orders nothing.
// Fibres switch to each other where they can: by way of the scheduler is twice as far.
#pragma once

#include <cstddef>

namespace simt {

class Fibre {
 public:
  Fibre() = default;
  ~Fibre();
  Fibre(const Fibre&) = delete;
  Fibre& operator=(const Fibre&) = delete;

  // Who comes here next begins at `entry`, which begins with arrived() and ends with a last
  // leave().
  void prepare(void (*entry)());
  // From the scheduler into the fibre, until one leaves for the scheduler.
  void enter();
  static void arrived();
  // From the fibre to `next`, or to the scheduler where that is null. `last`: nobody comes back.
  void leave(Fibre* next, bool last);

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
