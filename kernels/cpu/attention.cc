// Causal self-attention inside each journey with a learnt start token. Work: for every touch, head
// and earlier touch two passes over the head's d numbers forward, five backward. Journeys are short
// (mean about 5), so what counts is latency: up to kQueries touches times all heads go through each
// phase (scores; softmax; sums) together, as rows of independent work. Scratch: kQueries * heads
// rows of one journey's length. Sums run over the start token, then the touches in increasing
// order.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/attention_four_heads.h"
#include "kernels/cpu/level.h"
#include "kernels/cpu/maths.h"
#include "kernels/cpu/simd.h"

namespace alm::ALM_SIMD {

namespace {

constexpr int64_t kQueries = 16;

int64_t longest_journey(const Csr& touches) {
  int64_t longest = 0;
  for (int64_t i = 0; i < touches.rows(); ++i) {
    const int64_t length = touches.begin[i + 1] - touches.begin[i];
    longest = length > longest ? length : longest;
  }
  return longest;
}

// Some touches of one journey, asking together. Rows of scores are (touch, head), columns the start
// token and the touches of the journey, padded to whole packs.
struct Queries {
  int64_t first;  // touch of the journey
  int64_t from;   // touches that ask: [from, to)
  int64_t to;
  int64_t heads;
  int64_t padded;

  // Calls use(j, head, keys, offset of the row's scores).
  template <class Use>
  void for_each_row(Use use) const {
    int64_t offset = 0;
    for (int64_t j = from; j < to; ++j) {
      for (int64_t head = 0; head < heads; ++head, offset += padded) {
        use(j, head, j - first + 2, offset);
      }
    }
  }
};

template <class Use>
void for_each_block(const Csr& touches, int64_t heads, Use use) {
  for (int64_t i = 0; i < touches.rows(); ++i) {
    const int64_t first = touches.begin[i];
    const int64_t last = touches.begin[i + 1];
    for (int64_t from = first; from < last; from += kQueries) {
      const int64_t to = from + kQueries < last ? from + kQueries : last;
      use(Queries{first, from, to, heads, round_up_to_lanes(to - first + 1)});
    }
  }
}

int64_t scratch_floats(const Csr& touches, int64_t heads) {
  return kQueries * heads * round_up_to_lanes(longest_journey(touches) + 1);
}

// out[0] = factor * x . start, out[1 + l] = factor * x . rows[l]; the rest of the row = rest.
void score_row(const float* x, const float* start, const float* rows, int64_t stride, int64_t d,
               float factor, int64_t keys, int64_t padded, float rest, float* out) {
  const Pack nothing = broadcast(rest);
  for (int64_t l = keys / kLanes * kLanes; l < padded; l += kLanes) store(out + l, nothing);
  out[0] = factor * dot(x, start, d);
  for (int64_t l = 1; l < keys; ++l) out[l] = factor * dot(x, rows + (l - 1) * stride, d);
}

// out = weights[0] * start + sum_l weights[1 + l] * rows[l].
void weighted_row_sum(const float* weights, const float* start, const float* rows, int64_t stride,
                      int64_t d, int64_t keys, float* out) {
  int64_t c = 0;
  for (; c + kLanes <= d; c += kLanes) {
    Pack total = broadcast(weights[0]) * load(start + c);
    for (int64_t l = 1; l < keys; ++l) {
      total = multiply_add(broadcast(weights[l]), load(rows + (l - 1) * stride + c), total);
    }
    store(out + c, total);
  }
  for (; c < d; ++c) {
    float total = weights[0] * start[c];
    for (int64_t l = 1; l < keys; ++l) total += weights[l] * rows[(l - 1) * stride + c];
    out[c] = total;
  }
}

// values[l] = exp(values[l] - shift) for the keys, 0 in the padding.
void exp_of_difference(float* __restrict values, float shift, int32_t keys, int64_t padded) {
  for (int64_t from = 0; from < padded; from += kLanes) {
    const int32_t left = keys - static_cast<int32_t>(from);
#pragma omp simd
    for (int32_t lane = 0; lane < kLanes; ++lane) {
      const float e = fast_exp(values[from + lane] - shift);
      values[from + lane] = lane < left ? e : 0.0f;
    }
  }
}

// d_to[l] (+)= sum of factors * from over the queries of the block that see touch l; `d` wide.
void sum_over_queries(const Queries& block, int64_t l, int64_t head, const float* factors,
                      Matrix<const float> from, int64_t from_column, int64_t d, float* d_to) {
  const int64_t seen_from = std::max(block.from, l);
  const int64_t row = block.heads * block.padded;
  const float* const factor =
      factors + (seen_from - block.from) * row + head * block.padded + (l - block.first + 1);
  // Queries before this block have left their share.
  const bool more = l < block.from;
  for (int64_t c = 0; c < d; c += kLanes) {
    const int64_t count = std::min<int64_t>(kLanes, d - c);
    Pack total = !more ? broadcast(0) : count == kLanes ? load(d_to + c) : load(d_to + c, count);
    for (int64_t j = seen_from; j < block.to; ++j) {
      const float* const values = from.row(j) + from_column + c;
      total = multiply_add(broadcast(factor[(j - seen_from) * row]),
                           count == kLanes ? load(values) : load(values, count), total);
    }
    if (count == kLanes) {
      store(d_to + c, total);
    } else {
      store(d_to + c, total, count);
    }
  }
}

// Gradients of the keys and values of the touches that the block's queries see.
void keys_backward(const Queries& block, const AttentionBackward& a, const float* weights,
                   const float* slopes) {
  const int64_t width = a.start.cols;
  const int64_t d = width / a.heads;
  for (int64_t l = block.first; l < block.to; ++l) {
    for (int64_t head = 0; head < a.heads; ++head) {
      float* const d_key = a.d_qkv.row(l) + width + head * d;
      sum_over_queries(block, l, head, slopes, a.qkv.floats(), head * d, d, d_key);
      sum_over_queries(block, l, head, weights, a.d_out.floats(), head * d, d, d_key + width);
    }
  }
}

bool is_four_heads(int64_t heads, int64_t d) {
  return heads == kFour && d == kLanes;
}

// Calls use(the journey's rows) for every journey.
template <class Use>
void for_each_journey(const Csr& touches, Matrix<const float> qkv, Matrix<const float> start,
                      Use use) {
  for (int64_t i = 0; i < touches.rows(); ++i) {
    const int64_t first = touches.begin[i];
    use(FourHeads{qkv, start, first, touches.begin[i + 1] - first});
  }
}

}  // namespace

void attention_forward(Queue& queue, const AttentionForward& a) {
  const int64_t width = a.start.cols;
  const int64_t d = width / a.heads;
  const int64_t stride = a.qkv.stride;
  ALM_CHECK(in_fp32(a.qkv, a.out) && d * a.heads == width && a.start.rows == 2 &&
            a.qkv.cols == 3 * width && a.qkv.rows == a.touches.total() &&
            a.out.rows == a.qkv.rows && a.out.cols == width && a.log_sum.rows == a.qkv.rows &&
            a.log_sum.cols == a.heads);
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  float* const scores = static_cast<float*>(
      queue.scratch(scratch_floats(a.touches, a.heads) * int64_t{sizeof(float)}));

  if (is_four_heads(a.heads, d)) {
    return for_each_journey(a.touches, a.qkv.floats(), a.start, [&](const FourHeads& journey) {
      four_heads_forward(a, journey, scale, scores);
    });
  }
  for_each_block(a.touches, a.heads, [&](const Queries& block) {
    block.for_each_row([&](int64_t j, int64_t head, int64_t keys, int64_t offset) {
      const int64_t at = head * d;
      score_row(a.qkv.row(j) + at, a.start.row(0) + at, a.qkv.row(block.first) + width + at, stride,
                d, scale, keys, block.padded, -std::numeric_limits<float>::infinity(),
                scores + offset);
    });
    block.for_each_row([&](int64_t j, int64_t head, int64_t keys, int64_t offset) {
      float* const weights = scores + offset;
      const float most = largest_of_packs(weights, block.padded);
      exp_of_difference(weights, most, static_cast<int32_t>(keys), block.padded);
      const float total = sum_of_packs(weights, block.padded);
      a.log_sum(j, head) = most + fast_log(total);
      const float share = 1.0f / total;
      for (int64_t l = 0; l < block.padded; l += kLanes) {
        store(weights + l, load(weights + l) * broadcast(share));
      }
    });
    block.for_each_row([&](int64_t j, int64_t head, int64_t keys, int64_t offset) {
      const int64_t at = head * d;
      weighted_row_sum(scores + offset, a.start.row(1) + at,
                       a.qkv.row(block.first) + 2 * width + at, stride, d, keys, a.out.row(j) + at);
    });
  });
}

void attention_backward(Queue& queue, const AttentionBackward& a) {
  const int64_t width = a.start.cols;
  const int64_t d = width / a.heads;
  const int64_t stride = a.qkv.stride;
  ALM_CHECK(in_fp32(a.qkv, a.out, a.d_out, a.d_qkv) && d * a.heads == width && a.start.rows == 2 &&
            a.qkv.cols == 3 * width && a.qkv.rows == a.touches.total() &&
            a.d_qkv.rows == a.qkv.rows && a.d_qkv.cols == a.qkv.cols &&
            a.d_out.rows == a.qkv.rows && a.d_out.cols == width && a.d_start.rows == 2 &&
            a.d_start.cols == width);
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  const bool four_heads = is_four_heads(a.heads, d);
  const int64_t longest = longest_journey(a.touches);
  const int64_t room = four_heads ? longest * round_up_to_lanes(kFour * (longest + 1) + 1)
                                  : scratch_floats(a.touches, a.heads);
  float* const all_weights = static_cast<float*>(queue.scratch(2 * room * int64_t{sizeof(float)}));
  // d loss / d weight, then d loss / d (q . k).
  float* const all_slopes = all_weights + room;
  if (four_heads) {
    return for_each_journey(a.touches, a.qkv.floats(), a.start, [&](const FourHeads& journey) {
      four_heads_backward(a, journey, scale, all_weights, all_slopes);
    });
  }

  for_each_block(a.touches, a.heads, [&](const Queries& block) {
    block.for_each_row([&](int64_t j, int64_t head, int64_t keys, int64_t offset) {
      const int64_t at = head * d;
      score_row(a.qkv.row(j) + at, a.start.row(0) + at, a.qkv.row(block.first) + width + at, stride,
                d, scale, keys, block.padded, 0.0f, all_weights + offset);
      score_row(a.d_out.row(j) + at, a.start.row(1) + at, a.qkv.row(block.first) + 2 * width + at,
                stride, d, 1.0f, keys, block.padded, 0.0f, all_slopes + offset);
    });
    block.for_each_row([&](int64_t j, int64_t head, int64_t keys, int64_t offset) {
      const int64_t at = head * d;
      const float mean_slope = dot(a.d_out.row(j) + at, a.out.row(j) + at, d);
      float* __restrict weights = all_weights + offset;
      float* __restrict slopes = all_slopes + offset;
      exp_of_difference(weights, a.log_sum(j, head), static_cast<int32_t>(keys), block.padded);
      for (int64_t l = 0; l < block.padded; ++l) {
        slopes[l] = scale * weights[l] * (slopes[l] - mean_slope);
      }
    });
    block.for_each_row([&](int64_t j, int64_t head, int64_t keys, int64_t offset) {
      const int64_t at = head * d;
      const float* const weights = all_weights + offset;
      const float* const slopes = all_slopes + offset;
      const float* const q = a.qkv.row(j) + at;
      const float* const d_out = a.d_out.row(j) + at;
      weighted_row_sum(slopes, a.start.row(0) + at, a.qkv.row(block.first) + width + at, stride, d,
                       keys, a.d_qkv.row(j) + at);
      add_scaled(slopes[0], q, a.d_start.row(0) + at, d);
      add_scaled(weights[0], d_out, a.d_start.row(1) + at, d);
    });
    keys_backward(block, a, all_weights, all_slopes);
  });
}

}  // namespace alm::ALM_SIMD
