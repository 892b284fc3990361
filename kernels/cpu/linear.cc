// Fully connected layers: the matrix products go to gemm, bias and ReLU to one pass over the
// result. FLOPs: 2 r a b forward, twice that backward. Sums over rows run in increasing row order.
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"

namespace alm::ALM_SIMD {

namespace {

// row = max(row, 0); a NaN stays.
void rectify(float* __restrict row, int64_t width) {
  for (int64_t c = 0; c < width; ++c) row[c] = row[c] < 0.0f ? 0.0f : row[c];
}

// d = d where y > 0, else 0.
void mask(const float* __restrict y, float* __restrict d, int64_t width) {
  for (int64_t c = 0; c < width; ++c) d[c] = y[c] > 0.0f ? d[c] : 0.0f;
}

}  // namespace

void linear_forward(Queue&, const LinearForward& a) {
  gemm(Transpose::no, Transpose::no, 1.0f, a.x, a.w, a.accumulate ? 1.0f : 0.0f, a.y);
  if (!a.bias.empty()) {
    ALM_CHECK(std::ssize(a.bias) == a.y.cols);
    for (int64_t r = 0; r < a.y.rows; ++r) add_scaled(1.0f, a.bias.data(), a.y.row(r), a.y.cols);
  }
  if (a.relu) {
    for (int64_t r = 0; r < a.y.rows; ++r) rectify(a.y.row(r), a.y.cols);
  }
}

void linear_backward(Queue&, const LinearBackward& a) {
  if (a.relu) {
    ALM_CHECK(a.y.rows == a.d_y.rows && a.y.cols == a.d_y.cols);
    for (int64_t r = 0; r < a.d_y.rows; ++r) mask(a.y.row(r), a.d_y.row(r), a.d_y.cols);
  }
  if (!a.d_bias.empty()) {
    ALM_CHECK(std::ssize(a.d_bias) == a.d_y.cols);
    for (int64_t r = 0; r < a.d_y.rows; ++r) {
      add_scaled(1.0f, a.d_y.row(r), a.d_bias.data(), a.d_y.cols);
    }
  }
  if (a.d_w.data != nullptr) gemm(Transpose::yes, Transpose::no, 1.0f, a.x, a.d_y, 1.0f, a.d_w);
  if (a.d_x.data != nullptr) {
    gemm(Transpose::no, Transpose::yes, a.alpha, a.d_y, a.w, a.accumulate_dx ? 1.0f : 0.0f, a.d_x);
  }
}

void join_context_forward(Queue&, const JoinContextForward& a) {
  const int64_t width = a.context.cols;
  ALM_CHECK(a.touches.rows() == a.context.rows && a.touches.total() == a.y.rows &&
            a.y.cols == width);
  for (int64_t i = 0; i < a.touches.rows(); ++i) {
    const float* __restrict context = a.context.row(i);
    for (int64_t j = a.touches.begin[i]; j < a.touches.begin[i + 1]; ++j) {
      float* __restrict y = a.y.row(j);
      for (int64_t c = 0; c < width; ++c) {
        const float z = y[c] + context[c];
        y[c] = z < 0.0f ? 0.0f : z;
      }
    }
  }
}

void join_context_backward(Queue&, const JoinContextBackward& a) {
  const int64_t width = a.d_context.cols;
  ALM_CHECK(a.touches.rows() == a.d_context.rows && a.touches.total() == a.y.rows &&
            a.d_y.rows == a.y.rows && a.y.cols == width && a.d_y.cols == width);
  for (int64_t i = 0; i < a.touches.rows(); ++i) {
    float* __restrict d_context = a.d_context.row(i);
    for (int64_t c = 0; c < width; ++c) d_context[c] = 0.0f;
    for (int64_t j = a.touches.begin[i]; j < a.touches.begin[i + 1]; ++j) {
      const float* __restrict y = a.y.row(j);
      float* __restrict d_y = a.d_y.row(j);
      for (int64_t c = 0; c < width; ++c) {
        const float kept = y[c] > 0.0f ? d_y[c] : 0.0f;
        d_y[c] = kept;
        d_context[c] += kept;
      }
    }
  }
}

}  // namespace alm::ALM_SIMD
