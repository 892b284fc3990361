// What both ways to compute a layer, in fp32 and in bf16, share.
#pragma once

#include "kernels/ops.h"

namespace alm::ALM_SIMD {

// d_y over rows [first, last): masked where y is 0, and summed up by column where d_bias wants it.
void mask_and_sum(const LinearBackward& a, int64_t first, int64_t last);

}  // namespace alm::ALM_SIMD
