// Sixteen floats at a time, in one, two or four registers by SIMD level. Elementwise loops are left
// to the compiler; what it may not reorder by itself, the sums, is spelled out here: 16 running
// lanes, then halves added onto halves. The tree is the same on every level and never looks at
// addresses.
#pragma once

#include <cstdint>
#if defined(__FMA__)
#include <immintrin.h>
#endif

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

// The first `count` < 16 lanes.
inline void store(float* to, const Pack& pack, int64_t count) {
  alignas(64) float lanes[kLanes];
  store(lanes, pack);
  for (int64_t lane = 0; lane < count; ++lane) to[lane] = lanes[lane];
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
// a * b + c, rounded once where the level can.
inline Pack multiply_add(const Pack& a, const Pack& b, const Pack& c) {
  Pack pack;
#if defined(__AVX512F__)
  ALM_EACH_PART pack.part[i] = _mm512_fmadd_ps(a.part[i], b.part[i], c.part[i]);
#elif defined(__FMA__)
  ALM_EACH_PART pack.part[i] = _mm256_fmadd_ps(a.part[i], b.part[i], c.part[i]);
#else
  ALM_EACH_PART pack.part[i] = a.part[i] * b.part[i] + c.part[i];
#endif
  return pack;
}
inline Pack larger(const Pack& a, const Pack& b) {
  Pack pack;
  ALM_EACH_PART pack.part[i] = a.part[i] > b.part[i] ? a.part[i] : b.part[i];
  return pack;
}

// Lanes of b where a > 0, else 0.
inline Pack where_positive(const Pack& a, const Pack& b) {
  Pack pack;
  ALM_EACH_PART pack.part[i] = a.part[i] > 0.0f ? b.part[i] : Register{};
  return pack;
}

#undef ALM_EACH_PART

using Four = float __attribute__((vector_size(16)));
using LooseFour = float __attribute__((vector_size(16), aligned(4), may_alias));

// to[c][r] = factor * from[r][c], four by four; rows are a stride apart.
inline void transpose_four(float factor, const float* from, int64_t from_stride, float* to,
                           int64_t to_stride) {
  Four row[4];
#pragma GCC unroll 4
  for (int64_t r = 0; r < 4; ++r) {
    row[r] = factor * *reinterpret_cast<const LooseFour*>(from + r * from_stride);
  }
  const Four low01 = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
  const Four low23 = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
  const Four high01 = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
  const Four high23 = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
  const Four column[4] = {__builtin_shufflevector(low01, low23, 0, 1, 4, 5),
                          __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
                          __builtin_shufflevector(high01, high23, 0, 1, 4, 5),
                          __builtin_shufflevector(high01, high23, 2, 3, 6, 7)};
#pragma GCC unroll 4
  for (int64_t c = 0; c < 4; ++c) *reinterpret_cast<LooseFour*>(to + c * to_stride) = column[c];
}

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
// The sums of four packs, each as sum() makes it.
inline Four four_sums(const Pack& a, const Pack& b, const Pack& c, const Pack& d) {
#if defined(__AVX512F__)
  const Register x = a.part[0], y = b.part[0], z = c.part[0], w = d.part[0];
  // Quarters of the registers: 0 + 2 and 1 + 3 of a, then of b.
  const auto halves = [](Register p, Register q) {
    return __builtin_shufflevector(p, q, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
           __builtin_shufflevector(p, q, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30,
                                   31);
  };
  const Register ab = halves(x, y), cd = halves(z, w);
  const Register four =
      __builtin_shufflevector(ab, cd, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
      __builtin_shufflevector(ab, cd, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
  const Register two = four + __builtin_shufflevector(four, four, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8,
                                                      9, 14, 15, 12, 13);
  const Register one =
      two + __builtin_shufflevector(two, two, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
  return __builtin_shufflevector(one, one, 0, 4, 8, 12);
#else
  return Four{sum(a), sum(b), sum(c), sum(d)};
#endif
}

inline float largest(const Pack& pack) {
  const Four four = fold_to_four(pack, [](auto a, auto b) { return a > b ? a : b; });
  const float even = four[0] > four[2] ? four[0] : four[2];
  const float odd = four[1] > four[3] ? four[1] : four[3];
  return even > odd ? even : odd;
}

// Asks for a row that will be read. Where it begins within a cache line, the last number may lie in
// one line more.
inline void prefetch_row(const float* row, int64_t width) {
  for (int64_t c = 0; c < width; c += kLanes) __builtin_prefetch(row + c);
  if (width > 0) __builtin_prefetch(row + width - 1);
}

// sum_c a[c] b[c].
inline float dot(const float* a, const float* b, int64_t count) {
  Pack total = broadcast(0);
  int64_t c = 0;
  for (; c + kLanes <= count; c += kLanes) total = multiply_add(load(a + c), load(b + c), total);
  if (c < count) total = total + load(a + c, count - c) * load(b + c, count - c);
  return sum(total);
}

// y[c] += factor * x[c]; x and y do not overlap.
inline void add_scaled(float factor, const float* x, float* y, int64_t count) {
  const Pack factors = broadcast(factor);
  int64_t c = 0;
  for (; c + kLanes <= count; c += kLanes)
    store(y + c, multiply_add(factors, load(x + c), load(y + c)));
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
