// The one matrix product of the program.
#pragma once

#include <string>

#include "kernels/base/view.h"

namespace alm {

enum class Transpose { no, yes };

// c = alpha op(a) op(b) + beta c, with op the transpose where asked. Row strides are free. beta is
// 0 (c may hold anything, NaN too) or 1. Runs on the calling thread alone, so the bits depend on
// the arguments and the instruction set only, never on how many threads call. c overlaps neither a
// nor b. The library takes its packing buffer from malloc and gives it back, once a call.
void gemm(Transpose transpose_a, Transpose transpose_b, float alpha, Matrix<const float> a,
          Matrix<const float> b, float beta, Matrix<float> c);

// Keeps the library at the instruction set of a SIMD level ("scalar" is SSE4.1: the library has no
// lower one), so that a run pinned to a common level gives the same bits on different processors.
// Works once in a process, before the first product; later calls change nothing.
void limit_gemm_to_level(const std::string& level);

// Name and version of the library, as it says at run time: "oneDNN 2.6.3".
std::string gemm_library();

}  // namespace alm
