// Causal self-attention inside each journey with a learnt start token. A block a journey; groups of
// lanes, as wide as a head and at most a warp, share out (touch, head), lanes are columns of the
// head. Forward: one pass over the keys with an online softmax (Milakov, Gimelshein 2018).
// Backward: by query for d_q, then by key for d_k and d_v, each weight computed anew from log_sum;
// nothing of the size of the pairs is in memory. Sums run over the start token, then the touches in
// increasing order.
#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/sums.cuh"

namespace alm::cuda {
namespace {

constexpr int kThreads = 128;

// A row of d <= kGroup * kColumns numbers, held by kGroup neighbouring lanes: this one has kColumns
// of them, kGroup apart; 0 beyond d. Groups of a warp go their own ways.
template <int kGroup_, int kColumns>
struct Slice {
  static constexpr int kGroup = kGroup_;
  float at[kColumns];

  __device__ static int place() { return lane() % kGroup; }

  template <class Number>
  __device__ static Slice load(const Number* row, int64_t d) {
    Slice slice;
#pragma unroll
    for (int i = 0; i < kColumns; ++i) {
      const int64_t c = place() + i * kGroup;
      slice.at[i] = c < d ? to_float(row[c]) : 0.0f;
    }
    return slice;
  }
  __device__ static Slice zero() {
    Slice slice;
#pragma unroll
    for (int i = 0; i < kColumns; ++i) slice.at[i] = 0.0f;
    return slice;
  }
  template <class Number>
  __device__ void store(Number* row, int64_t d) const {
#pragma unroll
    for (int i = 0; i < kColumns; ++i) {
      const int64_t c = place() + i * kGroup;
      if (c < d) put(row[c], at[i]);
    }
  }
  __device__ void scale_by(float factor) {
#pragma unroll
    for (int i = 0; i < kColumns; ++i) at[i] *= factor;
  }
  // this = scale * this + factor * other
  __device__ void add(float scale, float factor, const Slice& other) {
#pragma unroll
    for (int i = 0; i < kColumns; ++i) at[i] = scale * at[i] + factor * other.at[i];
  }
  // Over the whole row of d, in every lane of the group.
  __device__ float dot(const Slice& other) const {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kColumns; ++i) sum += at[i] * other.at[i];
    const unsigned of_group = kAllLanes >> (kWarp - kGroup) << (lane() - place());
#pragma unroll
    for (int flip = kGroup / 2; flip > 0; flip /= 2) {
      sum += __shfl_xor_sync(of_group, sum, flip);
    }
    return sum;
  }
};

struct Journey {
  __device__ explicit Journey(const Csr& touches)
      : first(touches.begin.data()[blockIdx.x]), last(touches.begin.data()[blockIdx.x + 1]) {}
  int64_t first;
  int64_t last;
};

template <class Row, class Number>
__global__ void __launch_bounds__(kThreads) attention_forward_kernel(AttentionForward a) {
  const Journey journey(a.touches);
  const int64_t width = a.start.cols;
  const int64_t d = width / a.heads;
  const float scale = 1.0f / sqrtf(static_cast<float>(d));
  const int64_t pairs = (journey.last - journey.first) * a.heads;
  for (int64_t pair = threadIdx.x / Row::kGroup; pair < pairs; pair += kThreads / Row::kGroup) {
    const int64_t j = journey.first + pair / a.heads;
    const int64_t head = pair % a.heads;
    const int64_t at = head * d;
    const Row q = Row::load(a.qkv.template row<Number>(j) + at, d);
    // The start token first; then for every key the sums so far are scaled to the new maximum.
    float most = scale * q.dot(Row::load(a.start.row(0) + at, d));
    float total = 1.0f;
    Row out = Row::load(a.start.row(1) + at, d);
    for (int64_t l = journey.first; l <= j; ++l) {
      const float score = scale * q.dot(Row::load(a.qkv.template row<Number>(l) + width + at, d));
      const float larger = score > most ? score : most;
      const float keep = expf(most - larger);
      const float e = expf(score - larger);
      total = total * keep + e;
      out.add(keep, e, Row::load(a.qkv.template row<Number>(l) + 2 * width + at, d));
      most = larger;
    }
    const float share = 1.0f / total;
    out.scale_by(share);
    out.store(a.out.template row<Number>(j) + at, d);
    if (Row::place() == 0) a.log_sum.row(j)[head] = most + logf(total);
  }
}

// What a query leaves for the pass by key and for the start token. Each [t, heads].
struct QuerySums {
  float* mean_slope;    // d_out . out, over what the weights mix
  float* start_weight;  // softmax weight of the start token
  float* start_slope;   // d loss / d (q . k) of the start token
};

template <class Row, class Number>
__global__ void __launch_bounds__(kThreads)
    attention_queries_backward(AttentionBackward a, QuerySums sums) {
  const Journey journey(a.touches);
  const int64_t width = a.start.cols;
  const int64_t d = width / a.heads;
  const float scale = 1.0f / sqrtf(static_cast<float>(d));
  const int64_t pairs = (journey.last - journey.first) * a.heads;
  for (int64_t pair = threadIdx.x / Row::kGroup; pair < pairs; pair += kThreads / Row::kGroup) {
    const int64_t j = journey.first + pair / a.heads;
    const int64_t head = pair % a.heads;
    const int64_t at = head * d;
    const Row q = Row::load(a.qkv.template row<Number>(j) + at, d);
    const Row d_out = Row::load(a.d_out.template row<Number>(j) + at, d);
    const float log_sum = a.log_sum.row(j)[head];
    const auto weight_of = [&](const Row& key) { return expf(scale * q.dot(key) - log_sum); };

    // d_q = scale sum_s weight_s (value_s - mean value) key_s, the mean taken out at the end.
    const Row start_key = Row::load(a.start.row(0) + at, d);
    const float start_weight = weight_of(start_key);
    const float start_value = d_out.dot(Row::load(a.start.row(1) + at, d));
    float mean_slope = start_weight * start_value;
    Row mean_key = Row::zero();
    mean_key.add(0.0f, start_weight, start_key);
    Row d_q = Row::zero();
    d_q.add(0.0f, start_weight * start_value, start_key);
    for (int64_t l = journey.first; l <= j; ++l) {
      const Row key = Row::load(a.qkv.template row<Number>(l) + width + at, d);
      const float value = d_out.dot(Row::load(a.qkv.template row<Number>(l) + 2 * width + at, d));
      const float weight = weight_of(key);
      mean_slope += weight * value;
      mean_key.add(1.0f, weight, key);
      d_q.add(1.0f, weight * value, key);
    }
    d_q.add(scale, -scale * mean_slope, mean_key);
    const float start_slope = scale * start_weight * (start_value - mean_slope);
    d_q.store(a.d_qkv.template row<Number>(j) + at, d);
    if (Row::place() == 0) {
      sums.mean_slope[j * a.heads + head] = mean_slope;
      sums.start_weight[j * a.heads + head] = start_weight;
      sums.start_slope[j * a.heads + head] = start_slope;
    }
  }
}

template <class Row, class Number>
__global__ void __launch_bounds__(kThreads)
    attention_keys_backward(AttentionBackward a, const float* mean_slopes) {
  const Journey journey(a.touches);
  const int64_t width = a.start.cols;
  const int64_t d = width / a.heads;
  const float scale = 1.0f / sqrtf(static_cast<float>(d));
  const int64_t pairs = (journey.last - journey.first) * a.heads;
  for (int64_t pair = threadIdx.x / Row::kGroup; pair < pairs; pair += kThreads / Row::kGroup) {
    const int64_t l = journey.first + pair / a.heads;
    const int64_t head = pair % a.heads;
    const int64_t at = head * d;
    const Row key = Row::load(a.qkv.template row<Number>(l) + width + at, d);
    const Row value = Row::load(a.qkv.template row<Number>(l) + 2 * width + at, d);
    Row d_key = Row::zero();
    Row d_value = Row::zero();
    for (int64_t j = l; j < journey.last; ++j) {
      const Row q = Row::load(a.qkv.template row<Number>(j) + at, d);
      const Row d_out = Row::load(a.d_out.template row<Number>(j) + at, d);
      const float weight = expf(scale * q.dot(key) - a.log_sum.row(j)[head]);
      const float slope = scale * weight * (d_out.dot(value) - mean_slopes[j * a.heads + head]);
      d_key.add(1.0f, slope, q);
      d_value.add(1.0f, weight, d_out);
    }
    d_key.store(a.d_qkv.template row<Number>(l) + width + at, d);
    d_value.store(a.d_qkv.template row<Number>(l) + 2 * width + at, d);
  }
}

// Columns of the start token's key, then those of its value.
template <class Number>
struct StartOf {
  AttentionBackward a;
  QuerySums sums;
  __device__ float operator()(int64_t j, int64_t c) const {
    const int64_t width = a.start.cols;
    const bool of_key = c < width;
    const int64_t column = of_key ? c : c - width;
    const int64_t at = j * a.heads + column / (width / a.heads);
    return of_key ? sums.start_slope[at] * to_float(a.qkv.row<Number>(j)[column])
                  : sums.start_weight[at] * to_float(a.d_out.row<Number>(j)[column]);
  }
};

// Calls use<Slice, numbers of the rows> with the narrowest slice that holds heads d wide.
template <class Use>
void for_head_width(int64_t d, Precision precision, Use use) {
  ALM_CHECK(d <= 128, "a head of more than 128");
  for_numbers_of(precision, [&]<class Number>() {
    if (d <= 4) {
      use.template operator()<Slice<4, 1>, Number>();
    } else if (d <= 8) {
      use.template operator()<Slice<8, 1>, Number>();
    } else if (d <= 16) {
      use.template operator()<Slice<16, 1>, Number>();
    } else if (d <= 32) {
      use.template operator()<Slice<32, 1>, Number>();
    } else if (d <= 64) {
      use.template operator()<Slice<32, 2>, Number>();
    } else {
      use.template operator()<Slice<32, 4>, Number>();
    }
  });
}

}  // namespace

cudaError_t launch_attention_forward(CudaQueue& queue, const AttentionForward& a) {
  Launches launches(queue);
  for_head_width(a.start.cols / a.heads, a.qkv.precision, [&]<class Row, class Number>() {
    launches.run<attention_forward_kernel<Row, Number>>(a.touches.rows(), kThreads, a);
  });
  return launches.error();
}

cudaError_t launch_attention_backward(CudaQueue& queue, const AttentionBackward& a) {
  const int64_t total = a.qkv.rows;
  const int64_t width = a.start.cols;
  QuerySums sums{};
  float* partials = nullptr;
  Pieces()
      .add(&sums.mean_slope, total * a.heads)
      .add(&sums.start_weight, total * a.heads)
      .add(&sums.start_slope, total * a.heads)
      .add(&partials, column_partials_size(total, 2 * width))
      .take(queue);
  Launches launches(queue);
  for_head_width(width / a.heads, a.qkv.precision, [&]<class Row, class Number>() {
    launches.run<attention_queries_backward<Row, Number>>(a.touches.rows(), kThreads, a, sums);
    launches.run<attention_keys_backward<Row, Number>>(a.touches.rows(), kThreads, a,
                                                       sums.mean_slope);
  });
  for_numbers_of(a.qkv.precision, [&]<class Number>() {
    sum_columns(launches, StartOf<Number>{a, sums}, total, 2 * width, partials);
  });
  add_partial_rows(launches, partials, blocks_for(total, kChunkRows), a.d_start);
  return launches.error();
}

}  // namespace alm::cuda
