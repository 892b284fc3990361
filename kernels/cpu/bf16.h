// Tables of the avx512 level whose matrix products are of bf16 numbers.
#pragma once

#include <vector>

#include "kernels/ops.h"

namespace alm {

// Those that this processor can run, fastest first; empty: it has no products in bf16.
std::vector<const Ops*> cpu_ops_in_bf16();

namespace avx512 {

// Not to be called on a processor that lacks them: these functions themselves are compiled for it.
const Ops& ops_by_tiles();  // AMX
const Ops& ops_by_dots();   // avx512_bf16

}  // namespace avx512
}  // namespace alm
