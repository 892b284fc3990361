// The real cuBLASLt: its version where it starts, else its words why not, which without a GPU is no
// fault of its own.
#include <cstdio>

#include "kernels/cuda/library_products.h"
#include "kernels/gpu.h"

int main() {
  std::string said;
  const auto library = alm::cuda::make_library_products(0, said);
  if (library != nullptr) {
    said = library->name();
  } else if (!alm::find_gpu().obstacle.empty()) {
    said = "no GPU: " + said;
  }
  std::printf("%s\n", said.c_str());
}
