// Contrastive scores of rows against the columns of their group, and their gradients. 6 R C w FLOPs
// in matrix products, 2 of them without gradients; rows run in tiles of a fixed size, so that a
// group of thousands needs scratch for one tile of scores only.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/gemm.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/maths.h"
#include "kernels/cpu/simd.h"

namespace alm::ALM_SIMD {

namespace {

constexpr int64_t kRowTile = 64;

// from scaled to length one where asked; the factor is returned.
float scale_row(const float* from, float* to, int64_t width, bool normalise) {
  const float factor = normalise ? 1.0f / std::sqrt(dot(from, from, width) + kNormFloor) : 1.0f;
  for (int64_t c = 0; c < width; ++c) to[c] = factor * from[c];
  return factor;
}

// Gradient of what scale_row() scaled: d = factor (d_scaled - scaled (scaled . d_scaled)).
void unscale_row(const float* scaled, const float* d_scaled, float factor, bool normalise, float* d,
                 int64_t width) {
  const float along = normalise ? dot(scaled, d_scaled, width) : 0.0f;
  for (int64_t c = 0; c < width; ++c) d[c] = factor * (d_scaled[c] - along * scaled[c]);
}

bool masked(const InfoNce& a, int64_t row, int64_t column) {
  bool shared = false;
  for (int64_t k = 0; k < a.row_ids.cols; ++k) {
    const int64_t id = a.row_ids(row, k);
    shared = shared || (id >= 0 && id == a.column_ids(column, k));
  }
  return shared && column != a.positive[static_cast<size_t>(row)];
}

// Turns the products of a row with the columns from `first` on into d loss / d product; returns the
// row's loss. `share` is padded to whole packs.
float softmax_row(const InfoNce& a, int64_t row, int64_t first, int64_t columns,
                  float* __restrict share) {
  const int64_t padded = round_up_to_lanes(columns);
  const float none = -std::numeric_limits<float>::infinity();
  if (!a.log_frequency.empty()) {
    for (int64_t c = 0; c < columns; ++c) share[c] -= a.log_frequency[first + c];
  }
  const bool masks = a.row_ids.cols > 0;
  for (int64_t c = 0; masks && c < columns; ++c) {
    if (masked(a, row, first + c)) share[c] = none;
  }
  for (int64_t c = columns; c < padded; ++c) share[c] = none;
  const int64_t own_column = a.positive[static_cast<size_t>(row)] - first;
  const float own_score = share[own_column];
  const float most = largest_of_packs(share, padded);
#pragma omp simd
  for (int64_t c = 0; c < padded; ++c) {
    share[c] = share[c] == none ? 0.0f : fast_exp(share[c] - most);
  }
  // The positive's term is added last, so that a loss near 0 keeps its digits.
  const float own = share[own_column];
  share[own_column] = 0.0f;
  const float others = sum_of_packs(share, padded);
  const float total = others + own;
  const float loss = own == 1.0f ? fast_log1p(others) : fast_log(total) - (own_score - most);
  const float factor = a.weight[row] * a.scale / a.temperature / total;
#pragma omp simd
  for (int64_t c = 0; c < padded; ++c) share[c] *= factor;
  share[own_column] = -factor * others;
  return loss;
}

}  // namespace

void infonce(Queue& queue, const InfoNce& a) {
  const int64_t width = a.x.cols;
  const int64_t groups = a.rows.rows();
  const bool gradients = a.d_y.data != nullptr;
  ALM_CHECK(a.columns.rows() == groups && a.rows.total() == a.x.rows &&
            a.columns.total() == a.y.rows && a.y.cols == width &&
            std::ssize(a.weight) == a.x.rows && std::ssize(a.positive) == a.x.rows &&
            a.row_ids.cols == a.column_ids.cols && a.temperature > 0);
  ALM_CHECK(a.log_frequency.empty() || std::ssize(a.log_frequency) == a.y.rows);
  ALM_CHECK(!gradients || (a.d_x.rows == a.x.rows && a.d_y.rows == a.y.rows &&
                           a.d_x.cols == width && a.d_y.cols == width));
  int64_t widest = 0;
  for (int64_t g = 0; g < groups; ++g) {
    widest = std::max(widest, a.columns.begin[g + 1] - a.columns.begin[g]);
  }
  const int64_t row_floats = round_up_to_lanes(width);
  const int64_t score_floats = round_up_to_lanes(widest);
  float* next = static_cast<float*>(
      queue.scratch(int64_t{sizeof(float)} * (kRowTile * (2 * row_floats + score_floats + 1) +
                                              widest * (2 * row_floats + 1))));
  const auto take = [&](int64_t rows, int64_t cols, int64_t stride) {
    const Matrix<float> taken(next, rows, cols, stride);
    next += rows * stride;
    return taken;
  };
  const Matrix<float> scores = take(kRowTile, widest, score_floats);
  const Matrix<float> x = take(kRowTile, width, row_floats);
  const Matrix<float> d_x = take(kRowTile, width, row_floats);
  const Matrix<float> y = take(widest, width, row_floats);
  const Matrix<float> d_y = take(widest, width, row_floats);
  float* const x_factor = take(kRowTile, 1, 1).data;
  float* const y_factor = take(widest, 1, 1).data;
  const auto top = [](const Matrix<float>& of, int64_t rows, int64_t cols) {
    return Matrix<float>(of.data, rows, cols, of.stride);
  };

  double total_loss = 0;
  for (int64_t g = 0; g < groups; ++g) {
    const int64_t first = a.columns.begin[g];
    const int64_t columns = a.columns.begin[g + 1] - first;
    const Matrix<float> group_y = top(y, columns, width);
    const Matrix<float> group_d_y = top(d_y, columns, width);
    for (int64_t c = 0; c < columns; ++c) {
      y_factor[c] = scale_row(a.y.row(first + c), y.row(c), width, a.normalise);
      std::fill(d_y.row(c), d_y.row(c) + width, 0.0f);
    }
    for (int64_t begin = a.rows.begin[g]; begin < a.rows.begin[g + 1]; begin += kRowTile) {
      const int64_t rows = std::min(kRowTile, a.rows.begin[g + 1] - begin);
      const Matrix<float> tile_x = top(x, rows, width);
      const Matrix<float> tile_scores = top(scores, rows, columns);
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t own = a.positive[static_cast<size_t>(begin + r)];
        ALM_CHECK(own >= first && own < first + columns);
        x_factor[r] = scale_row(a.x.row(begin + r), x.row(r), width, a.normalise);
      }
      gemm(Transpose::no, Transpose::yes, 1.0f / a.temperature, tile_x, group_y, 0.0f, tile_scores);
      for (int64_t r = 0; r < rows; ++r) {
        const float loss = softmax_row(a, begin + r, first, columns, scores.row(r));
        total_loss += double{a.weight[static_cast<size_t>(begin + r)]} * double{loss};
      }
      if (!gradients) continue;
      gemm(Transpose::no, Transpose::no, 1.0f, tile_scores, group_y, 0.0f, top(d_x, rows, width));
      gemm(Transpose::yes, Transpose::no, 1.0f, tile_scores, tile_x, 1.0f, group_d_y);
      for (int64_t r = 0; r < rows; ++r) {
        unscale_row(x.row(r), d_x.row(r), x_factor[r], a.normalise, a.d_x.row(begin + r), width);
      }
    }
    for (int64_t c = 0; gradients && c < columns; ++c) {
      unscale_row(y.row(c), d_y.row(c), y_factor[c], a.normalise, a.d_y.row(first + c), width);
    }
  }
  if (a.sum != nullptr) *a.sum += total_loss;
}

}  // namespace alm::ALM_SIMD
