// What the program was built with for GPUs and what of that it finds on this machine, in words.
// Needs no GPU, and does not throw: that there is nothing is an answer.
#pragma once

#include <string>

namespace alm {

// "built with 13.0, for compute capability 8.0, 9.0, 10.0", or "not built in".
std::string cuda_versions();
// "of CUDA 13.0"; asks the driver.
std::string cuda_driver_version();
// "built with 13.0.0, found 13.0.2"; loads the library.
std::string cublaslt_versions();

}  // namespace alm
