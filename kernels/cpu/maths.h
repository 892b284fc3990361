// Elementary functions without branches or calls, so that loops over them vectorise on every level.
// Relative error about 1e-7 (2 ulp) inside the stated ranges; NaN in, NaN out. Coefficients: Cephes
// (Moshier), single precision.
#pragma once

#include <bit>
#include <cstdint>

namespace alm::ALM_SIMD {

inline constexpr float kLn2High = 0.693359375f;
inline constexpr float kLn2Low = -2.12194440e-4f;
inline constexpr float kSmallestExponent = -87.0f;

// x = k ln 2 + r with |r| <= ln 2 / 2; power = 2^k, rest = exp(r) - 1.
struct ExpParts {
  float power;
  float rest;
};
inline ExpParts exp_parts(float x) {
  x = x < kSmallestExponent ? kSmallestExponent : x;
  x = x > 88.0f ? 88.0f : x;
  const float shifted = x * 1.44269504f + 12582912.0f;  // the low mantissa bits now hold round(k)
  const float k = shifted - 12582912.0f;
  const float r = (x - k * kLn2High) - k * kLn2Low;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const int32_t exponent = std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(12582912.0f);
  return {std::bit_cast<float>((exponent + 127) << 23), p * r * r + r};
}

// e^x for x <= 88 (above it stays e^88); below -87 it stays e^-87, so it is never 0 or subnormal.
inline float fast_exp(float x) {
  const ExpParts parts = exp_parts(x);
  return parts.power * (1.0f + parts.rest);
}

// e^x - 1, accurate near 0.
inline float fast_expm1(float x) {
  const ExpParts parts = exp_parts(x);
  return parts.power * parts.rest + (parts.power - 1.0f);
}

// ln x for normal positive x.
inline float fast_log(float x) {
  const int32_t bits = std::bit_cast<int32_t>(x);
  // Mantissa in [sqrt(1/2), sqrt(2)).
  const int32_t shifted = bits - 0x3f3504f3;
  const float k = static_cast<float>(shifted >> 23);
  const float f = std::bit_cast<float>((shifted & 0x7fffff) + 0x3f3504f3) - 1.0f;
  const float square = f * f;
  float p = 7.0376836292e-2f;
  p = p * f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  p = p * f * square + k * kLn2Low - 0.5f * square;
  return (f + p) + k * kLn2High + (x - x);  // x - x keeps a NaN a NaN
}

// ln(1 + x) for x > -1, accurate near 0.
inline float fast_log1p(float x) {
  const float whole = 1.0f + x;
  return fast_log(whole) + (x - (whole - 1.0f)) / whole;
}

// p = 1 / (1 + e^-x) and 1 - p, each to full relative accuracy, and ln(1 + e^-|x|). Neither
// probability is ever 0.
struct SigmoidParts {
  float p;
  float not_p;
  float log_rest;
};
inline SigmoidParts sigmoid_parts(float x) {
  const float e = fast_exp(x < 0 ? x : -x);
  const float large = 1.0f / (1.0f + e);
  const float small = e * large;
  return {x < 0 ? small : large, x < 0 ? large : small, fast_log1p(e)};
}

// ln(1 + e^x), given the parts of x.
inline float softplus(float x, const SigmoidParts& parts) {
  return (x > 0 ? x : 0.0f) + parts.log_rest;
}

// Binary cross-entropy of sigmoid(x) against target, given the parts of x.
inline float cross_entropy(float target, float x, const SigmoidParts& parts) {
  return ((x > 0 ? x : 0.0f) - target * x) + parts.log_rest;
}

}  // namespace alm::ALM_SIMD
