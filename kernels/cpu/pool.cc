// Pools of a journey's touches, by softmax or by weights that are given. Softmax scores are
// clamped, so exp needs no maximum taken out and runs over all touches of the batch at once. Sums
// over touches in increasing order.
#include <cmath>

#include "kernels/cpu/level.h"
#include "kernels/cpu/maths.h"
#include "kernels/cpu/simd.h"

namespace alm::ALM_SIMD {

void pool_forward(Queue&, const PoolForward& a) {
  const int64_t width = a.x.cols;
  ALM_CHECK(a.touches.total() == a.x.rows && std::ssize(a.w) == width &&
            std::ssize(a.alpha) == a.x.rows && a.out.rows == a.touches.rows() &&
            a.out.cols == width + 1);
  float* __restrict alpha = a.alpha.data();
  const int64_t count = a.x.rows;
  for (int64_t j = 0; j < count; ++j) alpha[j] = dot(a.x.row(j), a.w.data(), width);
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) {
    const float low = alpha[j] < -kPoolClamp ? -kPoolClamp : alpha[j];
    alpha[j] = fast_exp(low > kPoolClamp ? kPoolClamp : low);
  }
  for (int64_t i = 0; i < a.touches.rows(); ++i) {
    const int64_t first = a.touches.begin[i];
    const int64_t last = a.touches.begin[i + 1];
    float* const out = a.out.row(i);
    for (int64_t c = 0; c < width; ++c) out[c] = 0.0f;
    float total = 0.0f;
    for (int64_t j = first; j < last; ++j) total += alpha[j];
    for (int64_t j = first; j < last; ++j) {
      alpha[j] /= total;
      add_scaled(alpha[j], a.x.row(j), out, width);
    }
    out[width] = std::log1p(static_cast<float>(last - first));
  }
}

void pool_backward(Queue&, const PoolBackward& a) {
  const int64_t width = a.x.cols;
  ALM_CHECK(a.touches.total() == a.x.rows && std::ssize(a.w) == width &&
            std::ssize(a.alpha) == a.x.rows && a.out.rows == a.touches.rows() &&
            a.d_out.rows == a.out.rows && a.d_x.rows == a.x.rows && a.d_x.cols == width &&
            std::ssize(a.d_w) == width);
  for (int64_t i = 0; i < a.touches.rows(); ++i) {
    const float* const d_out = a.d_out.row(i);
    const float mean_slope = dot(a.out.row(i), d_out, width);
    for (int64_t j = a.touches.begin[i]; j < a.touches.begin[i + 1]; ++j) {
      const float* const x = a.x.row(j);
      const float score = dot(x, a.w.data(), width);
      const float slope = a.alpha[j] * (dot(x, d_out, width) - mean_slope);
      const float d_score = std::fabs(score) > kPoolClamp ? 0.0f : slope;
      add_scaled(a.alpha[j], d_out, a.d_x.row(j), width);
      add_scaled(d_score, a.w.data(), a.d_x.row(j), width);
      add_scaled(d_score, x, a.d_w.data(), width);
    }
  }
}

void weighted_sum_forward(Queue&, const WeightedSumForward& a) {
  const int64_t width = a.x.cols;
  ALM_CHECK(a.touches.total() == a.x.rows && std::ssize(a.weight) == a.x.rows &&
            a.out.rows == a.touches.rows() && a.out.cols == width);
  for (int64_t i = 0; i < a.touches.rows(); ++i) {
    float* const out = a.out.row(i);
    for (int64_t c = 0; c < width; ++c) out[c] = 0.0f;
    for (int64_t j = a.touches.begin[i]; j < a.touches.begin[i + 1]; ++j) {
      add_scaled(a.weight[static_cast<size_t>(j)], a.x.row(j), out, width);
    }
  }
}

void weighted_sum_backward(Queue&, const WeightedSumBackward& a) {
  const int64_t width = a.x.cols;
  ALM_CHECK(a.touches.total() == a.x.rows && std::ssize(a.weight) == a.x.rows &&
            a.d_out.rows == a.touches.rows() && a.d_out.cols == width && a.d_x.rows == a.x.rows &&
            a.d_x.cols == width && std::ssize(a.d_weight) == a.x.rows);
  for (int64_t i = 0; i < a.touches.rows(); ++i) {
    const float* const d_out = a.d_out.row(i);
    for (int64_t j = a.touches.begin[i]; j < a.touches.begin[i + 1]; ++j) {
      const size_t at = static_cast<size_t>(j);
      float* const d_x = a.d_x.row(j);
      for (int64_t c = 0; c < width; ++c) d_x[c] = a.weight[at] * d_out[c];
      a.d_weight[at] += dot(a.x.row(j), d_out, width);
    }
  }
}

}  // namespace alm::ALM_SIMD
