// The GPU this process may compute on: kernels/cuda where it was built with the CUDA toolkit, else
// no_gpu.cc. Of the GPUs that the driver shows a host's processes each takes the one of its number
// among them, `local_rank`; one that is shown a single GPU takes that.
#pragma once

#include <memory>
#include <string>

#include "kernels/device_without_memory.h"

namespace alm {

// Numbers of a vector that InfoNce (ops.h) takes on GPUs.
inline constexpr int64_t kWidestInfoNceOfGpus = 128;

struct Gpu {
  bool built_in = false;  // whether the program has kernels for one
  std::string obstacle;   // why none can be used, a part of a sentence; empty: one can
  std::string address;    // of the one that can, on the bus of its host
};
// Needs no driver: that there is none is an answer.
Gpu find_gpu(int64_t local_rank = 0);

// Who makes a GPU's matrix products: a library where that is faster and there is one
// (kernels/cuda/product_choice.h), or own kernels alone. The bits of those hang on the shapes
// alone; a library chooses by the GPU, too.
enum class Products { fastest, own };

// Its matrix products round as `precision` says. UserError naming the obstacle where there is one.
// The thread that calls uses this GPU from now on. `who`, where wanted: who makes which products,
// one line.
std::unique_ptr<Device> make_gpu_device(int64_t local_rank = 0,
                                        Precision precision = Precision::bf16,
                                        Products products = Products::fastest,
                                        std::string* who = nullptr);

// What such a device would be asked for memory; needs neither GPU nor driver, and takes a library
// to be there where one is wanted. UserError where the program has no kernels for one.
std::unique_ptr<DeviceWithoutMemory> make_gpu_without_memory(Precision precision,
                                                             Products products);

}  // namespace alm
