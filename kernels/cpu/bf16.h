// Tables of the avx512 level whose matrix products are of bf16 numbers.
#pragma once

#include <vector>

#include "kernels/ops.h"

namespace alm::avx512 {

// Those that this processor can run, fastest first; empty: it has no products in bf16.
std::vector<const Ops*> ops_in_bf16();

}  // namespace alm::avx512
