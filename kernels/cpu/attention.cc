// Causal self-attention inside each journey with a learnt start token. Work: for every touch, head
// and earlier touch two passes over the head's d numbers forward and five backward; L is short
// (mean about 5), so a score matrix is never formed: one touch's scores at a time, padded to whole
// packs. Per-touch sums run over the start token, then the touches in increasing order.
#include <cmath>
#include <limits>

#include "kernels/cpu/level.h"
#include "kernels/cpu/maths.h"
#include "kernels/cpu/simd.h"

namespace alm::ALM_SIMD {

namespace {

int64_t longest_journey(const Csr& touches) {
  int64_t longest = 0;
  for (int64_t i = 0; i < touches.rows(); ++i) {
    const int64_t length = touches.begin[i + 1] - touches.begin[i];
    longest = length > longest ? length : longest;
  }
  return longest;
}

// values[l] = exp(values[l] - shift) for whole packs.
void exp_of_difference(float* __restrict values, float shift, int64_t padded) {
  for (int64_t from = 0; from < padded; from += kLanes) {
    for (int64_t l = from; l < from + kLanes; ++l) values[l] = fast_exp(values[l] - shift);
  }
}

float sum_of_packs(const float* values, int64_t padded) {
  Pack total = load(values);
  for (int64_t l = kLanes; l < padded; l += kLanes) total = total + load(values + l);
  return sum(total);
}

float largest_of_packs(const float* values, int64_t padded) {
  Pack most = load(values);
  for (int64_t l = kLanes; l < padded; l += kLanes) most = larger(most, load(values + l));
  return largest(most);
}

}  // namespace

void attention_forward(Queue& queue, const AttentionForward& a) {
  const int64_t width = a.start.cols;
  const int64_t d = width / a.heads;
  ALM_CHECK(d * a.heads == width && a.start.rows == 2 && a.qkv.cols == 3 * width &&
            a.qkv.rows == a.touches.total() && a.out.rows == a.qkv.rows && a.out.cols == width &&
            a.log_sum.rows == a.qkv.rows && a.log_sum.cols == a.heads);
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  float* const scores = static_cast<float*>(
      queue.scratch(round_up_to_lanes(longest_journey(a.touches) + 1) * int64_t{sizeof(float)}));

  for (int64_t i = 0; i < a.touches.rows(); ++i) {
    const int64_t first = a.touches.begin[i];
    for (int64_t j = first; j < a.touches.begin[i + 1]; ++j) {
      const int64_t keys = j - first + 2;  // the start token, then touches first..j
      const int64_t padded = round_up_to_lanes(keys);
      for (int64_t head = 0; head < a.heads; ++head) {
        const int64_t at = head * d;
        const float* const q = a.qkv.row(j) + at;
        scores[0] = scale * dot(q, a.start.row(0) + at, d);
        for (int64_t l = first; l <= j; ++l) {
          scores[l - first + 1] = scale * dot(q, a.qkv.row(l) + width + at, d);
        }
        for (int64_t l = keys; l < padded; ++l) scores[l] = -std::numeric_limits<float>::infinity();
        const float most = largest_of_packs(scores, padded);
        exp_of_difference(scores, most, padded);
        for (int64_t l = keys; l < padded; ++l) scores[l] = 0.0f;
        const float total = sum_of_packs(scores, padded);
        a.log_sum(j, head) = most + fast_log(total);

        const float share = 1.0f / total;
        float* const out = a.out.row(j) + at;
        for (int64_t c = 0; c < d; ++c) out[c] = 0.0f;
        add_scaled(scores[0] * share, a.start.row(1) + at, out, d);
        for (int64_t l = first; l <= j; ++l) {
          add_scaled(scores[l - first + 1] * share, a.qkv.row(l) + 2 * width + at, out, d);
        }
      }
    }
  }
}

void attention_backward(Queue& queue, const AttentionBackward& a) {
  const int64_t width = a.start.cols;
  const int64_t d = width / a.heads;
  ALM_CHECK(d * a.heads == width && a.start.rows == 2 && a.qkv.cols == 3 * width &&
            a.qkv.rows == a.touches.total() && a.d_qkv.rows == a.qkv.rows &&
            a.d_qkv.cols == a.qkv.cols && a.d_out.rows == a.qkv.rows && a.d_out.cols == width &&
            a.d_start.rows == 2 && a.d_start.cols == width);
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  const int64_t room = round_up_to_lanes(longest_journey(a.touches) + 1);
  float* const weights = static_cast<float*>(queue.scratch(2 * room * int64_t{sizeof(float)}));
  float* const slopes = weights + room;  // d loss / d weight, then d loss / d (q . k)

  for (int64_t j = 0; j < a.d_qkv.rows; ++j) {
    float* const row = a.d_qkv.row(j);
    for (int64_t c = 0; c < 3 * width; ++c) row[c] = 0.0f;
  }
  for (int64_t i = 0; i < a.touches.rows(); ++i) {
    const int64_t first = a.touches.begin[i];
    for (int64_t j = first; j < a.touches.begin[i + 1]; ++j) {
      const int64_t keys = j - first + 2;
      const int64_t padded = round_up_to_lanes(keys);
      for (int64_t head = 0; head < a.heads; ++head) {
        const int64_t at = head * d;
        const float* const q = a.qkv.row(j) + at;
        const float* const d_out = a.d_out.row(j) + at;
        const float mean_slope = dot(d_out, a.out.row(j) + at, d);
        weights[0] = scale * dot(q, a.start.row(0) + at, d);
        slopes[0] = dot(d_out, a.start.row(1) + at, d);
        for (int64_t l = first; l <= j; ++l) {
          weights[l - first + 1] = scale * dot(q, a.qkv.row(l) + width + at, d);
          slopes[l - first + 1] = dot(d_out, a.qkv.row(l) + 2 * width + at, d);
        }
        for (int64_t l = keys; l < padded; ++l) weights[l] = slopes[l] = 0.0f;
        exp_of_difference(weights, a.log_sum(j, head), padded);
        for (int64_t l = 0; l < padded; ++l) {
          slopes[l] = scale * weights[l] * (slopes[l] - mean_slope);
        }

        float* const d_q = a.d_qkv.row(j) + at;
        add_scaled(slopes[0], a.start.row(0) + at, d_q, d);
        add_scaled(slopes[0], q, a.d_start.row(0) + at, d);
        add_scaled(weights[0], d_out, a.d_start.row(1) + at, d);
        for (int64_t l = first; l <= j; ++l) {
          const float slope = slopes[l - first + 1];
          add_scaled(slope, a.qkv.row(l) + width + at, d_q, d);
          add_scaled(slope, q, a.d_qkv.row(l) + width + at, d);
          add_scaled(weights[l - first + 1], d_out, a.d_qkv.row(l) + 2 * width + at, d);
        }
      }
    }
  }
}

}  // namespace alm::ALM_SIMD
