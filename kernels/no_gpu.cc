// What a build without the CUDA toolkit says of GPUs.
#include "kernels/gpu.h"
#include "kernels/gpu_versions.h"

namespace alm {

Gpu find_gpu(int64_t) {
  return {false, "this program was built without CUDA (build it where the CUDA toolkit is)", ""};
}

std::unique_ptr<Device> make_gpu_device(int64_t, Precision, Products, std::string*) {
  throw UserError("no GPU: " + find_gpu(0).obstacle);
}

std::unique_ptr<DeviceWithoutMemory> make_gpu_without_memory(Precision, Products) {
  throw UserError("no GPU: " + find_gpu(0).obstacle);
}

std::string cuda_versions() {
  return "not built in";
}

std::string cuda_driver_version() {
  return "not looked for: this program was built without CUDA";
}

std::string cublaslt_versions() {
  return "not built in";
}

}  // namespace alm
