// Matrix products of layers whose weights fit the second cache: tiles of the result stay in
// registers, the operands are read where they lie. Written out because the library packs both
// operands first, which for products this thin costs as much as it saves. Every sum runs in
// increasing order, one fused multiply-add a term.
#pragma once

#include <algorithm>

#include "kernels/base/view.h"
#include "kernels/cpu/simd.h"

namespace alm::ALM_SIMD {

// Registers: kTileRows * kTilePacks sums, a row of packs and one broadcast. The lowest level has
// too few.
inline constexpr bool kTiles = kParts <= 2;
inline constexpr int kTileRows = 6;
inline constexpr int kTilePacks = kParts == 1 ? 4 : 1;

template <int kRows, int kPacks>
struct Tile {
  Pack sum[kRows][kPacks];

  void clear() {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int p = 0; p < kPacks; ++p) sum[r][p] = broadcast(0);
    }
  }
  void read(const float* from, int64_t stride) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int p = 0; p < kPacks; ++p) sum[r][p] = load(from + r * stride + p * kLanes);
    }
  }
  // sum[r][:] += left[r * left_row] * right[:], for `terms` of both a step apart.
  void add_products(const float* left, int64_t left_row, int64_t left_step, const float* right,
                    int64_t right_step, int64_t terms) {
    for (int64_t k = 0; k < terms; ++k, left += left_step, right += right_step) {
      Pack packs[kPacks];
#pragma GCC unroll 4
      for (int p = 0; p < kPacks; ++p) packs[p] = load(right + p * kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        const Pack factor = broadcast(left[r * left_row]);
#pragma GCC unroll 4
        for (int p = 0; p < kPacks; ++p) sum[r][p] = multiply_add(factor, packs[p], sum[r][p]);
      }
    }
  }
  // Calls use(row, pack, sum).
  template <class Use>
  void for_each(Use use) const {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int p = 0; p < kPacks; ++p) use(r, p, sum[r][p]);
    }
  }
};

// Calls use.template operator()<rows, packs>(first row, first column) for tiles that cover
// [0, rows) x [0, packs * kLanes), column by column of tiles.
template <int kRows, int kPacks, class Use>
void last_rows(int64_t left, int64_t row, int64_t column, Use& use) {
  if constexpr (kRows > 0) {
    if (left == kRows) return use.template operator()<kRows, kPacks>(row, column);
    last_rows<kRows - 1, kPacks>(left, row, column, use);
  }
}
template <int kPacks, class Use>
void for_column_of_tiles(int64_t rows, int64_t column, Use& use) {
  int64_t row = 0;
  for (; row + kTileRows <= rows; row += kTileRows) {
    use.template operator()<kTileRows, kPacks>(row, column);
  }
  last_rows<kTileRows - 1, kPacks>(rows - row, row, column, use);
}
template <int kPacks, class Use>
void last_packs(int64_t left, int64_t rows, int64_t column, Use& use) {
  if constexpr (kPacks > 0) {
    if (left == kPacks) return for_column_of_tiles<kPacks>(rows, column, use);
    last_packs<kPacks - 1>(left, rows, column, use);
  }
}
template <class Use>
void for_each_tile(int64_t rows, int64_t packs, Use use) {
  int64_t pack = 0;
  for (; pack + kTilePacks <= packs; pack += kTilePacks) {
    for_column_of_tiles<kTilePacks>(rows, pack * kLanes, use);
  }
  last_packs<kTilePacks - 1>(packs - pack, rows, pack * kLanes, use);
}

}  // namespace alm::ALM_SIMD
