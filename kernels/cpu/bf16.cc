// The tables whose layers round the operands of their matrix products to bf16 and sum in fp32; all
// else is as in the level's own. Compiled for the one level whose processors may have such
// products.
#include "kernels/cpu/bf16.h"

#include "kernels/cpu/bf16_product.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/linear.h"
#include "kernels/touch_head.h"

#pragma GCC push_options
#pragma GCC target("avx512bf16,amx-tile,amx-bf16")

namespace alm::ALM_SIMD {

extern const Ops kOps;

namespace {

enum class How { tiles, dots };

// Pairs in the queue's scratch, operand by operand.
class Operands {
 public:
  Operands(Queue& queue, int64_t pairs)
      : next_(static_cast<Pair*>(queue.scratch(pairs * int64_t{sizeof(Pair)}))) {}
  Pair* take(int64_t pairs) {
    Pair* const at = next_;
    next_ += pairs;
    return at;
  }

 private:
  Pair* next_;
};

template <How kHow, class Emit>
void product(const Pair* left, const Pair* right, int64_t rows, int64_t pairs, int64_t width,
             const Emit& emit) {
  if constexpr (kHow == How::tiles) {
    product_by_tiles(left, right, rows, pairs, width, emit);
  } else {
    product_by_dots(left, right, rows, pairs, width, emit);
  }
}

// Calls use(place, lanes) for sixteen sums that lie within the matrix, or those of them that do.
template <class Use>
void within(Matrix<float> matrix, int64_t row, int64_t column, const Use& use) {
  if (row < matrix.rows && column < matrix.cols) {
    use(matrix.row(row) + column, lanes_below(matrix.cols - column));
  }
}

__m512 read(__mmask16 lanes, const float* from) {
  return _mm512_maskz_loadu_ps(lanes, from);
}

template <How kHow>
void linear_forward_in_bf16(Queue& queue, const LinearForward& a) {
  if (a.w.cols == 1 || a.x.empty() || a.w.empty()) return linear_forward(queue, a);
  ALM_CHECK(in_fp32(a.x, a.addend, a.y, a.before_relu));
  ALM_CHECK(a.bias.empty() || std::ssize(a.bias) == a.y.cols);
  ALM_CHECK(a.x.rows == a.y.rows && a.x.cols == a.w.rows && a.y.cols == a.w.cols);
  const int64_t rows = whole_sides(a.x.rows), width = whole_sides(a.y.cols);
  const int64_t pairs = whole_pairs(a.x.cols);
  Operands operands(queue, (rows + width) * pairs);
  Pair* const x = operands.take(rows * pairs);
  Pair* const w = operands.take(pairs * width);
  pack_rows(a.x.floats(), x);
  pack_row_pairs(a.w, w);
  product<kHow>(x, w, rows, pairs, width, [&](int64_t r, int64_t c, __m512 sum) {
    within(a.y.floats(), r, c, [&](float* y, __mmask16 lanes) {
      __m512 z = a.addend.data != nullptr ? read(lanes, a.addend.row(r) + c) + sum : sum;
      if (!a.bias.empty()) z = z + read(lanes, a.bias.data() + c);
      if (a.before_relu.data != nullptr) {
        _mm512_mask_storeu_ps(a.before_relu.row(r) + c, lanes, z);
      }
      // The larger of 0 and NaN is NaN this way round.
      if (a.relu) z = _mm512_max_ps(_mm512_setzero_ps(), z);
      _mm512_mask_storeu_ps(y, lanes, z);
    });
  });
}

template <How kHow>
void linear_backward_in_bf16(Queue& queue, const LinearBackward& a) {
  if (a.w.cols == 1 || a.x.empty() || a.w.empty()) return linear_backward(queue, a);
  ALM_CHECK(in_fp32(a.x, a.y, a.d_y, a.d_x));
  ALM_CHECK(!a.relu || (a.y.rows == a.d_y.rows && a.y.cols == a.d_y.cols));
  ALM_CHECK(a.d_bias.empty() || std::ssize(a.d_bias) == a.d_y.cols);
  ALM_CHECK(a.x.rows == a.d_y.rows && a.x.cols == a.w.rows && a.d_y.cols == a.w.cols);
  if (a.relu || !a.d_bias.empty()) mask_and_sum(a, 0, a.d_y.rows);
  const bool to_w = a.d_w.data != nullptr, to_x = a.d_x.data != nullptr;
  const int64_t rows = whole_sides(a.x.rows), inputs = whole_sides(a.x.cols);
  const int64_t width = whole_sides(a.d_y.cols);
  const int64_t pairs_of_rows = whole_pairs(a.x.rows), pairs_of_width = whole_pairs(a.d_y.cols);
  Operands operands(queue, std::max(to_w * pairs_of_rows * (2 * inputs + width),
                                    to_x * pairs_of_width * (rows + 2 * inputs)));
  if (to_w) {
    Pair* const x = operands.take(pairs_of_rows * inputs);
    Pair* const turned = operands.take(inputs * pairs_of_rows);
    Pair* const d_y = operands.take(pairs_of_rows * width);
    pack_row_pairs(a.x.floats(), x);
    turn_pairs(x, pairs_of_rows, inputs, turned);
    pack_row_pairs(a.d_y.floats(), d_y);
    product<kHow>(turned, d_y, inputs, pairs_of_rows, width, [&](int64_t r, int64_t c, __m512 sum) {
      within(a.d_w, r, c, [&](float* d_w, __mmask16 lanes) {
        _mm512_mask_storeu_ps(d_w, lanes, read(lanes, d_w) + sum);
      });
    });
  }
  if (!to_x) return;
  operands = Operands(queue, 0);
  Pair* const d_y = operands.take(rows * pairs_of_width);
  Pair* const w = operands.take(inputs * pairs_of_width);
  Pair* const turned = operands.take(pairs_of_width * inputs);
  pack_rows(a.d_y.floats(), d_y);
  pack_rows(a.w, w);
  turn_pairs(w, inputs, pairs_of_width, turned);
  product<kHow>(d_y, turned, rows, pairs_of_width, inputs, [&](int64_t r, int64_t c, __m512 sum) {
    within(a.d_x.floats(), r, c, [&](float* d_x, __mmask16 lanes) {
      __m512 share = a.alpha * sum;
      if (a.mask_dx) {
        const __m512 x = read(lanes, a.x.row(r) + c);
        share = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ), share);
      }
      _mm512_mask_storeu_ps(d_x, lanes, a.accumulate_dx ? read(lanes, d_x) + share : share);
    });
  });
}

template <How kHow>
const Ops& table();

template <How kHow>
void touch_head_forward_in_bf16(Queue& queue, const TouchHeadForward& a) {
  touch_head_forward_by_parts(table<kHow>(), queue, a);
}

template <How kHow>
void touch_head_backward_in_bf16(Queue& queue, const TouchHeadBackward& a) {
  touch_head_backward_by_parts(table<kHow>(), queue, a);
}

template <How kHow>
const Ops& table() {
  static const Ops ops = [] {
    Ops changed = kOps;
    changed.name = kHow == How::tiles ? "avx512, bf16 by AMX" : "avx512, bf16";
    changed.linear_forward = linear_forward_in_bf16<kHow>;
    changed.linear_backward = linear_backward_in_bf16<kHow>;
    changed.touch_head_forward = touch_head_forward_in_bf16<kHow>;
    changed.touch_head_backward = touch_head_backward_in_bf16<kHow>;
    return changed;
  }();
  return ops;
}

}  // namespace

const Ops& ops_by_tiles() {
  return table<How::tiles>();
}

const Ops& ops_by_dots() {
  return table<How::dots>();
}

}  // namespace alm::ALM_SIMD

#pragma GCC pop_options
