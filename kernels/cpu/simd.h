// Sixteen floats at a time, in one, two or four registers by SIMD level. Elementwise loops are left
// to the compiler; what it may not reorder by itself, the sums, is spelled out here: 16 running
// lanes, then halves added onto halves. The tree is the same on every level and never looks at
// addresses.
#pragma once

#include <cstdint>

namespace alm::ALM_SIMD {

#if defined(__AVX512F__)
inline constexpr int kRegisterFloats = 16;
#elif defined(__AVX__)
inline constexpr int kRegisterFloats = 8;
#else
inline constexpr int kRegisterFloats = 4;
#endif

using Register = float __attribute__((vector_size(kRegisterFloats * sizeof(float))));
inline constexpr int kLanes = 16;
inline constexpr int kParts = kLanes / kRegisterFloats;

// The same anywhere in memory.
using LooseRegister =
    float __attribute__((vector_size(kRegisterFloats * sizeof(float)), aligned(4), may_alias));

struct Pack {
  Register part[kParts];
};

// Loops over the parts are unrolled before anything else, so that packs live in registers.
#define ALM_EACH_PART _Pragma("GCC unroll 4") for (int i = 0; i < kParts; ++i)

inline Pack broadcast(float value) {
  Pack pack;
  ALM_EACH_PART pack.part[i] = value - Register{};
  return pack;
}
inline Pack load(const float* from) {
  Pack pack;
  ALM_EACH_PART pack.part[i] = *reinterpret_cast<const LooseRegister*>(from + i * kRegisterFloats);
  return pack;
}
// The first `count` < 16 lanes; the others are 0 and their memory is not read.
inline Pack load(const float* from, int64_t count) {
  alignas(64) float lanes[kLanes] = {};
  for (int64_t lane = 0; lane < count; ++lane) lanes[lane] = from[lane];
  return load(lanes);
}
inline void store(float* to, const Pack& pack) {
  ALM_EACH_PART* reinterpret_cast<LooseRegister*>(to + i * kRegisterFloats) = pack.part[i];
}

inline Pack operator+(const Pack& a, const Pack& b) {
  Pack pack;
  ALM_EACH_PART pack.part[i] = a.part[i] + b.part[i];
  return pack;
}
inline Pack operator*(const Pack& a, const Pack& b) {
  Pack pack;
  ALM_EACH_PART pack.part[i] = a.part[i] * b.part[i];
  return pack;
}
inline Pack larger(const Pack& a, const Pack& b) {
  Pack pack;
  ALM_EACH_PART pack.part[i] = a.part[i] > b.part[i] ? a.part[i] : b.part[i];
  return pack;
}

#undef ALM_EACH_PART

using Four = float __attribute__((vector_size(16)));

// Folds 16 lanes to 4 with `fold`: lane i with i + 8, then i with i + 4.
template <class Fold>
inline Four fold_to_four(const Pack& pack, Fold fold) {
#if defined(__AVX__)
  using Eight = float __attribute__((vector_size(32)));
#if defined(__AVX512F__)
  const Register all = pack.part[0];
  const Eight low = __builtin_shufflevector(all, all, 0, 1, 2, 3, 4, 5, 6, 7);
  const Eight high = __builtin_shufflevector(all, all, 8, 9, 10, 11, 12, 13, 14, 15);
  const Eight eight = fold(low, high);
#else
  const Eight eight = fold(pack.part[0], pack.part[1]);
#endif
  const Four left = __builtin_shufflevector(eight, eight, 0, 1, 2, 3);
  const Four right = __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
  return fold(left, right);
#else
  return fold(fold(pack.part[0], pack.part[2]), fold(pack.part[1], pack.part[3]));
#endif
}

inline float sum(const Pack& pack) {
  const Four four = fold_to_four(pack, [](auto a, auto b) { return a + b; });
  return (four[0] + four[2]) + (four[1] + four[3]);
}
inline float largest(const Pack& pack) {
  const Four four = fold_to_four(pack, [](auto a, auto b) { return a > b ? a : b; });
  const float even = four[0] > four[2] ? four[0] : four[2];
  const float odd = four[1] > four[3] ? four[1] : four[3];
  return even > odd ? even : odd;
}

// sum_c a[c] b[c].
inline float dot(const float* a, const float* b, int64_t count) {
  Pack total = broadcast(0);
  int64_t c = 0;
  for (; c + kLanes <= count; c += kLanes) total = total + load(a + c) * load(b + c);
  if (c < count) total = total + load(a + c, count - c) * load(b + c, count - c);
  return sum(total);
}

// y[c] += factor * x[c]; x and y do not overlap.
inline void add_scaled(float factor, const float* x, float* y, int64_t count) {
  const Pack factors = broadcast(factor);
  int64_t c = 0;
  for (; c + kLanes <= count; c += kLanes) store(y + c, load(y + c) + factors * load(x + c));
  for (; c < count; ++c) y[c] += factor * x[c];
}

// Over whole packs, at least one.
inline float sum_of_packs(const float* values, int64_t padded) {
  Pack total = load(values);
  for (int64_t l = kLanes; l < padded; l += kLanes) total = total + load(values + l);
  return sum(total);
}

inline float largest_of_packs(const float* values, int64_t padded) {
  Pack most = load(values);
  for (int64_t l = kLanes; l < padded; l += kLanes) most = larger(most, load(values + l));
  return largest(most);
}

inline int64_t round_up_to_lanes(int64_t count) {
  return (count + kLanes - 1) / kLanes * kLanes;
}

}  // namespace alm::ALM_SIMD
