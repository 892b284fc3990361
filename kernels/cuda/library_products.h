// Matrix products by a library (cuBLASLt, loaded when a GPU is made ready), with what it fuses.
#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <string>

#include "kernels/mixed_matrix.h"

namespace alm::cuda {

// result [rows, cols] = act(alpha op(left) op(right) + addend + bias), all row-major: op(left)
// [rows, depth], op(right) [depth, cols]; act is ReLU or none. Sums are fp32. Factors are both fp32
// (then so is the result) or both bf16. The addend is held as the result is, and may be it. A ReLU
// may make 0 of a NaN.
struct LibraryProduct {
  MixedMatrix<const float> left;   // transposed: [depth, rows]
  MixedMatrix<const float> right;  // transposed: [cols, depth]
  bool left_transposed = false;
  bool right_transposed = false;
  MixedMatrix<float> result;
  MixedMatrix<const float> addend = {};  // optional
  float alpha = 1.0f;
  // Optional, [cols], held as the result is; 16-byte aligned.
  const float* bias = nullptr;
  bool relu = false;
  // Optional, [cols], in place of bias and ReLU: overwritten by the sums of op(right) over its
  // depth. The result is fp32.
  float* sums_of_right = nullptr;
};

// Of one GPU, for one thread at a time.
class LibraryProducts {
 public:
  virtual ~LibraryProducts() = default;
  virtual std::string name() const = 0;
  // Whether the library has code for the product; looked for once a shape and kept. Needs the
  // addresses for their alignment alone.
  virtual bool has(const LibraryProduct& product) = 0;
  // Bytes of room that a product may use while it runs.
  virtual int64_t workspace_bytes() const = 0;
  // Queues one that it has; the room is 256-byte aligned. Throws MachineError with the library's
  // words.
  virtual void run(cudaStream_t stream, const LibraryProduct& product, void* workspace) = 0;
};

// Of the GPU this thread uses; null with `why_not`, part of a sentence, where there is no library.
std::unique_ptr<LibraryProducts> make_library_products(int64_t workspace_bytes,
                                                       std::string& why_not);

}  // namespace alm::cuda
