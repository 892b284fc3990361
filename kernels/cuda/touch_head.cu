// Touch heads of up to 64 units and as wide inputs, fused: the hidden layer is neither written by
// the forward pass nor read by the backward one, which makes it anew. A block takes 64 touches; the
// context half is multiplied once a touch, which costs less than its way through memory would.
// FLOPs a touch: 2 (a + c) h + 2 c forward; 2 (a + c) h + 6 a h backward, and the context half's
// gradients once a journey. Memory a touch: x, and v of its cluster, forward; x, the hidden
// gradient twice and d_x backward.
#include "kernels/cuda/launch.h"
#include "kernels/cuda/product_choice.h"
#include "kernels/cuda/sums.cuh"
#include "kernels/cuda/touch_head_tile.cuh"

namespace alm::cuda {
namespace {

using namespace touch_head;

// v of the touch's cluster times the slice of its context that the warp holds: columns of one lane.
__device__ inline float bilinear_part(const Matrix<const float>& v, bool wide, int64_t k,
                                      const float* context, int c) {
  const float* const row = v.row(k) + c;
  const int inside = static_cast<int>(v.cols) - c;
  if (wide && inside >= kVector) {
    const float4 four = simt::load<float4>(row);
    return four.x * context[0] + four.y * context[1] + four.z * context[2] + four.w * context[3];
  }
  float sum = 0;
  for (int i = 0; i < kVector && i < inside; ++i) sum += row[i] * context[i];
  return sum;
}

template <int kWidth, class Number>
__global__ void __launch_bounds__(kThreads)
    touch_head_forward_kernel(TouchHeadForward a, Inputs<Number> in, bool wide_v) {
  SIMT_SHARED(uint32_t, of_touch, [kWidth / 2][kWidth + 8]);
  SIMT_SHARED(uint32_t, of_context, [kWidth / 2][kWidth + 8]);
  SIMT_SHARED(float4, staged, [kWarps * 2 * kStage / kVector]);
  SIMT_SHARED(float, bias, [kWidth]);
  SIMT_SHARED(float, w_out, [kWidth]);
  load_weights<kWidth>(a.weights, of_touch, of_context, bias, w_out);
  const int hidden = static_cast<int>(a.weights.w_touch.cols);
  const Rows rows = rows_of_warp(in);
  const int group = lane() / 4;
  const int64_t touches[2] = {rows.first + group, rows.first + group + 8};
  int64_t clusters[2];
  for (int i = 0; i < 2; ++i) {
    clusters[i] = touches[i] < in.rows ? a.cluster.data()[touches[i]] : 0;
  }
  float sums[kWidth / 8][4] = {};
  float logits[2] = {};
  hidden_sums<kWidth>(
      in, rows, of_touch, of_context, &staged[0].x + threadIdx.x / kWarp * 2 * kStage, sums,
      [&](const float* stage, int column) {
        const int c = lane() % 4 * kVector;
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          if (touches[i] >= in.rows) continue;
          logits[i] += bilinear_part(a.weights.v, wide_v, clusters[i],
                                     stage + (group + 8 * i) * kStageStride + c, column + c);
        }
      });
#pragma unroll
  for (int j = 0; j < kWidth / 8; ++j) {
    const int c = 8 * j + lane() % 4 * 2;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float2 z = make_float2(sums[j][2 * i] + bias[c], sums[j][2 * i + 1] + bias[c + 1]);
      const float2 active = make_float2(z.x < 0.0f ? 0.0f : z.x, z.y < 0.0f ? 0.0f : z.y);
      logits[i] += active.x * w_out[c] + active.y * w_out[c + 1];
      if (a.keep_hidden && touches[i] < in.rows)
        store_two(a.hidden.row<Bf16>(touches[i]) + c, hidden - c, active);
    }
  }
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const float logit = row_sum(logits[i]);
    if (lane() % 4 != 0 || touches[i] >= in.rows) continue;
    a.logit.data[touches[i]] =
        logit + a.weights.out_bias.data()[0] + a.weights.cluster_bias.data()[clusters[i]];
  }
}

// Column sums of a block, [blocks, h] of the first two and [blocks] of the last.
struct Partials {
  float* bias;
  float* w_out;
  float* out_bias;
};

// The hidden gradient into room_touches, d_x, and the partial sums. All that is made of the hidden
// gradient is made of it as it is held.
template <int kWidth, class Number>
__global__ void __launch_bounds__(kThreads)
    touch_head_backward_kernel(TouchHeadBackward a, Inputs<Number> in, Partials partials) {
  SIMT_SHARED(uint32_t, of_touch, [kWidth / 2][kWidth + 8]);
  SIMT_SHARED(uint32_t, of_context, [kWidth / 2][kWidth + 8]);
  SIMT_SHARED(float4, staged, [kWarps * 2 * kStage / kVector]);
  SIMT_SHARED(float, bias, [kWidth]);
  SIMT_SHARED(float, w_out, [kWidth]);
  SIMT_SHARED(float, d_bias, [kWarps][kWidth]);
  SIMT_SHARED(float, d_w_out, [kWarps][kWidth]);
  SIMT_SHARED(float, d_out_bias, [kWarps]);
  load_weights<kWidth>(a.weights, of_touch, of_context, bias, w_out);
  const int hidden = static_cast<int>(a.weights.w_touch.cols);
  const Rows rows = rows_of_warp(in);
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const int64_t touches[2] = {rows.first + lane() / 4, rows.first + lane() / 4 + 8};
  float d_logit[2];
  for (int i = 0; i < 2; ++i) {
    d_logit[i] = touches[i] < in.rows ? a.d_logit.data[touches[i]] : 0.0f;
  }
  float sums[kWidth / 8][4] = {};
  hidden_sums<kWidth>(in, rows, of_touch, of_context, &staged[0].x + warp * 2 * kStage, sums,
                      [](const float*, int) {});
  // From here on `sums` is the gradient of the hidden layer.
#pragma unroll
  for (int j = 0; j < kWidth / 8; ++j) {
    const int c = 8 * j + lane() % 4 * 2;
    float of_bias[2] = {};
    float of_out[2] = {};
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      float2 beside = make_float2(0.0f, 0.0f);
      if (a.d_hidden.data != nullptr && touches[i] < in.rows) {
        beside = load_two(a.d_hidden.row<Bf16>(touches[i]) + c, hidden - c);
      }
      const float besides[2] = {beside.x, beside.y};
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        float& sum = sums[j][2 * i + e];
        const float z = sum + bias[c + e];
        const float d = fmaf(d_logit[i], w_out[c + e], besides[e]);
        sum = z > 0.0f ? to_float(__float2bfloat16_rn(d)) : 0.0f;
        of_bias[e] += sum;
        of_out[e] += z > 0.0f ? d_logit[i] * z : 0.0f;
      }
    }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float2 two = make_float2(sums[j][2 * i], sums[j][2 * i + 1]);
      if (touches[i] < in.rows)
        store_two(a.room_touches.row<Bf16>(touches[i]) + c, hidden - c, two);
      const float total_bias = column_sum(of_bias[i]);
      const float total_out = column_sum(of_out[i]);
      if (lane() < 4) {
        d_bias[warp][c + i] = total_bias;
        d_w_out[warp][c + i] = total_out;
      }
    }
  }
  const float of_rows = column_sum(d_logit[0] + d_logit[1]);
  if (lane() == 0) d_out_bias[warp] = of_rows;
  __syncthreads();
  load_pairs_transposed<kWidth>(a.weights.w_touch, of_touch);
  for (int c = static_cast<int>(threadIdx.x); c < hidden; c += kThreads) {
    float total_bias = 0;
    float total_out = 0;
    for (int w = 0; w < kWarps; ++w) {
      total_bias += d_bias[w][c];
      total_out += d_w_out[w][c];
    }
    partials.bias[int64_t{blockIdx.x} * hidden + c] = total_bias;
    partials.w_out[int64_t{blockIdx.x} * hidden + c] = total_out;
  }
  if (threadIdx.x == 0) {
    float total = 0;
    for (int w = 0; w < kWarps; ++w) total += d_out_bias[w];
    partials.out_bias[blockIdx.x] = total;
  }
  if (a.d_x.data == nullptr) return;
  __syncthreads();
  // d_x (+)= gradient w_touch^T: what one product gives is what the next takes as its left factor.
#pragma unroll 1
  for (int first = 0; first < in.width; first += 8) {
    float d[4] = {};
#pragma unroll
    for (int q = 0; q < kWidth / 16; ++q) {
      const float(&low)[4] = sums[2 * q];
      const float(&high)[4] = sums[2 * q + 1];
      const uint32_t left[4] = {tensor::rounded(low[0], low[1]), tensor::rounded(low[2], low[3]),
                                tensor::rounded(high[0], high[1]),
                                tensor::rounded(high[2], high[3])};
      const int pair = 8 * q + lane() % 4;
      const uint32_t right[2] = {of_touch[pair][first + lane() / 4],
                                 of_touch[pair + 4][first + lane() / 4]};
      simt::mma_m16n8k16(d, left, right);
    }
    const int c = first + lane() % 4 * 2;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (touches[i] >= in.rows) continue;
      Number* const at = a.d_x.row<Number>(touches[i]) + c;
      float2 share = make_float2(d[2 * i], d[2 * i + 1]);
      if (a.mask_dx) {
        const float2 x = load_two(a.x.row<Number>(touches[i]) + c, in.width - c);
        share = make_float2(x.x > 0.0f ? share.x : 0.0f, x.y > 0.0f ? share.y : 0.0f);
      }
      if (a.accumulate_dx) {
        const float2 before = load_two(at, in.width - c);
        share = make_float2(before.x + share.x, before.y + share.y);
      }
      store_two(at, in.width - c, share);
    }
  }
}

// to[i, :] = sum over the touches of i of from[j, :]. A block a journey.
constexpr int kSumThreads = 64;
__global__ void __launch_bounds__(kSumThreads)
    sum_of_touches_kernel(Csr touches, Matrix<const Bf16> from, Matrix<float> to) {
  const int64_t i = blockIdx.x;
  for (int64_t c = threadIdx.x; c < to.cols; c += kSumThreads) {
    float sum = 0;
    for (int64_t j = touches.begin.data()[i]; j < touches.begin.data()[i + 1]; ++j) {
      sum += to_float(from.row(j)[c]);
    }
    to.row(i)[c] = sum;
  }
}

template <class Number, class Arguments>
Inputs<Number> inputs_of(const Arguments& a) {
  return {a.touches,
          tensor::operand<kVector>(a.x.template as<Number>()),
          tensor::operand<kVector>(a.context),
          a.x.rows,
          narrow<int>(a.x.cols),
          narrow<int>(a.context.cols)};
}

constexpr int64_t kSmall = 32;
constexpr int64_t kLarge = kWidestFusedHead;

template <class Arguments>
int64_t widest(const Arguments& a) {
  const int64_t inputs = a.x.cols < a.context.cols ? a.context.cols : a.x.cols;
  return inputs < a.weights.w_touch.cols ? a.weights.w_touch.cols : inputs;
}

}  // namespace

bool fits_touch_head_kernel(const TouchHeadForward& a) {
  return widest(a) <= kLarge;
}
bool fits_touch_head_kernel(const TouchHeadBackward& a) {
  return widest(a) <= kLarge;
}

cudaError_t launch_touch_head_forward(CudaQueue& queue, const TouchHeadForward& a) {
  Launches launches(queue);
  const int64_t blocks = blocks_for(a.x.rows, kTouches);
  const bool wide_v = tensor::operand<kVector>(a.weights.v).wide;
  for_numbers_of(a.x.precision, [&]<class Number>() {
    const Inputs<Number> in = inputs_of<Number>(a);
    if (widest(a) <= kSmall) {
      launches.run<touch_head_forward_kernel<kSmall, Number>>(blocks, kThreads, a, in, wide_v);
    } else {
      launches.run<touch_head_forward_kernel<kLarge, Number>>(blocks, kThreads, a, in, wide_v);
    }
  });
  return launches.error();
}

cudaError_t launch_touch_head_backward(CudaQueue& queue, const TouchHeadBackward& a) {
  const TouchHeadTensors<const float>& w = a.weights;
  const TouchHeadTensors<float>& g = a.gradients;
  const int64_t blocks = blocks_for(a.x.rows, kTouches);
  const int64_t hidden = w.w_touch.cols;
  Partials partials{};
  Pieces()
      .add(&partials.bias, blocks * hidden)
      .add(&partials.w_out, blocks * hidden)
      .add(&partials.out_bias, blocks)
      .take(queue);
  Launches launches(queue);
  for_numbers_of(a.x.precision, [&]<class Number>() {
    const Inputs<Number> in = inputs_of<Number>(a);
    if (widest(a) <= kSmall) {
      launches.run<touch_head_backward_kernel<kSmall, Number>>(blocks, kThreads, a, in, partials);
    } else {
      launches.run<touch_head_backward_kernel<kLarge, Number>>(blocks, kThreads, a, in, partials);
    }
  });
  add_partial_rows(launches, partials.bias, blocks, Matrix<float>(g.bias.data(), 1, hidden));
  add_partial_rows(launches, partials.w_out, blocks, g.w_out);
  add_partial_rows(launches, partials.out_bias, blocks, Matrix<float>(g.out_bias.data(), 1, 1));
  launches.run<sum_of_touches_kernel>(a.context.rows, kSumThreads, a.touches,
                                      a.room_touches.as<Bf16>(), a.room_journeys);
  if (launches.error() != cudaSuccess) return launches.error();
  const cudaError_t of_touches = launch_linear_backward(queue, {.x = a.x,
                                                                .w = w.w_touch,
                                                                .y = {},
                                                                .d_y = a.room_touches,
                                                                .d_x = {},
                                                                .d_w = g.w_touch,
                                                                .d_bias = {}});
  if (of_touches != cudaSuccess) return of_touches;
  const cudaError_t of_journeys = launch_linear_backward(queue, {.x = a.context,
                                                                 .w = w.w_context,
                                                                 .y = {},
                                                                 .d_y = a.room_journeys,
                                                                 .d_x = a.d_context,
                                                                 .d_w = g.w_context,
                                                                 .d_bias = {},
                                                                 .accumulate_dx = true});
  if (of_journeys != cudaSuccess) return of_journeys;
  return launch_bilinear_backward(queue,
                                  {.touches = a.touches,
                                   .cluster = a.cluster,
                                   .v = w.v,
                                   .context = a.context,
                                   .d_logit = {a.d_logit.data, static_cast<size_t>(a.d_logit.rows)},
                                   .d_bias = g.cluster_bias,
                                   .d_v = g.v,
                                   .d_context = a.d_context});
}

}  // namespace alm::cuda
