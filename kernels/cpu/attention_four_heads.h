// Attention of four heads of sixteen numbers, as the reference model has it: a head's part of a row
// is one pack, and four keys times four heads of scores are one pack too, so that a short journey
// fills its packs. The sums are those of attention.cc, in the same order.
#pragma once

#include <limits>

#include "kernels/cpu/level.h"
#include "kernels/cpu/maths.h"
#include "kernels/cpu/simd.h"

namespace alm::ALM_SIMD {

inline constexpr int64_t kFour = 4;

// The four heads of a row.
struct Heads {
  Pack head[kFour];
};
inline Heads load_heads(const float* row) {
  return {{load(row), load(row + kLanes), load(row + 2 * kLanes), load(row + 3 * kLanes)}};
}
inline void store_heads(float* row, const Heads& heads) {
  for (int64_t h = 0; h < kFour; ++h) store(row + h * kLanes, heads.head[h]);
}
inline Heads no_heads() {
  return {{broadcast(0), broadcast(0), broadcast(0), broadcast(0)}};
}
// sum of a . b by head.
inline Four dot_by_head(const Heads& a, const float* b) {
  return four_sums(a.head[0] * load(b), a.head[1] * load(b + kLanes),
                   a.head[2] * load(b + 2 * kLanes), a.head[3] * load(b + 3 * kLanes));
}
// to += factor[head] * row, by head.
inline void add_by_head(Heads& to, const float* factor, const float* row) {
#pragma GCC unroll 4
  for (int64_t h = 0; h < kFour; ++h) {
    to.head[h] = multiply_add(broadcast(factor[h]), load(row + h * kLanes), to.head[h]);
  }
}

// Rows of one journey: [start, its touches].
struct FourHeads {
  Matrix<const float> qkv;
  Matrix<const float> start;
  int64_t first;
  int64_t length;

  static constexpr int64_t kWidth = kFour * kLanes;
  int64_t padded() const { return round_up_to_lanes(kFour * (length + 1) + 1); }
  const float* query(int64_t j) const { return qkv.row(first + j); }
  const float* key(int64_t l) const {
    return l == 0 ? start.row(0) : qkv.row(first + l - 1) + kWidth;
  }
  const float* value(int64_t l) const {
    return l == 0 ? start.row(1) : qkv.row(first + l - 1) + 2 * kWidth;
  }
  // scores[4 l + head] = factor * x . row(l) for the keys; `rest` up to whole packs.
  template <class Row>
  void score(const float* x, Row row, float factor, int64_t keys, float rest, float* scores) const {
    const Heads heads = load_heads(x);
    const int64_t last = keys * kFour / kLanes * kLanes;
    store(scores + last, broadcast(rest));
    for (int64_t l = 0; l < keys; ++l) {
      const Four dots = dot_by_head(heads, row(l));
      for (int64_t h = 0; h < kFour; ++h) scores[l * kFour + h] = factor * dots[h];
    }
  }
};

// values = exp(values - shift of the head) over whole packs.
inline void exp_by_head(float* __restrict values, const Four& shift, int64_t packs) {
  alignas(64) float shifts[kLanes];
  for (int64_t lane = 0; lane < kLanes; ++lane) shifts[lane] = shift[lane % kFour];
  for (int64_t p = 0; p < packs; ++p, values += kLanes) {
#pragma omp simd
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      values[lane] = fast_exp(values[lane] - shifts[lane]);
    }
  }
}

inline int64_t packs_of(int64_t keys) {
  return keys * kFour / kLanes + 1;
}

inline void four_heads_forward(const AttentionForward& a, FourHeads of, float scale,
                               float* scores) {
  for (int64_t j = 0; j < of.length; ++j) {
    const int64_t keys = j + 2;
    const int64_t packs = packs_of(keys);
    of.score(
        of.query(j), [&](int64_t l) { return of.key(l); }, scale, keys,
        -std::numeric_limits<float>::infinity(), scores);
    Pack most = load(scores);
    for (int64_t p = 1; p < packs; ++p) most = larger(most, load(scores + p * kLanes));
    const Four shift = fold_to_four(most, [](auto x, auto y) { return x > y ? x : y; });
    exp_by_head(scores, shift, packs);
    Pack sums = load(scores);
    for (int64_t p = 1; p < packs; ++p) sums = sums + load(scores + p * kLanes);
    const Four total = fold_to_four(sums, [](auto x, auto y) { return x + y; });
    Heads out = no_heads();
    for (int64_t l = 0; l < keys; ++l) add_by_head(out, scores + l * kFour, of.value(l));
    for (int64_t h = 0; h < kFour; ++h) {
      a.log_sum(of.first + j, h) = shift[h] + fast_log(total[h]);
      out.head[h] = out.head[h] * broadcast(1.0f / total[h]);
    }
    store_heads(a.out.row(of.first + j), out);
  }
}

inline void four_heads_backward(const AttentionBackward& a, FourHeads of, float scale,
                                float* weights, float* slopes) {
  const int64_t padded = of.padded();
  for (int64_t j = 0; j < of.length; ++j) {
    const int64_t keys = j + 2;
    const int64_t row = of.first + j;
    float* __restrict w = weights + j * padded;
    float* __restrict s = slopes + j * padded;
    of.score(
        of.query(j), [&](int64_t l) { return of.key(l); }, scale, keys, 0, w);
    of.score(
        a.d_out.row(row), [&](int64_t l) { return of.value(l); }, 1, keys, 0, s);
    const Four mean = dot_by_head(load_heads(a.d_out.row(row)), a.out.row(row));
    Four shift;
    for (int64_t h = 0; h < kFour; ++h) shift[h] = a.log_sum(row, h);
    exp_by_head(w, shift, packs_of(keys));
    for (int64_t at = 0; at < keys * kFour; at += kFour) {
      for (int64_t h = 0; h < kFour; ++h) s[at + h] = scale * w[at + h] * (s[at + h] - mean[h]);
    }
    Heads d_query = no_heads();
    for (int64_t l = 0; l < keys; ++l) add_by_head(d_query, s + l * kFour, of.key(l));
    store_heads(a.d_qkv.row(row), d_query);
  }
  for (int64_t l = 0; l <= of.length; ++l) {
    float* const d_key = l == 0 ? a.d_start.row(0) : a.d_qkv.row(of.first + l - 1) + of.kWidth;
    float* const d_value = l == 0 ? a.d_start.row(1) : d_key + of.kWidth;
    Heads key = l == 0 ? load_heads(d_key) : no_heads();
    Heads value = l == 0 ? load_heads(d_value) : no_heads();
    for (int64_t j = l == 0 ? 0 : l - 1; j < of.length; ++j) {
      add_by_head(key, slopes + j * padded + l * kFour, of.query(j));
      add_by_head(value, weights + j * padded + l * kFour, a.d_out.row(of.first + j));
    }
    store_heads(d_key, key);
    store_heads(d_value, value);
  }
}

}  // namespace alm::ALM_SIMD
