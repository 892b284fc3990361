// Pools of a journey's touches, by softmax or by weights that are given. Softmax scores are
// clamped, so exp needs no maximum taken out and runs over all touches of the batch at once. Sums
// over touches in increasing order.
#include <cmath>

#include "kernels/cpu/level.h"
#include "kernels/cpu/maths.h"
#include "kernels/cpu/simd.h"

namespace alm::ALM_SIMD {

namespace {

// out = sum_j weight[j] x[j, :] over touches [first, last); the sums of a pack of columns stay in
// registers.
void weighted_sum(Matrix<const float> x, const float* weight, int64_t first, int64_t last,
                  float* out) {
  int64_t c = 0;
  for (; c + kLanes <= x.cols; c += kLanes) {
    Pack sum = broadcast(0);
    for (int64_t j = first; j < last; ++j) {
      sum = multiply_add(broadcast(weight[j]), load(x.row(j) + c), sum);
    }
    store(out + c, sum);
  }
  for (; c < x.cols; ++c) {
    out[c] = 0.0f;
    for (int64_t j = first; j < last; ++j) out[c] += weight[j] * x(j, c);
  }
}

}  // namespace

void pool_forward(Queue&, const PoolForward& a) {
  const int64_t width = a.x.cols;
  ALM_CHECK(in_fp32(a.x) && a.touches.total() == a.x.rows && std::ssize(a.w) == width &&
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
    float total = 0.0f;
    for (int64_t j = first; j < last; ++j) total += alpha[j];
    for (int64_t j = first; j < last; ++j) alpha[j] /= total;
    weighted_sum(a.x.floats(), alpha, first, last, a.out.row(i));
    a.out(i, width) = std::log1p(static_cast<float>(last - first));
  }
}

void pool_backward(Queue&, const PoolBackward& a) {
  const int64_t width = a.x.cols;
  ALM_CHECK(in_fp32(a.x, a.d_x) && a.touches.total() == a.x.rows && std::ssize(a.w) == width &&
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
      float* const d_x = a.d_x.row(j);
      const Pack alphas = broadcast(a.alpha[j]), d_scores = broadcast(d_score);
      int64_t c = 0;
      for (; c + kLanes <= width; c += kLanes) {
        const Pack of_pool = multiply_add(alphas, load(d_out + c), load(d_x + c));
        const Pack total = multiply_add(d_scores, load(a.w.data() + c), of_pool);
        store(d_x + c, a.mask_dx ? where_positive(load(x + c), total) : total);
        store(a.d_w.data() + c, multiply_add(d_scores, load(x + c), load(a.d_w.data() + c)));
      }
      for (; c < width; ++c) {
        const float total = (d_x[c] + a.alpha[j] * d_out[c]) + d_score * a.w[c];
        d_x[c] = a.mask_dx && !(x[c] > 0.0f) ? 0.0f : total;
        a.d_w[c] += d_score * x[c];
      }
    }
  }
}

void weighted_sum_forward(Queue&, const WeightedSumForward& a) {
  const int64_t width = a.x.cols;
  ALM_CHECK(in_fp32(a.x) && a.touches.total() == a.x.rows && std::ssize(a.weight) == a.x.rows &&
            a.out.rows == a.touches.rows() && a.out.cols == width);
  for (int64_t i = 0; i < a.touches.rows(); ++i) {
    weighted_sum(a.x.floats(), a.weight.data(), a.touches.begin[i], a.touches.begin[i + 1],
                 a.out.row(i));
  }
}

void weighted_sum_backward(Queue&, const WeightedSumBackward& a) {
  const int64_t width = a.x.cols;
  ALM_CHECK(in_fp32(a.x, a.d_x) && a.touches.total() == a.x.rows &&
            std::ssize(a.weight) == a.x.rows && a.d_out.rows == a.touches.rows() &&
            a.d_out.cols == width && a.d_x.rows == a.x.rows && a.d_x.cols == width &&
            std::ssize(a.d_weight) == a.x.rows);
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
