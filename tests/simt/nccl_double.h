// What tests may ask of the double of NCCL (nccl_double.cc).
#pragma once

#include <cstdint>

namespace simt {

// What this rank does wrong, and at which of its reductions, from 1; 0: at the start. Dropped: it
// meets an error before the reduction is on its stream.
struct NcclFault {
  enum Kind { none, absent, late, error, dropped } kind = none;
  int64_t at = 0;
};
NcclFault& nccl_fault();
inline constexpr double kLateSeconds = 0.5;

// Memory that was made known to it.
struct NcclMemory {
  int64_t registered = 0;  // now
  int64_t registrations = 0;
  int64_t sums = 0;      // of numbers in it
  int64_t mistakes = 0;  // freed, or the communicator ended, while it was registered
};
NcclMemory& nccl_memory();

// The version it says it is.
inline constexpr int kNcclDoubleVersion = 29901;

}  // namespace simt
