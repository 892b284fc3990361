// Inputs of the encoders: standardised dense features, rows of tables and their gradients. All of
// it moves memory: bytes = read + written once, rows of a table fetched ahead because they lie
// anywhere.
#include <algorithm>
#include <cmath>

#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"

namespace alm::ALM_SIMD {

namespace {

// Cache lines fetched ahead: as many as a core waits for at a time.
constexpr int64_t kLinesAhead = 24;

int64_t rows_ahead(int64_t width) {
  return std::max<int64_t>(1, kLinesAhead * kLanes / std::max<int64_t>(width, kLanes));
}

void copy_row(const float* from, float* to, int64_t width) {
  int64_t c = 0;
  for (; c + kLanes <= width; c += kLanes) store(to + c, load(from + c));
  for (; c < width; ++c) to[c] = from[c];
}

}  // namespace

void dense_features(Queue&, const DenseFeatures& a) {
  const int64_t features = a.x.cols;
  ALM_CHECK(a.out.rows == a.x.rows && std::ssize(a.mean) == features &&
            std::ssize(a.inverse_sd) == features && std::ssize(a.missing_slot) == features);
  for (int64_t i = 0; i < a.x.rows; ++i) {
    const float* __restrict x = a.x.row(i);
    float* __restrict out = a.out.row(i);
    for (int64_t f = 0; f < features; ++f) {
      const float scaled = (x[f] - a.mean[f]) * a.inverse_sd[f];
      out[f] = std::isnan(x[f]) ? 0.0f : scaled;
    }
  }
  for (int64_t f = 0; f < features; ++f) {
    if (a.missing_slot[f] < 0) continue;
    const int64_t column = features + a.missing_slot[f];
    ALM_CHECK(column < a.out.cols);
    for (int64_t i = 0; i < a.x.rows; ++i) a.out(i, column) = std::isnan(a.x(i, f)) ? 1.0f : 0.0f;
  }
}

void gather_rows(Queue&, const GatherRows& a) {
  const int64_t count = std::ssize(a.rows);
  const int64_t width = a.table.cols;
  ALM_CHECK(a.out.rows == count && a.out.cols == width);
  const int64_t ahead = rows_ahead(width);
  for (int64_t i = 0; i < count; ++i) {
    if (i + ahead < count) prefetch_row(a.table.row(a.rows[i + ahead]), width);
    copy_row(a.table.row(a.rows[i]), a.out.row(i), width);
  }
}

void scatter_rows(Queue&, const ScatterRows& a) {
  const int64_t count = std::ssize(a.rows);
  const int64_t width = a.gradient.cols;
  ALM_CHECK(a.d_out.rows == count && a.d_out.cols == width);
  const int64_t ahead = rows_ahead(width);
  for (int64_t i = 0; i < count; ++i) {
    if (i + ahead < count) prefetch_row(a.gradient.row(a.rows[i + ahead]), width);
    add_scaled(1.0f, a.d_out.row(i), a.gradient.row(a.rows[i]), width);
  }
}

}  // namespace alm::ALM_SIMD
