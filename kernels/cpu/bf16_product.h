// Matrix products of operands in bf16 with sums in fp32: by tiles of the processor (AMX) where it
// has them, else by its dot products (avx512_bf16). Both take bf16 numbers in pairs that are next
// to each other in the summed dimension; operands are packed so, filled up with zeros.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

#include "kernels/base/view.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/tiles.h"

#pragma GCC push_options
#pragma GCC target("avx512bf16,amx-tile,amx-bf16")

namespace alm::ALM_SIMD {

// Two bf16 numbers, the first of the summed dimension in the low half.
using Pair = uint32_t;

// Packed operands: whole tiles of 16 rows or columns and of 16 pairs.
inline constexpr int64_t kSide = 16;
inline int64_t whole_sides(int64_t count) {
  return (count + kSide - 1) / kSide * kSide;
}
// Pairs of so many summed numbers.
inline int64_t whole_pairs(int64_t terms) {
  return whole_sides((terms + 1) / 2);
}

inline __mmask16 lanes_below(int64_t count) {
  return static_cast<__mmask16>(count >= kLanes ? 0xffff
                                                : (1u << std::max<int64_t>(count, 0)) - 1u);
}

// x [r, k] -> [whole_sides(r), whole_pairs(k)], pairs within a row: a left operand.
inline void pack_rows(Matrix<const float> x, Pair* to) {
  const int64_t pairs = whole_pairs(x.cols);
  for (int64_t r = 0; r < x.rows; ++r, to += pairs) {
    const float* const from = x.row(r);
    for (int64_t c = 0; c < 2 * pairs; c += kLanes) {
      const __m512 values = _mm512_maskz_loadu_ps(lanes_below(x.cols - c), from + c);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + c / 2),
                          reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(values)));
    }
  }
  std::fill(to, to + (whole_sides(x.rows) - x.rows) * pairs, Pair{0});
}

// x [k, c] -> [whole_pairs(k), whole_sides(c)], pairs of rows: a right operand.
inline void pack_row_pairs(Matrix<const float> x, Pair* to) {
  const int64_t width = whole_sides(x.cols);
  const __m512i interleave =
      _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,  //
                       23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  for (int64_t r = 0; r < x.rows; r += 2, to += width) {
    for (int64_t c = 0; c < width; c += kLanes) {
      const __mmask16 lanes = lanes_below(x.cols - c);
      const __m512 first = _mm512_maskz_loadu_ps(lanes, x.row(r) + c);
      const __m512 second =
          r + 1 < x.rows ? _mm512_maskz_loadu_ps(lanes, x.row(r + 1) + c) : _mm512_setzero_ps();
      const auto both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
      _mm512_storeu_si512(to + c, _mm512_permutexvar_epi16(interleave, both));
    }
  }
  std::fill(to, to + (whole_pairs(x.rows) - (x.rows + 1) / 2) * width, Pair{0});
}

// [rows, cols] -> [cols, rows], both whole sides.
inline void turn_pairs(const Pair* from, int64_t rows, int64_t cols, Pair* to) {
  for (int64_t r = 0; r < rows; r += kSide) {
    for (int64_t c = 0; c < cols; c += kSide) {
      __m512i line[16], mixed[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) line[i] = _mm512_loadu_si512(from + (r + i) * cols + c);
#pragma GCC unroll 16
      for (int i = 0; i < 16; i += 2) {
        mixed[i] = _mm512_unpacklo_epi32(line[i], line[i + 1]);
        mixed[i + 1] = _mm512_unpackhi_epi32(line[i], line[i + 1]);
      }
#pragma GCC unroll 16
      for (int i = 0; i < 16; i += 4) {
        line[i] = _mm512_unpacklo_epi64(mixed[i], mixed[i + 2]);
        line[i + 1] = _mm512_unpackhi_epi64(mixed[i], mixed[i + 2]);
        line[i + 2] = _mm512_unpacklo_epi64(mixed[i + 1], mixed[i + 3]);
        line[i + 3] = _mm512_unpackhi_epi64(mixed[i + 1], mixed[i + 3]);
      }
#pragma GCC unroll 16
      for (int i = 0; i < 4; ++i) {
        mixed[i] = _mm512_shuffle_i32x4(line[i], line[i + 4], 0x88);
        mixed[i + 4] = _mm512_shuffle_i32x4(line[i], line[i + 4], 0xdd);
        mixed[i + 8] = _mm512_shuffle_i32x4(line[i + 8], line[i + 12], 0x88);
        mixed[i + 12] = _mm512_shuffle_i32x4(line[i + 8], line[i + 12], 0xdd);
      }
      Pair* const at = to + c * rows + r;
#pragma GCC unroll 16
      for (int i = 0; i < 4; ++i) {
        const auto put = [&](int column, __m512i pairs) {
          _mm512_storeu_si512(at + column * rows, pairs);
        };
        put(i, _mm512_shuffle_i32x4(mixed[i], mixed[i + 8], 0x88));
        put(i + 8, _mm512_shuffle_i32x4(mixed[i], mixed[i + 8], 0xdd));
        put(i + 4, _mm512_shuffle_i32x4(mixed[i + 4], mixed[i + 12], 0x88));
        put(i + 12, _mm512_shuffle_i32x4(mixed[i + 4], mixed[i + 12], 0xdd));
      }
    }
  }
}

// Tiles of 16 x 16 sums, 16 x 16 pairs of the left and 16 pairs x 16 columns of the right: the
// registers of AMX are set up so, once for a product.
struct TileSetting {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t unused[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// One or two tiles of rows by one or two of columns.
template <int kRows, int kCols, class Emit>
void tile_product(const Pair* left, const Pair* right, int64_t pairs, int64_t width, int64_t row,
                  int64_t column, const Emit& emit) {
  _tile_zero(0);
  if constexpr (kCols == 2) _tile_zero(1);
  if constexpr (kRows == 2) _tile_zero(2);
  if constexpr (kRows == 2 && kCols == 2) _tile_zero(3);
  const int64_t left_bytes = pairs * int64_t{sizeof(Pair)};
  const int64_t right_bytes = width * int64_t{sizeof(Pair)};
  for (int64_t p = 0; p < pairs; p += kSide) {
    _tile_loadd(4, left + row * pairs + p, left_bytes);
    _tile_loadd(6, right + p * width + column, right_bytes);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kCols == 2) {
      _tile_loadd(7, right + p * width + column + kSide, right_bytes);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (kRows == 2) {
      _tile_loadd(5, left + (row + kSide) * pairs + p, left_bytes);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (kCols == 2) _tile_dpbf16ps(3, 5, 7);
    }
  }
  alignas(64) float sums[kRows][kCols][kSide * kSide];
  _tile_stored(0, sums[0][0], kSide * sizeof(float));
  if constexpr (kCols == 2) _tile_stored(1, sums[0][1], kSide * sizeof(float));
  if constexpr (kRows == 2) _tile_stored(2, sums[kRows - 1][0], kSide * sizeof(float));
  if constexpr (kRows == 2 && kCols == 2) {
    _tile_stored(3, sums[kRows - 1][kCols - 1], kSide * sizeof(float));
  }
  for (int i = 0; i < kRows; ++i) {
    for (int64_t r = 0; r < kSide; ++r) {
      for (int j = 0; j < kCols; ++j) {
        emit(row + i * kSide + r, column + j * kSide, _mm512_load_ps(sums[i][j] + r * kSide));
      }
    }
  }
}

// Calls emit(row, first column, sixteen sums) for the product of a left operand [rows, pairs] and a
// right one [pairs, width], sides and pairs whole; rows and columns that only fill up come, too.
template <class Emit>
void product_by_tiles(const Pair* left, const Pair* right, int64_t rows, int64_t pairs,
                      int64_t width, const Emit& emit) {
  static_assert(sizeof(TileSetting) == 64);
  const TileSetting setting;
  // gcc 12 says of neither ldtilecfg nor tileloadd what memory it reads.
  asm volatile("" : : "m"(setting) : "memory");
  _tile_loadconfig(&setting);
  for (int64_t c = 0; c < width; c += 2 * kSide) {
    const bool two = c + kSide < width;
    int64_t r = 0;
    for (; r + kSide < rows; r += 2 * kSide) {
      two ? tile_product<2, 2>(left, right, pairs, width, r, c, emit)
          : tile_product<2, 1>(left, right, pairs, width, r, c, emit);
    }
    if (r < rows) {
      two ? tile_product<1, 2>(left, right, pairs, width, r, c, emit)
          : tile_product<1, 1>(left, right, pairs, width, r, c, emit);
    }
  }
  _tile_release();
}

// The same, a sum a lane.
template <class Emit>
void product_by_dots(const Pair* left, const Pair* right, int64_t rows, int64_t pairs,
                     int64_t width, const Emit& emit) {
  for_each_tile(rows, width / kLanes, [&]<int kRows, int kPacks>(int64_t r, int64_t c) {
    __m512 sums[kRows][kPacks] = {};
    for (int64_t p = 0; p < pairs; ++p) {
      __m512bh packs[kPacks];
#pragma GCC unroll 4
      for (int k = 0; k < kPacks; ++k) {
        packs[k] =
            reinterpret_cast<__m512bh>(_mm512_loadu_si512(right + p * width + c + k * kLanes));
      }
#pragma GCC unroll 8
      for (int i = 0; i < kRows; ++i) {
        const auto factor = reinterpret_cast<__m512bh>(
            _mm512_set1_epi32(static_cast<int>(left[(r + i) * pairs + p])));
#pragma GCC unroll 4
        for (int k = 0; k < kPacks; ++k) {
          sums[i][k] = _mm512_dpbf16_ps(sums[i][k], factor, packs[k]);
        }
      }
    }
    for (int i = 0; i < kRows; ++i) {
      for (int k = 0; k < kPacks; ++k) emit(r + i, c + k * kLanes, sums[i][k]);
    }
  });
}

}  // namespace alm::ALM_SIMD

#pragma GCC pop_options
