// What tests may ask of the double of NCCL (nccl_double.cc).
#pragma once

#include <cstdint>

namespace simt {

// What this rank does wrong, and at which of its reductions, from 1; 0: at the start.
struct NcclFault {
  enum Kind { none, absent, late, error } kind = none;
  int64_t at = 0;
};
NcclFault& nccl_fault();
inline constexpr double kLateSeconds = 0.5;

// The version it says it is.
inline constexpr int kNcclDoubleVersion = 29901;

}  // namespace simt
