// Sums that do not depend on the order of their terms: integers add exactly.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/base/check.h"

namespace alm {

// UserError: which columns make a term so large, and what to do.
[[noreturn]] void cannot_sum(double term);

// Sum of doubles as a 128-bit integer in units of 2^-44. Terms up to 2^60 in size are kept to
// 2^-45; the sum of 2^20 such terms still fits. Larger and non-finite terms are a UserError:
// extreme values of a log make them.
class FixedSum {
 public:
  static constexpr int kShift = 44;
  static constexpr int64_t kLimbs = 4;  // int64 words on the wire, 32 bits of payload each

  void add(double term) {
    if (!(std::fabs(term) < 0x1p60)) cannot_sum(term);
    const double scaled = std::nearbyint(term * 0x1p44);
    sum_ += std::fabs(scaled) < 0x1p62 ? static_cast<__int128>(static_cast<int64_t>(scaled))
                                       : static_cast<__int128>(scaled);
  }
  void add(const FixedSum& other) { sum_ += other.sum_; }
  double value() const { return static_cast<double>(sum_) * 0x1p-44; }
  bool operator==(const FixedSum&) const = default;

  // Four signed words whose element-wise sum over ranks represents the sum over ranks.
  void to_limbs(int64_t* limbs) const {
    __int128 rest = sum_;
    for (int64_t limb = 0; limb < kLimbs - 1; ++limb) {
      limbs[limb] = static_cast<int64_t>(static_cast<uint64_t>(rest) & 0xffffffffu);
      rest >>= 32;
    }
    limbs[kLimbs - 1] = static_cast<int64_t>(rest);
  }
  void from_limbs(const int64_t* limbs) {
    sum_ = 0;
    for (int64_t limb = kLimbs - 1; limb >= 0; --limb) sum_ = sum_ * 4294967296 + limbs[limb];
  }

 private:
  __int128 sum_ = 0;
};

// The power of two by which values of size up to `largest` are multiplied before rounding to int64,
// so that `terms` of them add without overflow. largest == 0 gives 0; guard non-finite values
// before.
inline int fixed_point_shift(double largest, int64_t terms) {
  ALM_CHECK(std::isfinite(largest) && largest >= 0, "no scale for %g", largest);
  if (largest == 0) return 0;
  int exponent = 0;
  std::frexp(largest, &exponent);  // largest < 2^exponent
  int room = 62;
  while (terms > 1) terms = (terms + 1) / 2, --room;
  return room - exponent;
}

}  // namespace alm
