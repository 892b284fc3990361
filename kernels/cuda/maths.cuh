// Elementary functions as the losses need them; the counterpart of kernels/cpu/maths.h. NaN in, NaN
// out.
#pragma once

#include <cmath>

#include "kernels/cuda/simt.cuh"

namespace alm::cuda {

__device__ inline bool is_nan(float x) {
  return x != x;
}

// p = 1 / (1 + e^-x) and 1 - p, each to full relative accuracy, and ln(1 + e^-|x|). Neither
// probability is ever 0.
struct SigmoidParts {
  float p;
  float not_p;
  float log_rest;
};
__device__ inline SigmoidParts sigmoid_parts(float x) {
  constexpr float kSmallestExponent = -87.0f;
  const float size = -fabsf(x);
  const float e = expf(size < kSmallestExponent ? kSmallestExponent : size);
  const float large = 1.0f / (1.0f + e);
  const float small = e * large;
  return {x < 0 ? small : large, x < 0 ? large : small, log1pf(e)};
}

// ln(1 + e^x), given the parts of x.
__device__ inline float softplus(float x, const SigmoidParts& parts) {
  return (x > 0 ? x : 0.0f) + parts.log_rest;
}

// Binary cross-entropy of sigmoid(x) against target, given the parts of x.
__device__ inline float cross_entropy(float target, float x, const SigmoidParts& parts) {
  return ((x > 0 ? x : 0.0f) - target * x) + parts.log_rest;
}

}  // namespace alm::cuda
