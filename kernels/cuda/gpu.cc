// Whether there is a GPU that these kernels run on.
#include "kernels/gpu.h"

#include <cuda_runtime_api.h>

#include <array>

#include "kernels/base/text.h"
#include "kernels/cuda/queue.h"

namespace alm {
namespace {

// What nvcc made machine code for: major and minor as one number.
constexpr std::array kArchitectures = {ALM_CUDA_ARCHITECTURES};

std::string version_text(int version) {
  return format("%d.%d", version / 1000, version % 1000 / 10);
}

std::string driver_obstacle() {
  int driver = 0;
  cudaDriverGetVersion(&driver);
  if (driver == 0) return "no NVIDIA driver is installed here";
  return format(
      "the NVIDIA driver is too old: it is of CUDA %s, this program of CUDA %s (update the driver)",
      version_text(driver).c_str(), version_text(CUDART_VERSION).c_str());
}

// Machine code runs on GPUs of the same major version and no smaller minor one.
std::string architecture_obstacle(int major, int minor) {
  std::string built;
  for (const int architecture : kArchitectures) {
    if (architecture / 10 == major && architecture % 10 <= minor) return "";
    built += format("%s%d.%d", built.empty() ? "" : ", ", architecture / 10, architecture % 10);
  }
  constexpr int kLeastMajor = 8;  // the kernels' tensor-core product and asynchronous copies
  if (major < kLeastMajor) {
    return format("GPU 0 has compute capability %d.%d, the kernels need %d.0 or later", major,
                  minor, kLeastMajor);
  }
  return format(
      "GPU 0 has compute capability %d.%d, this program was built for %s (configure it with "
      "-DALM_CUDA_ARCHITECTURES=%d%d)",
      major, minor, built.c_str(), major, minor);
}

std::string obstacle() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorInsufficientDriver) return driver_obstacle();
  if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0)) {
    return "the driver shows no GPU (nvidia-smi lists them, CUDA_VISIBLE_DEVICES hides them)";
  }
  if (error != cudaSuccess) return std::string("the driver says: ") + cudaGetErrorString(error);
  const std::string architecture =
      architecture_obstacle(cuda::attribute(cudaDevAttrComputeCapabilityMajor),
                            cuda::attribute(cudaDevAttrComputeCapabilityMinor));
  if (!architecture.empty()) return architecture;
  // Starts work on the GPU: another process may own it, or its memory be full.
  const cudaError_t start = cudaFree(nullptr);
  if (start == cudaSuccess) return "";
  return std::string("GPU 0 cannot be used now: ") + cudaGetErrorString(start);
}

}  // namespace

Gpu find_gpu() {
  return {true, obstacle()};
}

std::unique_ptr<Device> make_gpu_device() {
  const std::string why_not = obstacle();
  if (!why_not.empty()) throw UserError("no GPU: " + why_not);
  return cuda::make_cuda_device(cuda::Precision::bf16);
}

}  // namespace alm
