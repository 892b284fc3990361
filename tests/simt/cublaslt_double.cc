// Double of the cuBLASLt calls that kernels/cuda/cublaslt.cc makes: a library of the same name that
// tests load in its place. Products are made late, on the double's streams, from all that was
// handed over at the call; the workspace is overwritten. What the library refuses is refused, and
// what it would meet as a fault of the GPU is an error of the call (cublaslt_product.h).
#include "tests/simt/cublaslt_double.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "kernels/cuda/simt.cuh"
#include "tests/simt/cublaslt_product.h"
#include "tests/simt/runtime.h"

namespace {

using namespace simt::lt;

simt::CublasLtCalls calls;
int64_t most_columns = -1;
bool lacks_sums = false;

struct Handle {
  int gpu;
};

template <class Of, class Handed>
Of& as(Handed* handed) {
  return *reinterpret_cast<std::conditional_t<std::is_const_v<Handed>, const Of, Of>*>(handed);
}

template <class Opaque, class Of>
cublasStatus_t give(Opaque** made, Of of) {
  const simt::InsideDouble inside;
  *made = reinterpret_cast<Opaque*>(new Of(of));
  return CUBLAS_STATUS_SUCCESS;
}
template <class Of, class Opaque>
cublasStatus_t take_back(Opaque* made) {
  const simt::InsideDouble inside;
  delete reinterpret_cast<Of*>(made);
  return CUBLAS_STATUS_SUCCESS;
}

template <class Field>
cublasStatus_t fill(Field& field, const void* from, size_t bytes) {
  if (bytes != sizeof field) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&field, from, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

namespace simt {

CublasLtCalls& cublaslt_calls() {
  return calls;
}
int64_t& cublaslt_most_columns() {
  return most_columns;
}
bool& cublaslt_lacks_sums() {
  return lacks_sums;
}

}  // namespace simt

extern "C" {

size_t cublasLtGetVersion() {
  return simt::kCublasLtDoubleVersion;
}

const char* cublasLtGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_INVALID_VALUE:
      return "invalid value";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "execution failed";
    default:
      return "error of the double of cuBLASLt";
  }
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  int gpu = 0;
  cudaGetDevice(&gpu);
  return give(reinterpret_cast<cublasLtMatmulDescOpaque_t**>(handle), Handle{gpu});
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  return take_back<Handle>(handle);
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* operation,
                                        cublasComputeType_t compute, cudaDataType_t scale) {
  return give(operation, Operation{compute, scale});
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation,
                                              cublasLtMatmulDescAttributes_t what, const void* from,
                                              size_t bytes) {
  Operation& of = as<Operation>(operation);
  switch (what) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return fill(of.of_a, from, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return fill(of.of_b, from, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return fill(of.epilogue, from, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return fill(of.vector, from, bytes);
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation) {
  return take_back<Operation>(operation);
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                                          uint64_t rows, uint64_t cols, int64_t ld) {
  return give(layout,
              MatrixLayout{type, static_cast<int64_t>(rows), static_cast<int64_t>(cols), ld});
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  return take_back<MatrixLayout>(layout);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  return give(preference, Preference{});
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t what,
                                                    const void* from, size_t bytes) {
  Preference& of = as<Preference>(preference);
  switch (what) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
      return fill(of.workspace, from, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      return fill(of.reductions, from, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      return fill(of.alignment[0], from, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      return fill(of.alignment[1], from, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
      return fill(of.alignment[2], from, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      return fill(of.alignment[3], from, bytes);
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  return take_back<Preference>(preference);
}

// Takes all the alignment and the workspace that it may.
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t* results,
                                              int* found) {
  ++calls.searches;
  const Operation& of = as<Operation>(operation);
  const std::array layouts = {as<MatrixLayout>(a), as<MatrixLayout>(b), as<MatrixLayout>(c),
                              as<MatrixLayout>(d)};
  *found = 0;
  const cublasStatus_t status = judged(of, layouts);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  if (wanted < 1) return CUBLAS_STATUS_INVALID_VALUE;
  const Preference& may = as<Preference>(preference);
  const bool in_result = (may.reductions & (CUBLASLT_REDUCTION_SCHEME_INPLACE |
                                            CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE)) != 0;
  const bool splits = in_result || (may.reductions & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE) != 0;
  Algorithm algorithm{};
  for (size_t i = 0; i < 4; ++i) {
    algorithm.alignment[i] = static_cast<uint16_t>(may.alignment[i]);
  }
  constexpr uint64_t kMostWorkspace = 1 << 20;
  algorithm.shape = shape_of(of, layouts);
  algorithm.workspace = static_cast<uint32_t>(std::min(may.workspace, kMostWorkspace));
  algorithm.parts = splits ? 3 : 1;
  algorithm.parts_in_result = in_result;
  algorithm.vector_alignment = alignment_of(of.vector);
  results[0] = {};
  std::memcpy(&results[0].algo, &algorithm, sizeof algorithm);
  results[0].workspaceSize = algorithm.workspace;
  results[0].state = CUBLAS_STATUS_SUCCESS;
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

// Without an algorithm the library would look for one in every call.
cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                              const void* alpha, const void* a, cublasLtMatrixLayout_t a_layout,
                              const void* b, cublasLtMatrixLayout_t b_layout, const void* beta,
                              const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t* algorithm, void* workspace,
                              size_t workspace_bytes, cudaStream_t stream) {
  const simt::InsideDouble inside;
  ++calls.products;
  int gpu = 0;
  cudaGetDevice(&gpu);
  if (reinterpret_cast<const Handle*>(handle)->gpu != gpu || algorithm == nullptr) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  Product p{.operation = as<Operation>(operation),
            .layouts = {as<MatrixLayout>(a_layout), as<MatrixLayout>(b_layout),
                        as<MatrixLayout>(c_layout), as<MatrixLayout>(d_layout)},
            .data = {static_cast<const char*>(a), static_cast<const char*>(b),
                     static_cast<const char*>(c), static_cast<const char*>(d)},
            .alpha = *static_cast<const float*>(alpha),
            .beta = *static_cast<const float*>(beta),
            .algorithm = {},
            .workspace = static_cast<char*>(workspace)};
  std::memcpy(&p.algorithm, algorithm, sizeof p.algorithm);
  const cublasStatus_t status = judged(p.operation, p.layouts);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  if (p.algorithm.shape != shape_of(p.operation, p.layouts)) return CUBLAS_STATUS_INVALID_VALUE;
  if (workspace_bytes < p.algorithm.workspace ||
      (p.algorithm.workspace > 0 &&
       (alignment_of(workspace) < 256 || !on_device(p.workspace, p.algorithm.workspace)))) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const cublasStatus_t addresses = judged_addresses(p);
  if (addresses != CUBLAS_STATUS_SUCCESS) return addresses;
  const cudaError_t error = simt::runtime::enqueue(stream, [p] { multiply(p); });
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // extern "C"
