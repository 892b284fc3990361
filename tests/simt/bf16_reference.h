// The double-precision reference of the ops whose products round their operands to bf16, or whose
// activations are held in it.
#pragma once

#include <string>
#include <vector>

#include "tests/reference/reference_ops.h"

namespace alm {

// Those that do something else in bf16 than in fp32.
std::vector<std::string> ops_with_bf16();

// As reference::run, but operands of products, and what is held between two kernels of the op, are
// rounded to bf16 (to nearest, ties to even). What the op gives is not rounded once more.
void run_in_bf16(const std::string& op, reference::Arguments& arguments);

}  // namespace alm
