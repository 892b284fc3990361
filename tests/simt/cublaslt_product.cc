#include "tests/simt/cublaslt_product.h"

#include <cuda_bf16.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "tests/simt/cublaslt_double.h"
#include "tests/simt/runtime.h"

namespace simt::lt {
namespace {

size_t bytes_of(cudaDataType type) {
  return type == CUDA_R_16BF ? 2 : 4;
}

float number(const char* data, const MatrixLayout& of, int64_t r, int64_t c) {
  const char* const at = data + static_cast<size_t>(c * of.ld + r) * bytes_of(of.type);
  if (of.type == CUDA_R_32F) {
    float value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
  uint16_t half;
  std::memcpy(&half, at, sizeof half);
  const uint32_t bits = uint32_t{half} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
float rounded(float value, cudaDataType type) {
  return type == CUDA_R_16BF ? __bfloat162float(__float2bfloat16_rn(value)) : value;
}
void put(char* at, float value, cudaDataType type) {
  if (type == CUDA_R_32F) {
    std::memcpy(at, &value, sizeof value);
    return;
  }
  const __nv_bfloat16 half = __float2bfloat16_rn(value);
  std::memcpy(at, &half, sizeof half);
}

// The factors, [rows or columns, depth] with the depth close together.
std::vector<float> packed(const Product& p, int which) {
  const MatrixLayout& of = p.layouts[static_cast<size_t>(which)];
  const char* const data = p.data[static_cast<size_t>(which)];
  const int32_t way = which == 0 ? p.operation.of_a : p.operation.of_b;
  const bool depth_is_cols = (which == 0) == (way == CUBLAS_OP_N);
  const int64_t count = which == 0 ? p.rows() : p.cols();
  std::vector<float> numbers(static_cast<size_t>(count * p.depth()));
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t k = 0; k < p.depth(); ++k) {
      numbers[static_cast<size_t>(i * p.depth() + k)] =
          depth_is_cols ? number(data, of, i, k) : number(data, of, k, i);
    }
  }
  return numbers;
}

// From the end to the beginning, in parts that lie in one another.
float sum_over_depth(const Product& p, const float* a, const float* b) {
  const cudaDataType part_type = p.algorithm.parts_in_result ? p.layouts[3].type : CUDA_R_32F;
  float total = 0;
  for (int64_t part = 0; part < p.algorithm.parts; ++part) {
    float sum = 0;
    for (int64_t k = p.depth() - 1 - part; k >= 0; k -= p.algorithm.parts) {
      sum = std::fma(a[k], b[k], sum);
    }
    total += rounded(sum, part_type);
  }
  return total;
}

}  // namespace

void multiply(const Product& p) {
  std::memset(p.workspace, 0xff, p.algorithm.workspace);
  const std::vector<float> a = packed(p, 0);
  const std::vector<float> b = packed(p, 1);
  const MatrixLayout& d = p.layouts[3];
  const uint32_t epilogue = p.operation.epilogue;
  const char* const vector = static_cast<const char*>(p.operation.vector);
  const bool biased = (epilogue & CUBLASLT_EPILOGUE_BIAS) != 0;
  const bool relu = (epilogue & CUBLASLT_EPILOGUE_RELU) != 0;
  if (epilogue == CUBLASLT_EPILOGUE_BGRADA) {
    const std::vector<float> ones(static_cast<size_t>(p.depth()), 1.0f);
    for (int64_t r = 0; r < p.rows(); ++r) {
      put(static_cast<char*>(p.operation.vector) + static_cast<size_t>(r) * bytes_of(d.type),
          sum_over_depth(p, &a[static_cast<size_t>(r * p.depth())], ones.data()), d.type);
    }
  }
  for (int64_t c = 0; c < p.cols(); ++c) {
    for (int64_t r = 0; r < p.rows(); ++r) {
      float z = p.alpha * sum_over_depth(p, &a[static_cast<size_t>(r * p.depth())],
                                         &b[static_cast<size_t>(c * p.depth())]);
      if (p.beta != 0) z += p.beta * number(p.data[2], p.layouts[2], r, c);
      if (biased) z += number(vector, {d.type, p.rows(), 1, p.rows()}, r, 0);
      if (relu) z = z > 0 ? z : 0.0f;
      put(const_cast<char*>(p.data[3]) + static_cast<size_t>(c * d.ld + r) * bytes_of(d.type), z,
          d.type);
    }
  }
}

namespace {

bool needs_vector(uint32_t epilogue) {
  return (epilogue & CUBLASLT_EPILOGUE_BIAS) != 0 || epilogue == CUBLASLT_EPILOGUE_BGRADA;
}

size_t extent(const MatrixLayout& of) {
  return static_cast<size_t>((of.cols - 1) * of.ld + of.rows) * bytes_of(of.type);
}

}  // namespace

cublasStatus_t judged(const Operation& of, const std::array<MatrixLayout, 4>& layouts) {
  const auto& [a, b, c, d] = layouts;
  if (of.compute != CUBLAS_COMPUTE_32F || of.scale != CUDA_R_32F || a.type != b.type ||
      c.type != d.type || (a.type == CUDA_R_32F && d.type != CUDA_R_32F)) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  for (const MatrixLayout& layout : layouts) {
    if (layout.rows <= 0 || layout.cols <= 0 || layout.ld < layout.rows) {
      return CUBLAS_STATUS_INVALID_VALUE;
    }
  }
  const int64_t rows = of.of_a == CUBLAS_OP_N ? a.rows : a.cols;
  const int64_t depth = of.of_a == CUBLAS_OP_N ? a.cols : a.rows;
  const int64_t cols = of.of_b == CUBLAS_OP_N ? b.cols : b.rows;
  const int64_t depth_of_b = of.of_b == CUBLAS_OP_N ? b.rows : b.cols;
  if (depth != depth_of_b || c.rows != rows || d.rows != rows || c.cols != cols || d.cols != cols) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  switch (of.epilogue) {
    case CUBLASLT_EPILOGUE_DEFAULT:
    case CUBLASLT_EPILOGUE_RELU:
    case CUBLASLT_EPILOGUE_BIAS:
    case CUBLASLT_EPILOGUE_RELU_BIAS:
    case CUBLASLT_EPILOGUE_BGRADA:
      break;
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  const int64_t most_columns = cublaslt_most_columns();
  if (most_columns >= 0 && d.rows > most_columns) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (cublaslt_lacks_sums() && of.epilogue == CUBLASLT_EPILOGUE_BGRADA) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  return CUBLAS_STATUS_SUCCESS;
}

uint32_t shape_of(const Operation& of, const std::array<MatrixLayout, 4>& layouts) {
  uint64_t word =
      of.epilogue * 4 + static_cast<uint64_t>(of.of_a) * 2 + static_cast<uint64_t>(of.of_b);
  for (const MatrixLayout& layout : layouts) {
    for (const int64_t number : {int64_t{layout.type}, layout.rows, layout.cols, layout.ld}) {
      word = (word ^ static_cast<uint64_t>(number)) * 0x9e3779b97f4a7c15u;
      word ^= word >> 29;
    }
  }
  return static_cast<uint32_t>(word);
}

uint16_t alignment_of(const void* address) {
  constexpr uintptr_t kMost = 256;
  const uintptr_t at = reinterpret_cast<uintptr_t>(address) | kMost;
  return static_cast<uint16_t>(at & (~at + 1));
}

bool on_device(const char* first, size_t bytes) {
  return simt::is_device_memory(first) && simt::is_device_memory(first + bytes - 1);
}
cublasStatus_t judged_addresses(const Product& p) {
  for (size_t i = 0; i < p.data.size(); ++i) {
    if (i == 2 && p.beta == 0) continue;
    if (!on_device(p.data[i], extent(p.layouts[i])) ||
        alignment_of(p.data[i]) < p.algorithm.alignment[i]) {
      return CUBLAS_STATUS_EXECUTION_FAILED;
    }
  }
  const char* const d = p.data[3];
  for (size_t i = 0; i < 2; ++i) {  // a result may lie on C, and on no factor
    if (p.data[i] < d + extent(p.layouts[3]) && d < p.data[i] + extent(p.layouts[i])) {
      return CUBLAS_STATUS_INVALID_VALUE;
    }
  }
  if (p.data[2] == d && p.layouts[2].ld != p.layouts[3].ld) return CUBLAS_STATUS_INVALID_VALUE;
  if (!needs_vector(p.operation.epilogue)) return CUBLAS_STATUS_SUCCESS;
  constexpr uint16_t kVectorAlignment = 16;
  const char* const vector = static_cast<const char*>(p.operation.vector);
  const size_t bytes = static_cast<size_t>(p.rows()) * bytes_of(p.layouts[3].type);
  const bool sound = vector != nullptr && on_device(vector, bytes) &&
                     alignment_of(vector) >= kVectorAlignment &&
                     alignment_of(vector) >= p.algorithm.vector_alignment;
  return sound ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // namespace simt::lt
