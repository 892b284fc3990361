// Which code makes the matrix products of a GPU: this is the only table of it. A layer is `in` to
// `out` wide; what its rows are makes no difference.
//
//   products of                            in     by
//   touch heads, all widths up to 64       bf16   one kernel, the hidden layer on chip
//                                                 (touch_head.cu)
//   layers, both widths 256 or more        bf16   cuBLASLt (wide_linear.cu)
//   layers, both widths 64 or more         fp32   cuBLASLt
//   all others                             both   own products (linear.cu)
//
// A head that is too wide for its kernel is made of layers, each by this table. Without the
// library, and where Products::own was asked for, its rows are of own products. Where the numbers
// come from: docs/performance_gpu.md, "Which code multiplies"; no GPU has measured them.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/mixed_matrix.h"

namespace alm::cuda {

inline constexpr int64_t kWidestFusedHead = 64;

// Tests lower the numbers.
struct ProductChoice {
  // The narrower width of the layers that are the library's.
  int64_t library_from_bf16 = 256;
  int64_t library_from_fp32 = 64;
  // Sums that the library leaves to own code on their way to the result: as many at a time as stay
  // in the L2 cache (40 MB on an A100, 50 on an H100).
  int64_t panel_bytes = int64_t{32} << 20;
  // Room for the library while it multiplies: what its makers advise on an H100.
  int64_t library_bytes = int64_t{32} << 20;

  constexpr int64_t library_from(Precision precision) const {
    return precision == Precision::bf16 ? library_from_bf16 : library_from_fp32;
  }
  // Rows of sums at a time.
  constexpr int64_t panel_rows(int64_t cols) const {
    constexpr int64_t kLeast = 128;  // and a multiple of it: a tile of the library's
    const int64_t fit = panel_bytes / (int64_t{sizeof(float)} * cols) / kLeast * kLeast;
    return fit < kLeast ? kLeast : fit;
  }
};

// The table in one line for people; `library` is a name, or empty with the reason why there is
// none.
std::string choice_text(const ProductChoice& choice, Precision precision,
                        const std::string& library, const std::string& why_not);

}  // namespace alm::cuda
