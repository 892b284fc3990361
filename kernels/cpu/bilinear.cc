// Cluster-by-context term of a logit: b_k + v_k . context. 2 C FLOPs a touch; rows of v lie
// anywhere.
#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"

namespace alm::ALM_SIMD {

namespace {

// Touches whose rows are fetched ahead.
constexpr int64_t kAhead = 6;

}  // namespace

void bilinear_forward(Queue&, const BilinearForward& a) {
  ALM_CHECK(a.touches.rows() == a.context.rows && a.touches.total() == std::ssize(a.logit) &&
            std::ssize(a.cluster) == std::ssize(a.logit) && a.v.cols == a.context.cols &&
            a.v.rows == std::ssize(a.bias));
  const int64_t total = std::ssize(a.cluster);
  for (int64_t i = 0; i < a.touches.rows(); ++i) {
    for (int64_t j = a.touches.begin[i]; j < a.touches.begin[i + 1]; ++j) {
      if (j + kAhead < total) prefetch_row(a.v.row(a.cluster[j + kAhead]), a.v.cols);
      const int64_t k = a.cluster[j];
      a.logit[j] += a.bias[k] + dot(a.v.row(k), a.context.row(i), a.v.cols);
    }
  }
}

void bilinear_backward(Queue&, const BilinearBackward& a) {
  ALM_CHECK(a.touches.rows() == a.context.rows && a.touches.total() == std::ssize(a.d_logit) &&
            std::ssize(a.cluster) == std::ssize(a.d_logit) && a.v.cols == a.context.cols &&
            a.d_v.rows == a.v.rows && a.d_v.cols == a.v.cols && std::ssize(a.d_bias) == a.v.rows &&
            a.d_context.rows == a.context.rows && a.d_context.cols == a.context.cols);
  const int64_t total = std::ssize(a.cluster);
  for (int64_t i = 0; i < a.touches.rows(); ++i) {
    for (int64_t j = a.touches.begin[i]; j < a.touches.begin[i + 1]; ++j) {
      if (j + kAhead < total) {
        prefetch_row(a.v.row(a.cluster[j + kAhead]), a.v.cols);
        prefetch_row(a.d_v.row(a.cluster[j + kAhead]), a.v.cols);
      }
      const int64_t k = a.cluster[j];
      const float d = a.d_logit[j];
      a.d_bias[k] += d;
      add_scaled(d, a.context.row(i), a.d_v.row(k), a.v.cols);
      add_scaled(d, a.v.row(k), a.d_context.row(i), a.v.cols);
    }
  }
}

}  // namespace alm::ALM_SIMD
