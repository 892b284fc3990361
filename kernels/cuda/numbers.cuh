// Numbers of activations as they are held, fp32 or bf16, and as kernels compute with them, fp32.
// Stores round to nearest, ties to even.
#pragma once

#include "kernels/cuda/simt.cuh"
#include "kernels/mixed_matrix.h"

namespace alm::cuda {

using Bf16 = __nv_bfloat16;

__device__ inline float to_float(float value) {
  return value;
}
__device__ inline float to_float(Bf16 value) {
  return __bfloat162float(value);
}
__device__ inline void put(float& to, float value) {
  to = value;
}
__device__ inline void put(Bf16& to, float value) {
  to = __float2bfloat16_rn(value);
}

// Two numbers next to each other, of which `inside` are there.
template <class Number>
struct PairOf {
  using Type = float2;
};
template <>
struct PairOf<Bf16> {
  using Type = __nv_bfloat162;
};
__device__ inline float2 to_floats(float2 pair) {
  return pair;
}
__device__ inline float2 to_floats(__nv_bfloat162 pair) {
  return __bfloat1622float2(pair);
}
template <class Number>
__device__ inline bool together(const Number* at, int inside) {
  return inside >= 2 && reinterpret_cast<uintptr_t>(at) % (2 * sizeof(Number)) == 0;
}
template <class Number>
__device__ inline float2 load_two(const Number* at, int inside) {
  if (together(at, inside)) return to_floats(simt::load<typename PairOf<Number>::Type>(at));
  return make_float2(inside > 0 ? to_float(at[0]) : 0.0f, inside > 1 ? to_float(at[1]) : 0.0f);
}
__device__ inline void store_two(float* at, int inside, float2 two) {
  if (together(at, inside)) {
    simt::store(at, two);
    return;
  }
  if (inside > 0) at[0] = two.x;
  if (inside > 1) at[1] = two.y;
}
__device__ inline void store_two(Bf16* at, int inside, float2 two) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(two.x, two.y);
  if (together(at, inside)) {
    simt::store(at, pair);
    return;
  }
  if (inside > 0) at[0] = pair.x;
  if (inside > 1) at[1] = pair.y;
}

// Calls use.template operator()<float or Bf16>(). On the host.
template <class Use>
void for_numbers_of(Precision precision, Use use) {
  if (precision == Precision::bf16) {
    use.template operator()<Bf16>();
  } else {
    use.template operator()<float>();
  }
}

}  // namespace alm::cuda
