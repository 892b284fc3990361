// The real cuBLASLt: its version where it starts, else its words why not.
#include <cstdio>

#include "kernels/cuda/library_products.h"

int main() {
  std::string said;
  const auto library = alm::cuda::make_library_products(0, said);
  if (library != nullptr) said = library->name();
  std::printf("%s\n", said.c_str());
}
