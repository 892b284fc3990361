// What a build without cublasLt.h has.
#include "kernels/cuda/library_products.h"
#include "kernels/gpu_versions.h"

namespace alm::cuda {

std::unique_ptr<LibraryProducts> make_library_products(int64_t, std::string& why_not) {
  why_not = "this program was built without cuBLASLt";
  return nullptr;
}

}  // namespace alm::cuda

namespace alm {

std::string cublaslt_versions() {
  return "not built in";
}

}  // namespace alm
