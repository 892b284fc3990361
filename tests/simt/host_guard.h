// The mirror of what the double of the CUDA runtime does to device memory: while device work runs,
// what the host allocated is out of reach, so that a kernel which was handed an address of the host
// faults. Program-wide: brings its own operator new.
#pragma once

namespace simt {

// While it lives, this thread allocates from memory that device work cannot reach. What is freed is
// not used again: for a test of some seconds.
class HostGuard {
 public:
  HostGuard();
  ~HostGuard();
};

}  // namespace simt
