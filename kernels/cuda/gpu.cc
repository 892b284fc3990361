// Whether there is a GPU that these kernels run on.
#include "kernels/gpu.h"

#include <cuda_runtime_api.h>

#include <array>

#include "kernels/base/text.h"
#include "kernels/cuda/queue.h"
#include "kernels/gpu_versions.h"

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

std::string architecture_list() {
  std::string text;
  for (const int architecture : kArchitectures) {
    text += format("%s%d.%d", text.empty() ? "" : ", ", architecture / 10, architecture % 10);
  }
  return text;
}

// Machine code runs on GPUs of the same major version and no smaller minor one.
std::string architecture_obstacle(int gpu, int major, int minor) {
  for (const int architecture : kArchitectures) {
    if (architecture / 10 == major && architecture % 10 <= minor) return "";
  }
  constexpr int kLeastMajor = 8;  // the kernels' tensor-core product and asynchronous copies
  if (major < kLeastMajor) {
    return format("GPU %d has compute capability %d.%d, the kernels need %d.0 or later", gpu, major,
                  minor, kLeastMajor);
  }
  return format(
      "GPU %d has compute capability %d.%d, this program was built for %s (configure it with "
      "-DALM_CUDA_ARCHITECTURES=%d%d)",
      gpu, major, minor, architecture_list().c_str(), major, minor);
}

// How many GPUs there are, or why there is none.
int count_gpus(std::string& obstacle) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorInsufficientDriver) {
    obstacle = driver_obstacle();
  } else if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0)) {
    obstacle = "the driver shows no GPU (nvidia-smi lists them, CUDA_VISIBLE_DEVICES hides them)";
  } else if (error != cudaSuccess) {
    obstacle = std::string("the driver says: ") + cudaGetErrorString(error);
  }
  return count;
}

// A launcher may show each process a single GPU, of its own.
int gpu_of(int64_t local_rank, int count) {
  return count == 1 ? 0 : static_cast<int>(local_rank);
}

std::string usable_obstacle(int64_t local_rank, int count) {
  if (count > 1 && local_rank >= count) {
    return format(
        "the driver shows %d GPUs to more than %lld ranks of a host (start as many ranks as "
        "there are GPUs; nvidia-smi lists them, CUDA_VISIBLE_DEVICES hides them)",
        count, static_cast<long long>(local_rank));
  }
  const int gpu = gpu_of(local_rank, count);
  const cudaError_t taken = cudaSetDevice(gpu);
  if (taken == cudaSuccess) {
    const std::string architecture =
        architecture_obstacle(gpu, cuda::attribute(cudaDevAttrComputeCapabilityMajor),
                              cuda::attribute(cudaDevAttrComputeCapabilityMinor));
    if (!architecture.empty()) return architecture;
  }
  // Starts work on the GPU: another process may own it, or its memory be full.
  const cudaError_t start = taken == cudaSuccess ? cudaFree(nullptr) : taken;
  if (start == cudaSuccess) return "";
  return format("GPU %d cannot be used now: %s", gpu, cudaGetErrorString(start));
}

}  // namespace

Gpu find_gpu(int64_t local_rank) {
  Gpu found{true, "", ""};
  const int count = count_gpus(found.obstacle);
  if (found.obstacle.empty()) found.obstacle = usable_obstacle(local_rank, count);
  if (!found.obstacle.empty()) return found;
  std::array<char, 32> address{};
  cuda::check(cudaDeviceGetPCIBusId(address.data(), static_cast<int>(address.size()),
                                    gpu_of(local_rank, count)),
              "asking for the address of a GPU");
  found.address = address.data();
  return found;
}

std::unique_ptr<Device> make_gpu_device(int64_t local_rank, Precision precision, Products products,
                                        std::string* who) {
  std::string obstacle;
  const int count = count_gpus(obstacle);
  if (obstacle.empty()) obstacle = usable_obstacle(local_rank, count);
  if (!obstacle.empty()) throw UserError("no GPU: " + obstacle);
  std::optional<cuda::ProductChoice> choice;
  if (products == Products::fastest) choice.emplace();
  auto device = cuda::make_cuda_device(precision, gpu_of(local_rank, count), choice);
  if (who != nullptr) *who = device->products();
  return device;
}

std::unique_ptr<DeviceWithoutMemory> make_gpu_without_memory(Precision precision,
                                                             Products products) {
  std::optional<cuda::ProductChoice> choice;
  if (products == Products::fastest) choice.emplace();
  return cuda::make_cuda_without_memory(precision, choice);
}

std::string cuda_versions() {
  return "built with " + version_text(CUDART_VERSION) + ", for compute capability " +
         architecture_list();
}

std::string cuda_driver_version() {
  int driver = 0;
  cudaDriverGetVersion(&driver);
  return driver == 0 ? "not found" : "of CUDA " + version_text(driver);
}

}  // namespace alm
