// Fully connected layers. Where the weights are few, products go through tiles in registers and
// bias, ReLU and its mask are done on the way; else to gemm, with a pass of their own. FLOPs: 2 r a
// b forward, twice that backward. Sums over rows run in increasing row order.
#include "kernels/cpu/linear.h"

#include <algorithm>

#include "kernels/cpu/gemm.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/tiles.h"

namespace alm::ALM_SIMD {

void mask_and_sum(const LinearBackward& a, int64_t first, int64_t last) {
  const int64_t width = a.d_y.cols;
  int64_t c = 0;
  for (; c + kLanes <= width; c += kLanes) {
    Pack sum = broadcast(0);
    for (int64_t r = first; r < last; ++r) {
      Pack d = load(a.d_y.row(r) + c);
      if (a.relu) {
        d = where_positive(load(a.y.row(r) + c), d);
        store(a.d_y.row(r) + c, d);
      }
      sum = sum + d;
    }
    if (!a.d_bias.empty()) store(a.d_bias.data() + c, load(a.d_bias.data() + c) + sum);
  }
  for (int64_t r = first; r < last; ++r) {
    for (int64_t k = c; k < width; ++k) {
      if (a.relu && !(a.y(r, k) > 0.0f)) a.d_y(r, k) = 0.0f;
      if (!a.d_bias.empty()) a.d_bias[static_cast<size_t>(k)] += a.d_y(r, k);
    }
  }
}

namespace {

// row = max(row, 0); a NaN stays.
void rectify(float* __restrict row, int64_t width) {
  for (int64_t c = 0; c < width; ++c) row[c] = row[c] < 0.0f ? 0.0f : row[c];
}

// Weights that tiles may read again and again from the second cache.
bool in_tiles(Matrix<const float> w) {
  constexpr int64_t kMostWeights = 1 << 16;
  return kTiles && w.rows * w.cols <= kMostWeights;
}

// In tiles; w of whole packs of columns.
void forward_in_tiles(const LinearForward& a) {
  for_each_tile(a.y.rows, a.y.cols / kLanes, [&]<int kRows, int kPacks>(int64_t r, int64_t c) {
    Tile<kRows, kPacks> tile;
    if (a.addend.data != nullptr) {
      tile.read(a.addend.row(r) + c, a.addend.stride);
    } else {
      tile.clear();
    }
    tile.add_products(a.x.row(r), a.x.stride, 1, a.w.data + c, a.w.stride, a.x.cols);
    tile.for_each([&](int row, int pack, Pack sum) {
      const int64_t column = c + pack * kLanes;
      if (!a.bias.empty()) sum = sum + load(a.bias.data() + column);
      if (a.before_relu.data != nullptr) store(a.before_relu.row(r + row) + column, sum);
      // The larger of 0 and NaN is NaN this way round.
      store(a.y.row(r + row) + column, a.relu ? larger(broadcast(0), sum) : sum);
    });
  });
}

// d_w += x^T d_y over rows [first, last), which are summed on their own first: what is there
// already may be large beside a row.
void weight_gradient_in_tiles(const LinearBackward& a, int64_t first, int64_t last) {
  for_each_tile(a.d_w.rows, a.d_w.cols / kLanes, [&]<int kRows, int kPacks>(int64_t i, int64_t c) {
    Tile<kRows, kPacks> tile;
    tile.clear();
    tile.add_products(a.x.row(first) + i, 1, a.x.stride, a.d_y.row(first) + c, a.d_y.stride,
                      last - first);
    tile.for_each([&](int row, int pack, Pack sum) {
      float* const to = a.d_w.row(i + row) + c + pack * kLanes;
      store(to, load(to) + sum);
    });
  });
}

// alpha w^T, its rows filled up with zeros to whole packs.
void transpose_weights(const LinearBackward& a, Matrix<float> to) {
  int64_t i = 0;
  for (; i + 4 <= a.w.rows; i += 4) {
    for (int64_t c = 0; c < a.w.cols; c += 4) {
      transpose_four(a.alpha, a.w.row(i) + c, a.w.stride, to.row(c) + i, to.stride);
    }
  }
  for (int64_t c = 0; c < a.w.cols; ++c) {
    float* const row = to.row(c);
    for (int64_t left = i; left < a.w.rows; ++left) row[left] = a.alpha * a.w(left, c);
    for (int64_t left = a.w.rows; left < to.cols; ++left) row[left] = 0.0f;
  }
}

// d_x (+)= d_y turned over rows [first, last).
void input_gradient_in_tiles(const LinearBackward& a, Matrix<const float> turned, int64_t first,
                             int64_t last) {
  for_each_tile(last - first, turned.cols / kLanes,
                [&]<int kRows, int kPacks>(int64_t r, int64_t c) {
                  Tile<kRows, kPacks> tile;
                  tile.clear();
                  tile.add_products(a.d_y.row(first + r), a.d_y.stride, 1, turned.data + c,
                                    turned.stride, a.d_y.cols);
                  tile.for_each([&](int row, int pack, Pack sum) {
                    const int64_t column = c + pack * kLanes;
                    float* const to = a.d_x.row(first + r + row) + column;
                    const float* const x = a.x.row(first + r + row) + column;
                    const int64_t left = a.d_x.cols - column;
                    if (left >= kLanes) {
                      if (a.mask_dx) sum = where_positive(load(x), sum);
                      store(to, a.accumulate_dx ? load(to) + sum : sum);
                    } else {
                      if (a.mask_dx) sum = where_positive(load(x, left), sum);
                      store(to, a.accumulate_dx ? load(to, left) + sum : sum, left);
                    }
                  });
                });
}

// A few columns of many rows are no pattern that the processor fetches ahead of.
void fetch_rows(Matrix<const float> x, int64_t first, int64_t last) {
  for (int64_t r = first; r < last; ++r) {
    for (int64_t c = 0; c < x.cols; c += kLanes) __builtin_prefetch(x.row(r) + c);
  }
}

// Rows of d_y that stay in the first cache from the mask to both products.
constexpr int64_t kRowsAtOnce = 96;

void backward_in_tiles(Queue& queue, const LinearBackward& a) {
  Matrix<float> turned{nullptr, a.w.cols, round_up_to_lanes(a.w.rows)};
  if (a.d_x.data != nullptr) {
    turned.data =
        static_cast<float*>(queue.scratch(turned.rows * turned.cols * int64_t{sizeof(float)}));
    transpose_weights(a, turned);
  }
  for (int64_t first = 0; first < a.d_y.rows; first += kRowsAtOnce) {
    const int64_t last = std::min(a.d_y.rows, first + kRowsAtOnce);
    if (a.d_w.data != nullptr) fetch_rows(a.x.floats(), first, last);
    if (a.relu || !a.d_bias.empty()) mask_and_sum(a, first, last);
    if (a.d_w.data != nullptr) weight_gradient_in_tiles(a, first, last);
    if (a.d_x.data != nullptr) input_gradient_in_tiles(a, turned, first, last);
  }
}

// One column, the last layer of a head: no product of matrices, rows are read once.
bool is_column(Matrix<const float> w) {
  return w.cols == 1 && w.stride == 1;
}

void forward_of_column(const LinearForward& a) {
  const float bias = a.bias.empty() ? 0.0f : a.bias[0];
  for (int64_t r = 0; r < a.y.rows; ++r) {
    float sum = dot(a.x.row(r), a.w.data, a.x.cols) + bias;
    if (a.addend.data != nullptr) sum += a.addend(r, 0);
    if (a.before_relu.data != nullptr) a.before_relu(r, 0) = sum;
    a.y(r, 0) = a.relu && sum < 0.0f ? 0.0f : sum;
  }
}

// Columns [c, c + kPacks * kLanes) of x and of both gradients.
template <int kPacks>
void packs_of_column_backward(const LinearBackward& a, int64_t c) {
  Pack sum[kPacks];
  for (int p = 0; p < kPacks; ++p) sum[p] = broadcast(0);
  for (int64_t r = 0; r < a.d_y.rows; ++r) {
    const float d = a.d_y(r, 0);
    if (a.d_w.data != nullptr) {
#pragma GCC unroll 4
      for (int p = 0; p < kPacks; ++p) {
        sum[p] = multiply_add(broadcast(d), load(a.x.row(r) + c + p * kLanes), sum[p]);
      }
    }
    if (a.d_x.data == nullptr) continue;
#pragma GCC unroll 4
    for (int p = 0; p < kPacks; ++p) {
      float* const to = a.d_x.row(r) + c + p * kLanes;
      Pack share = broadcast(a.alpha * d) * load(a.w.data + c + p * kLanes);
      if (a.mask_dx) share = where_positive(load(a.x.row(r) + c + p * kLanes), share);
      store(to, a.accumulate_dx ? load(to) + share : share);
    }
  }
  if (a.d_w.data == nullptr) return;
  for (int p = 0; p < kPacks; ++p) {
    float* const to = a.d_w.data + c + p * kLanes;
    store(to, load(to) + sum[p]);
  }
}

void backward_of_column(const LinearBackward& a) {
  int64_t c = 0;
  for (; c + kTilePacks * kLanes <= a.w.rows; c += kTilePacks * kLanes) {
    packs_of_column_backward<kTilePacks>(a, c);
  }
  for (; c + kLanes <= a.w.rows; c += kLanes) packs_of_column_backward<1>(a, c);
  for (; c < a.w.rows; ++c) {
    float sum = 0;
    for (int64_t r = 0; r < a.d_y.rows; ++r) {
      if (a.d_w.data != nullptr) sum += a.x(r, c) * a.d_y(r, 0);
      if (a.d_x.data == nullptr) continue;
      const bool passes = !a.mask_dx || a.x(r, c) > 0.0f;
      const float share = passes ? a.alpha * a.d_y(r, 0) * a.w.data[c] : 0.0f;
      a.d_x(r, c) = a.accumulate_dx ? a.d_x(r, c) + share : share;
    }
    if (a.d_w.data != nullptr) a.d_w.data[c] += sum;
  }
}

void copy_rows(Matrix<const float> from, Matrix<float> to) {
  for (int64_t r = 0; r < from.rows; ++r) std::copy_n(from.row(r), from.cols, to.row(r));
}

void input_gradient_by_gemm(Queue& queue, const LinearBackward& a) {
  if (!a.mask_dx) {
    return gemm(Transpose::no, Transpose::yes, a.alpha, a.d_y.floats(), a.w,
                a.accumulate_dx ? 1.0f : 0.0f, a.d_x.floats());
  }
  Matrix<float> share{nullptr, a.d_x.rows, a.d_x.cols};
  share.data = static_cast<float*>(queue.scratch(share.rows * share.cols * int64_t{sizeof(float)}));
  gemm(Transpose::no, Transpose::yes, a.alpha, a.d_y.floats(), a.w, 0.0f, share);
  for (int64_t r = 0; r < share.rows; ++r) {
    const float* __restrict x = a.x.row(r);
    float* __restrict d_x = a.d_x.row(r);
    for (int64_t c = 0; c < share.cols; ++c) {
      const float passed = x[c] > 0.0f ? share(r, c) : 0.0f;
      d_x[c] = a.accumulate_dx ? d_x[c] + passed : passed;
    }
  }
}

}  // namespace

void linear_forward(Queue&, const LinearForward& a) {
  ALM_CHECK(in_fp32(a.x, a.addend, a.y, a.before_relu));
  ALM_CHECK(a.bias.empty() || std::ssize(a.bias) == a.y.cols);
  if (in_tiles(a.w) && a.w.cols % kLanes == 0) {
    ALM_CHECK(a.x.rows == a.y.rows && a.x.cols == a.w.rows && a.y.cols == a.w.cols);
    return forward_in_tiles(a);
  }
  if (is_column(a.w)) {
    ALM_CHECK(a.x.rows == a.y.rows && a.x.cols == a.w.rows && a.y.cols == 1);
    return forward_of_column(a);
  }
  const bool adds = a.addend.data != nullptr;
  if (adds && a.addend.data != a.y.data) copy_rows(a.addend.floats(), a.y.floats());
  gemm(Transpose::no, Transpose::no, 1.0f, a.x.floats(), a.w, adds ? 1.0f : 0.0f, a.y.floats());
  if (!a.bias.empty()) {
    for (int64_t r = 0; r < a.y.rows; ++r) add_scaled(1.0f, a.bias.data(), a.y.row(r), a.y.cols);
  }
  if (a.before_relu.data != nullptr) copy_rows(a.y.floats(), a.before_relu.floats());
  if (a.relu) {
    for (int64_t r = 0; r < a.y.rows; ++r) rectify(a.y.row(r), a.y.cols);
  }
}

void linear_backward(Queue& queue, const LinearBackward& a) {
  ALM_CHECK(in_fp32(a.x, a.y, a.d_y, a.d_x));
  ALM_CHECK(!a.relu || (a.y.rows == a.d_y.rows && a.y.cols == a.d_y.cols));
  ALM_CHECK(a.d_bias.empty() || std::ssize(a.d_bias) == a.d_y.cols);
  if (in_tiles(a.w) && a.w.cols % kLanes == 0) {
    ALM_CHECK(a.x.rows == a.d_y.rows && a.x.cols == a.w.rows && a.d_y.cols == a.w.cols);
    return backward_in_tiles(queue, a);
  }
  if (a.relu || !a.d_bias.empty()) mask_and_sum(a, 0, a.d_y.rows);
  if (is_column(a.w) && (a.d_w.data == nullptr || a.d_w.stride == 1)) {
    ALM_CHECK(a.x.rows == a.d_y.rows && a.x.cols == a.w.rows && a.d_y.cols == 1);
    return backward_of_column(a);
  }
  if (a.d_w.data != nullptr)
    gemm(Transpose::yes, Transpose::no, 1.0f, a.x.floats(), a.d_y.floats(), 1.0f, a.d_w);
  if (a.d_x.data != nullptr) input_gradient_by_gemm(queue, a);
}

void join_context_forward(Queue&, const JoinContextForward& a) {
  const int64_t width = a.context.cols;
  ALM_CHECK(in_fp32(a.y) && a.touches.rows() == a.context.rows && a.touches.total() == a.y.rows &&
            a.y.cols == width);
  for (int64_t i = 0; i < a.touches.rows(); ++i) {
    const float* __restrict context = a.context.row(i);
    for (int64_t j = a.touches.begin[i]; j < a.touches.begin[i + 1]; ++j) {
      float* __restrict y = a.y.row(j);
      for (int64_t c = 0; c < width; ++c) {
        const float z = y[c] + context[c];
        y[c] = z < 0.0f ? 0.0f : z;
      }
    }
  }
}

void join_context_backward(Queue&, const JoinContextBackward& a) {
  const int64_t width = a.d_context.cols;
  ALM_CHECK(in_fp32(a.y, a.d_y) && a.touches.rows() == a.d_context.rows &&
            a.touches.total() == a.y.rows && a.d_y.rows == a.y.rows && a.y.cols == width &&
            a.d_y.cols == width);
  for (int64_t i = 0; i < a.touches.rows(); ++i) {
    float* __restrict d_context = a.d_context.row(i);
    for (int64_t c = 0; c < width; ++c) d_context[c] = 0.0f;
    for (int64_t j = a.touches.begin[i]; j < a.touches.begin[i + 1]; ++j) {
      const float* __restrict y = a.y.row(j);
      float* __restrict d_y = a.d_y.row(j);
      for (int64_t c = 0; c < width; ++c) {
        const float kept = y[c] > 0.0f ? d_y[c] : 0.0f;
        d_y[c] = kept;
        d_context[c] += kept;
      }
    }
  }
}

}  // namespace alm::ALM_SIMD
