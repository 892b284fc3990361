#include "kernels/cpu/gemm.h"

#include <dnnl.h>
#include <omp.h>

namespace alm {

void gemm(Transpose transpose_a, Transpose transpose_b, float alpha, Matrix<const float> a,
          Matrix<const float> b, float beta, Matrix<float> c) {
  const bool flip_a = transpose_a == Transpose::yes;
  const bool flip_b = transpose_b == Transpose::yes;
  const int64_t inner = flip_a ? a.rows : a.cols;
  ALM_CHECK((flip_a ? a.cols : a.rows) == c.rows && (flip_b ? b.rows : b.cols) == c.cols &&
                (flip_b ? b.cols : b.rows) == inner,
            "shapes do not fit");
  if (c.empty()) return;
  if (inner == 0) {
    if (beta != 0) return;
    for (int64_t r = 0; r < c.rows; ++r) {
      for (int64_t k = 0; k < c.cols; ++k) c(r, k) = 0;
    }
    return;
  }
  // The library asks OpenMP how many threads to use; the answer is a property of the calling
  // thread.
  thread_local const bool alone = [] {
    omp_set_num_threads(1);
    return true;
  }();
  static_cast<void>(alone);
  const dnnl_status_t status =
      dnnl_sgemm(flip_a ? 'T' : 'N', flip_b ? 'T' : 'N', c.rows, c.cols, inner, alpha, a.data,
                 a.stride, b.data, b.stride, beta, c.data, c.stride);
  if (status != dnnl_success) {
    throw MachineError(format("matrix product %lld x %lld x %lld failed (oneDNN status %d)",
                              static_cast<long long>(c.rows), static_cast<long long>(c.cols),
                              static_cast<long long>(inner), static_cast<int>(status)));
  }
}

void limit_gemm_to_level(const std::string& level) {
  dnnl_set_max_cpu_isa(level == "scalar" ? dnnl_cpu_isa_sse41
                       : level == "avx2" ? dnnl_cpu_isa_avx2
                                         : dnnl_cpu_isa_avx512_core);
}

std::string gemm_library() {
  const dnnl_version_t* version = dnnl_version();
  return format("oneDNN %d.%d.%d", version->major, version->minor, version->patch);
}

}  // namespace alm
