// The GPU this program may compute on: kernels/cuda where it was built with the CUDA toolkit, else
// no_gpu.cc.
#pragma once

#include <memory>
#include <string>

#include "kernels/device.h"

namespace alm {

struct Gpu {
  bool built_in = false;  // whether the program has kernels for one
  std::string obstacle;   // why none can be used, a part of a sentence; empty: one can
};
// Needs no driver: that there is none is an answer.
Gpu find_gpu();

// Of the first GPU, its matrix products in bf16 with sums in fp32. UserError naming the obstacle
// where there is one.
std::unique_ptr<Device> make_gpu_device();

}  // namespace alm
