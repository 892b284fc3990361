// What the double of cuBLASLt knows of a product, and how it makes one. Where the library leaves a
// choice it makes the worst of it: sums run against the order of ours and in parts, parts are held
// in the result's type where that was allowed, and a ReLU makes 0 of a NaN.
#pragma once

#include <cublasLt.h>

#include <array>
#include <cstdint>

namespace simt::lt {

struct Operation {
  cublasComputeType_t compute;
  cudaDataType scale;
  int32_t of_a = CUBLAS_OP_N;
  int32_t of_b = CUBLAS_OP_N;
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void* vector = nullptr;
};
struct MatrixLayout {
  cudaDataType type;
  int64_t rows;
  int64_t cols;
  int64_t ld;
};
struct Preference {
  uint64_t workspace = 0;
  uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_MASK;
  std::array<uint32_t, 4> alignment = {256, 256, 256, 256};  // of A, B, C, D
};

// The problem an algorithm was found for; kept in its place.
struct Algorithm {
  uint16_t alignment[4];
  uint32_t shape;  // of everything else
  uint32_t workspace;
  uint8_t parts;            // of the depth
  uint8_t parts_in_result;  // whether their sums are held in the result's type
  uint16_t vector_alignment;
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

// All that one product is made of, as it was at the call.
struct Product {
  Operation operation;
  std::array<MatrixLayout, 4> layouts;  // of A, B, C, D
  std::array<const char*, 4> data;
  float alpha;
  float beta;
  Algorithm algorithm;
  char* workspace;

  int64_t rows() const { return layouts[3].rows; }
  int64_t cols() const { return layouts[3].cols; }
  int64_t depth() const {
    return operation.of_a == CUBLAS_OP_N ? layouts[0].cols : layouts[0].rows;
  }
};

// Whether types, shapes and epilogue are such as the library's reference lists.
cublasStatus_t judged(const Operation& of, const std::array<MatrixLayout, 4>& layouts);
// Whether addresses are of the device, aligned as the algorithm was promised, and apart where they
// must be: on a GPU most of what is wrong here would be a fault.
cublasStatus_t judged_addresses(const Product& p);
// A number that tells problems apart which no algorithm is shared between.
uint32_t shape_of(const Operation& of, const std::array<MatrixLayout, 4>& layouts);
// In bytes, at most 256.
uint16_t alignment_of(const void* address);
bool on_device(const char* first, size_t bytes);
// Device work.
void multiply(const Product& p);

}  // namespace simt::lt
