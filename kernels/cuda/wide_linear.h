// Layers whose products product_choice.h gives the library.
#pragma once

#include <optional>

#include "kernels/cuda/queue.h"

namespace alm::cuda {

// Nothing where own kernels are to do the op: the layer is narrow, there is no library, or it has
// no code for the shape. Nothing has been queued then.
std::optional<cudaError_t> linear_forward_by_library(CudaQueue& queue, const LinearForward& a);
std::optional<cudaError_t> linear_backward_by_library(CudaQueue& queue, const LinearBackward& a);

}  // namespace alm::cuda
