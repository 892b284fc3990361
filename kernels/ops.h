// The numerical specification: every operation the engine does on tensors, as one table of
// functions.
//
// Conventions. fp32, row-major, non-owning views; n = journeys, t = touches of the batch, `touches`
// the CSR of touches by journey (begin[0] may be > 0 only if stated). Every entry is defined for
// zero rows.
// "+=" accumulates, "=" overwrites. Inputs and outputs never alias unless stated. Each op is a pure
// function of its arguments: the same arguments give the same bits on the same SIMD level, and
// every sum runs in a fixed order (no atomics). Loss sums are double. An empty view (data ==
// nullptr) for an optional argument means "not wanted". Gradients are of the SUM of weighted losses
// over the batch; the optimiser divides by the global weight sum.
//
// Precision. A MixedMatrix holds what layers make of touches, or its gradient. A device may hold
// those in bf16 (Device::activations()): numbers are then rounded to nearest, ties to even, as they
// are stored, and computed with in fp32. x and d_x of an op are held alike, as are y, its addend,
// before_relu and d_y. Where products are in bf16 their operands are rounded so, too (subnormal
// ones may become 0), and sums are fp32; what is no activation of touches is fp32 everywhere. The
// CPU's are always fp32.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/mixed_matrix.h"

namespace alm {

class Queue;

inline constexpr uint8_t kMediatorMissing = 255;
// P(Y=0) is kept at or below 1 - kOutcomeFloor inside the loss (method 3.2).
inline constexpr float kOutcomeFloor = 1e-7f;
// Attention-pool scores are clamped to +-kPoolClamp before exp.
inline constexpr float kPoolClamp = 8.0f;
// Keeps the direction of a vector of zeros defined.
inline constexpr float kNormFloor = 1e-12f;

// out[i, f] = (x[i, f] - mean[f]) * inverse_sd[f], or 0 where x is NaN;
// out[i, F + missing_slot[f]] = 1 where x[i, f] is NaN else 0, for features with missing_slot[f] >=
// 0. x [n, F]; out [n, F + slots], may be a column slice.
struct DenseFeatures {
  Matrix<const float> x;
  std::span<const float> mean;
  std::span<const float> inverse_sd;
  std::span<const int64_t> missing_slot;
  Matrix<float> out;
};

// out[i, :] = table[rows[i], :]. table [R, w]; out [rows.size(), w], may be a column slice.
struct GatherRows {
  Matrix<const float> table;
  std::span<const int64_t> rows;
  Matrix<float> out;
};

// gradient[rows[i], :] += d_out[i, :], in increasing i.
struct ScatterRows {
  Matrix<const float> d_out;
  std::span<const int64_t> rows;
  Matrix<float> gradient;
};

// z = x w + bias + addend, y = act(z). x [r, a], w [a, b], bias [b], addend and y [r, b]; act is
// ReLU or none; of a NaN a ReLU may make 0. bias and addend are optional, and the addend may be y
// itself or z. before_relu: where z is wanted, too; optional, may not be y.
struct LinearForward {
  MixedMatrix<const float> x;
  Matrix<const float> w;
  std::span<const float> bias;
  MixedMatrix<const float> addend = {};
  MixedMatrix<float> y;
  MixedMatrix<float> before_relu = {};
  bool relu = false;
};

// dz = relu ? d_y * 1{y > 0} : d_y (written back to d_y); d_w += x^T dz; d_bias += column sums of
// dz; d_x = alpha dz w^T (or += with accumulate_dx). d_x, d_w, d_bias optional. Gradient reversal
// is alpha = -lambda (engines.md 4.3). mask_dx: x is what a ReLU gave, and the gradient wanted that
// of what went into it: alpha dz w^T times 1{x > 0}.
struct LinearBackward {
  MixedMatrix<const float> x;
  Matrix<const float> w;
  MixedMatrix<const float> y;
  MixedMatrix<float> d_y;
  MixedMatrix<float> d_x;
  Matrix<float> d_w;
  std::span<float> d_bias;
  float alpha = 1.0f;
  bool relu = false;
  bool accumulate_dx = false;
  bool mask_dx = false;
};

// First layer on [touch, context of its journey], split so that the context half runs once a
// journey: y[j, :] = relu(y[j, :] + context[i, :]) for every touch j of journey i. y [t, b],
// context [n, b].
struct JoinContextForward {
  Csr touches;
  Matrix<const float> context;
  MixedMatrix<float> y;
};
// d_y is masked in place by 1{y > 0}; d_context[i, :] = sum of the masked d_y over the touches of
// i.
struct JoinContextBackward {
  Csr touches;
  MixedMatrix<const float> y;
  MixedMatrix<float> d_y;
  Matrix<float> d_context;
};

// Causal self-attention inside each journey, with a learnt start token that every touch may attend.
// qkv [t, 3W] = [q | k | v], W = heads * d; start [2, W] = key and value of the start token.
// For touch j of journey i and head e, over s in {start} and touches l <= j of i:
//   a_s = softmax_s(q_j . k_s / sqrt(d)), out[j, head e] = sum_s a_s v_s.
// log_sum [t, heads] = log of the softmax denominator (kept for the backward pass). out [t, W].
struct AttentionForward {
  Csr touches;
  int64_t heads = 1;
  MixedMatrix<const float> qkv;
  Matrix<const float> start;
  MixedMatrix<float> out;
  Matrix<float> log_sum;
};
// d_qkv [t, 3W] is overwritten, d_start [2, W] accumulated.
struct AttentionBackward {
  Csr touches;
  int64_t heads = 1;
  MixedMatrix<const float> qkv;
  Matrix<const float> start;
  MixedMatrix<const float> out;
  Matrix<const float> log_sum;
  MixedMatrix<const float> d_out;
  MixedMatrix<float> d_qkv;
  Matrix<float> d_start;
};

// Softmax pooling of the touches of a journey. score_j = clamp(x_j . w, +-kPoolClamp);
// alpha_j = softmax of score over the journey; out[i, 0:W] = sum_j alpha_j x_j (0 without touches);
// out[i, W] = log(1 + number of touches). x [t, W], w [W], alpha [t], out [n, W + 1].
struct PoolForward {
  Csr touches;
  MixedMatrix<const float> x;
  std::span<const float> w;
  std::span<float> alpha;
  Matrix<float> out;
};
// d_x += ..., d_w += ... . The clamp passes no gradient outside its range. d_out [n, W + 1].
// mask_dx: x is what a ReLU gave, and d_x, with what it held before, becomes the gradient of what
// went into it: 0 where x is not above 0.
struct PoolBackward {
  Csr touches;
  MixedMatrix<const float> x;
  std::span<const float> w;
  std::span<const float> alpha;
  Matrix<const float> out;
  Matrix<const float> d_out;
  MixedMatrix<float> d_x;
  std::span<float> d_w;
  bool mask_dx = false;
};

// Sum of a journey's touches, each times a number of its own: out[i, :] = sum_j weight[j] x[j, :].
// x [t, W], weight [t], out [n, W].
struct WeightedSumForward {
  Csr touches;
  MixedMatrix<const float> x;
  std::span<const float> weight;
  Matrix<float> out;
};
// d_x[j, :] = weight[j] d_out[i, :]; d_weight[j] += x[j, :] . d_out[i, :].
struct WeightedSumBackward {
  Csr touches;
  MixedMatrix<const float> x;
  std::span<const float> weight;
  Matrix<const float> d_out;
  MixedMatrix<float> d_x;
  std::span<float> d_weight;
};

// logit[j] += bias[k] + v[k, :] . context[i, :] with k = cluster[j], i the journey of j.
// bias [K], v [K, C], context [n, C], logit [t].
struct BilinearForward {
  Csr touches;
  std::span<const int64_t> cluster;
  std::span<const float> bias;
  Matrix<const float> v;
  Matrix<const float> context;
  std::span<float> logit;
};
// d_bias, d_v, d_context accumulate.
struct BilinearBackward {
  Csr touches;
  std::span<const int64_t> cluster;
  Matrix<const float> v;
  Matrix<const float> context;
  std::span<const float> d_logit;
  std::span<float> d_bias;
  Matrix<float> d_v;
  Matrix<float> d_context;
};

// Weights of a touch head; of floats that are not const, their gradients.
template <class T>
struct TouchHeadTensors {
  Matrix<T> w_touch;          // [a, h]
  std::span<T> bias;          // [h]
  Matrix<T> w_context;        // [c, h]
  Matrix<T> w_out;            // [h, 1]
  std::span<T> out_bias;      // [1]
  std::span<T> cluster_bias;  // [K]
  Matrix<T> v;                // [K, c]
};

// A number of each touch j, made of the touch, the context of its journey i and its cluster k:
//   hidden[j, :] = relu(x[j, :] w_touch + context[i, :] w_context + bias)
//   logit[j] = hidden[j, :] w_out + out_bias + cluster_bias[k] + v[k, :] . context[i, :].
// x [t, a], context [n, c], cluster [t], logit [t, 1]. hidden [t, h] is filled where
// keep_hidden says so; else it is, as of_context [n, h] always is, room in which a backend may
// leave its backward pass what it likes.
struct TouchHeadForward {
  Csr touches;
  std::span<const int64_t> cluster;
  MixedMatrix<const float> x;
  Matrix<const float> context;
  TouchHeadTensors<const float> weights;
  Matrix<float> logit;
  MixedMatrix<float> hidden;
  Matrix<float> of_context;
  bool keep_hidden = false;
};
// d_context and the gradients of the weights accumulate, d_x with accumulate_dx; mask_dx is that of
// LinearBackward. d_x is optional, as is d_hidden [t, h]: what reaches the hidden layer but through
// the logit. hidden: as the forward pass left it.
// d_logit [t, 1] stays as it is. room_touches [t, h] and room_journeys [n, h] are the backend's.
// logit, d_hidden and room_touches have no gaps between their rows.
struct TouchHeadBackward {
  Csr touches;
  std::span<const int64_t> cluster;
  MixedMatrix<const float> x;
  Matrix<const float> context;
  TouchHeadTensors<const float> weights;
  MixedMatrix<const float> hidden;
  Matrix<float> d_logit;
  MixedMatrix<const float> d_hidden;
  MixedMatrix<float> d_x;
  Matrix<float> d_context;
  TouchHeadTensors<float> gradients;
  MixedMatrix<float> room_touches;
  Matrix<float> room_journeys;
  bool accumulate_dx = false;
  bool mask_dx = false;
};

// Sums of weighted losses over a batch. Ops add to them.
struct LossSums {
  double mediator = 0;      // sum_i s_i sum_j BCE(m_ij, p_ij) over observed mediators
  double outcome = 0;       // sum_i s_i times the outcome loss
  double second_stage = 0;  // sum_i s_i (exp(-h_i) - Lambda_i)^2
  double propensity = 0;    // sum_i s_i * -log pi(a_i | X_i)
  double weight = 0;        // sum_i s_i, added by the outcome loss only
  // Proxy mode, each with the weight it is a sum over. Added by the model.
  double law = 0;    // sum_i s_i sum_j BCE(value of the code, p_ij)
  double proxy = 0;  // sum over defined matches of s_i BCE(match, value of the code)
  double proxy_weight = 0;
  double adversary = 0;  // sum_i s_i mean_j BCE(y_i, discriminator(code_ij))
  double adversary_weight = 0;
  double adversary_outcome = 0;  // sum of the same weights times y_i: its entropy is the floor
  double contrastive = 0;        // sum over uploads with a match of s_i times its mean InfoNCE
  double contrastive_weight = 0;
};

// The separable front-door head, binary outcome (method 3.1, 3.2). Per touch j: p =
// sigmoid(mediator[j]), g = softplus(potency[j]), q = 1 - exp(-g). Per journey: h =
// softplus(confounding[i]), Lambda = sigmoid(second_stage[i]).
//   -log P(Y=0) = h + sum_{m_j=1} g_j - sum_{m_j missing} log(1 - q_j p_j)
//   loss = w_mediator * sum_j BCE(m_j, p_j) + w_outcome * BCE(y, P(Y=1)) + w_second * (exp(-h) -
//   Lambda)^2
// each times weight[i]; the second stage's target is held constant (no gradient to h). outcome is 0
// or 1. Gradients are with respect to the raw inputs and overwrite; all four are given or none
// (losses only; d_confounding decides, for it is not empty where there are journeys). Where the
// floor binds, the gradient is the formula of method 3.2 at the floored P(Y=0), so that training
// can leave it again.
struct SeparableLoss {
  Csr touches;
  std::span<const float> mediator_logit;
  std::span<const float> potency;
  std::span<const float> confounding;
  std::span<const float> second_stage;
  std::span<const uint8_t> mediator;
  std::span<const float> outcome;
  std::span<const float> weight;
  float w_mediator = 1;
  float w_outcome = 1;
  float w_second = 1;
  std::span<float> d_mediator_logit;
  std::span<float> d_potency;
  std::span<float> d_confounding;
  std::span<float> d_second_stage;
  LossSums* sums = nullptr;
};

// The additive head, continuous outcome on the standardised scale (method 3.1):
//   y_hat = confounding[i] + sum_j v_j potency[j], v_j = m_j, or p_j where m_j is missing
//   loss = w_mediator * sum_j BCE(m_j, p_j) + w_outcome * (y - y_hat)^2 / 2, times weight[i].
// Gradients overwrite; the mediator logit also receives the outcome's gradient through missing m_j.
struct AdditiveLoss {
  Csr touches;
  std::span<const float> mediator_logit;
  std::span<const float> potency;
  std::span<const float> confounding;
  std::span<const uint8_t> mediator;
  std::span<const float> outcome;
  std::span<const float> weight;
  float w_mediator = 1;
  float w_outcome = 1;
  std::span<float> d_mediator_logit;
  std::span<float> d_potency;
  std::span<float> d_confounding;
  LossSums* sums = nullptr;
};

// Plain supervised losses, one output per row; gradients overwrite and are optional.
// bce:     loss = weight * scale * BCE(target, sigmoid(output)); target in [0, 1], NaN = row left
// out. squared: loss = weight * scale * (target - output)^2 / 2; target NaN = row left out. *sum +=
// unscaled weighted loss, *weight_sum += weight of the rows that count (both optional).
struct SupervisedLoss {
  std::span<const float> output;
  std::span<const float> target;
  std::span<const float> weight;
  float scale = 1;
  std::span<float> d_output;
  double* sum = nullptr;
  double* weight_sum = nullptr;
};

// loss = weight * scale * (target - sigmoid(output))^2: regression onto [0, 1] (second stage,
// refit).
using SigmoidSquaredLoss = SupervisedLoss;

// Softmax propensity: loss = weight[i] * scale * -log softmax(logits[i, :])[label[i]].
// logits [n, K]; d_logits [n, K] overwritten, optional; *sum += unscaled weighted loss.
struct SoftmaxLoss {
  Matrix<const float> logits;
  std::span<const int64_t> label;
  std::span<const float> weight;
  float scale = 1;
  Matrix<float> d_logits;
  double* sum = nullptr;
};

// InfoNCE (van den Oord et al. 2018), one-sided: each row of a group scores the columns of its
// group.
//   s_rc = x_r . y_c / temperature - log_frequency[c]
//   loss = weight[r] * scale * -log(exp(s_r,positive[r]) / sum_c exp(s_rc))
// x [R, w], y [C, w]; with `normalise` each row of both is divided by sqrt(|row|^2 + kNormFloor)
// first. rows, columns: x and y by group, begin[0] = 0; positive[r] is a column of r's group.
// log_frequency [C] or empty. False negatives: a column other than positive[r] that shares an id
// with r, row_ids(r, k) == column_ids(c, k) >= 0 for some k, is left out of the sum; row_ids [R, I]
// and column_ids [C, I], I >= 0. d_x, d_y overwritten, both or neither; *sum += unscaled weighted
// loss.
struct InfoNce {
  Csr rows;
  Csr columns;
  Matrix<const float> x;
  Matrix<const float> y;
  std::span<const int64_t> positive;
  std::span<const float> weight;
  std::span<const float> log_frequency;
  Matrix<const int64_t> row_ids;
  Matrix<const int64_t> column_ids;
  float temperature = 1;
  float scale = 1;
  bool normalise = false;
  Matrix<float> d_x;
  Matrix<float> d_y;
  double* sum = nullptr;
};

// What differs from step to step, in memory of the device: updates that read it may be queued
// before it is known, or once and for all.
struct StepSettings {
  float learning_rate = 0;      // of dense weights
  float row_learning_rate = 0;  // of table rows
  float weight_decay = 0;
  float unbias1 = 1;    // 1 / (1 - beta1^step), step from 1
  float unbias2 = 1;    // 1 / (1 - beta2^step)
  float clip_norm = 0;  // largest norm of the mean gradient; 0: any
};

// What the gradient of a step is to be multiplied by, decided where its parts are: the mean over
// the weight of the batch, with its norm brought down to clip_norm.
//   mean = 1 / losses->weight, 0 where the weight is 0; norm = mean * sqrt(sum of squares);
//   *scale = mean, times clip_norm / norm where clip_norm > 0 and norm > clip_norm.
// NaN where a number of losses is not finite or larger than kLargestLoss, or the norm not finite:
// then updates leave everything as it is.
inline constexpr double kLargestLoss = 0x1p59;
struct GradientScale {
  const LossSums* losses = nullptr;
  std::span<const double> squares;  // sums of squares of parts of the gradient
  const StepSettings* settings = nullptr;
  float* scale = nullptr;
};

// AdamW (Loshchilov, Hutter 2019) on a range of the arena, g = gradient * *gradient_scale:
//   m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2;
//   w -= learning_rate * (m unbias1 / (sqrt(v unbias2) + epsilon) + weight_decay decay[i] w).
// decay_mask[i] is 1 or 0. Nothing changes where *gradient_scale is NaN.
struct AdamW {
  std::span<float> weights;
  std::span<const float> gradient;
  std::span<float> first_moment;
  std::span<float> second_moment;
  std::span<const float> decay_mask;
  const float* gradient_scale = nullptr;
  const StepSettings* settings = nullptr;
  float beta1 = 0.9f;
  float beta2 = 0.999f;
  float epsilon = 1e-8f;
};

// Row-wise Adagrad: for each i, g = gradient[i, :] * *gradient_scale, r = rows[i] (distinct rows),
//   state[r] += mean(g^2); table[r, :] -= row_learning_rate * g / (sqrt(state[r]) + epsilon).
// Nothing changes where *gradient_scale is NaN.
struct AdagradRows {
  Matrix<float> table;
  std::span<float> state;
  std::span<const int64_t> rows;
  Matrix<const float> gradient;
  const float* gradient_scale = nullptr;
  const StepSettings* settings = nullptr;
  float epsilon = 1e-8f;
};

// *largest = max(*largest, max |x_i|); a NaN or infinity in x makes *largest infinite.
struct MaxAbs {
  std::span<const float> x;
  float* largest = nullptr;
};
// sum[i] += round_to_nearest_even(x[i] * 2^shift). Exact integer sums: order-free.
struct Quantise {
  std::span<const float> x;
  int shift = 0;
  std::span<int64_t> sum;
};
// x[i] = (float)(sum[i] * 2^-shift), rounded once from the exact integer (twice if subnormal).
struct Dequantise {
  std::span<const int64_t> sum;
  int shift = 0;
  std::span<float> x;
};
// out[i] = 1 / (1 + exp(-scale * logit[i])). With scale -1 it is exp(-softplus(logit)).
struct Sigmoid {
  std::span<const float> logit;
  float scale = 1;
  std::span<float> out;
};
// What stands for a mediator in its sums: share[j] = mediator[j] where it was observed, else the
// probability that its law gives it, sigmoid(logit[j]). [t] each.
struct ExpectedMediatorForward {
  std::span<const uint8_t> mediator;
  std::span<const float> logit;
  std::span<float> share;
};
// d_logit[j] += share[j] * (1 - share[j]) * d_share[j] where the mediator was not observed.
struct ExpectedMediatorBackward {
  std::span<const uint8_t> mediator;
  std::span<const float> share;
  std::span<const float> d_share;
  std::span<float> d_logit;
};
// y[i] += x[i].
struct Accumulate {
  std::span<const float> x;
  std::span<float> y;
};
// *sum += sum of x_i^2 in double, fixed order.
struct SumSquares {
  std::span<const float> x;
  double* sum = nullptr;
};

// One backend is one filled table. Every entry of the CPU table is non-null (a unit test asserts
// it); another backend may leave entries null, which is caught at start.
struct Ops {
  const char* name;
  void (*dense_features)(Queue&, const DenseFeatures&);
  void (*gather_rows)(Queue&, const GatherRows&);
  void (*scatter_rows)(Queue&, const ScatterRows&);
  void (*linear_forward)(Queue&, const LinearForward&);
  void (*linear_backward)(Queue&, const LinearBackward&);
  void (*join_context_forward)(Queue&, const JoinContextForward&);
  void (*join_context_backward)(Queue&, const JoinContextBackward&);
  void (*attention_forward)(Queue&, const AttentionForward&);
  void (*attention_backward)(Queue&, const AttentionBackward&);
  void (*pool_forward)(Queue&, const PoolForward&);
  void (*pool_backward)(Queue&, const PoolBackward&);
  void (*weighted_sum_forward)(Queue&, const WeightedSumForward&);
  void (*weighted_sum_backward)(Queue&, const WeightedSumBackward&);
  void (*bilinear_forward)(Queue&, const BilinearForward&);
  void (*bilinear_backward)(Queue&, const BilinearBackward&);
  void (*touch_head_forward)(Queue&, const TouchHeadForward&);
  void (*touch_head_backward)(Queue&, const TouchHeadBackward&);
  void (*separable_loss)(Queue&, const SeparableLoss&);
  void (*additive_loss)(Queue&, const AdditiveLoss&);
  void (*bce_loss)(Queue&, const SupervisedLoss&);
  void (*squared_loss)(Queue&, const SupervisedLoss&);
  void (*sigmoid_squared_loss)(Queue&, const SigmoidSquaredLoss&);
  void (*softmax_loss)(Queue&, const SoftmaxLoss&);
  void (*infonce)(Queue&, const InfoNce&);
  void (*gradient_scale)(Queue&, const GradientScale&);
  void (*adamw)(Queue&, const AdamW&);
  void (*adagrad_rows)(Queue&, const AdagradRows&);
  void (*max_abs)(Queue&, const MaxAbs&);
  void (*quantise)(Queue&, const Quantise&);
  void (*dequantise)(Queue&, const Dequantise&);
  void (*sigmoid)(Queue&, const Sigmoid&);
  void (*expected_mediator_forward)(Queue&, const ExpectedMediatorForward&);
  void (*expected_mediator_backward)(Queue&, const ExpectedMediatorBackward&);
  void (*accumulate)(Queue&, const Accumulate&);
  void (*sum_squares)(Queue&, const SumSquares&);
};

}  // namespace alm
