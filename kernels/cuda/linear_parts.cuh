// What becomes of the sums of a layer's products, whoever made them: number (r, c) of a result is
// handed to one of these. And the gradient of a layer's output on its way in.
#pragma once

#include "kernels/cuda/numbers.cuh"
#include "kernels/ops.h"

namespace alm::cuda {

template <class Number>
struct StoreForward {
  using Held = Number;
  static constexpr bool kOfColumns = false;
  const float* bias;
  Matrix<const Number> addend;
  Matrix<Number> y;
  Matrix<Number> before_relu;
  bool relu;
  __device__ void operator()(int64_t r, int64_t c, int64_t, float sum) const {
    float z = addend.data != nullptr ? to_float(addend.row(r)[c]) + sum : sum;
    if (bias != nullptr) z += bias[c];
    if (before_relu.data != nullptr) put(before_relu.row(r)[c], z);
    put(y.row(r)[c], relu && z < 0.0f ? 0.0f : z);  // a NaN stays
  }
};

template <class Number>
struct StoreInputGradient {
  using Held = Number;
  static constexpr bool kOfColumns = false;
  Matrix<const Number> x;
  Matrix<Number> d_x;
  float alpha;
  bool accumulate;
  bool mask;
  __device__ void operator()(int64_t r, int64_t c, int64_t, float sum) const {
    Number& d = d_x.row(r)[c];
    const float share = mask && !(to_float(x.row(r)[c]) > 0.0f) ? 0.0f : alpha * sum;
    put(d, accumulate ? to_float(d) + share : share);
  }
};

// d_y, masked in place on the way.
template <class Number>
struct MaskedRow {
  Matrix<const Number> y;
  Matrix<Number> d_y;
  bool relu;
  __device__ float operator()(int64_t r, int64_t c) const {
    float d = to_float(d_y.row(r)[c]);
    if (relu) {
      d = to_float(y.row(r)[c]) > 0.0f ? d : 0.0f;
      put(d_y.row(r)[c], d);
    }
    return d;
  }
};

}  // namespace alm::cuda
