// Losses and their gradients. Everything transcendental runs over all touches, then over all
// journeys, as branch-free loops into scratch; what is left per journey are short sums in
// increasing order, in double. No probability is ever formed as 1 - p: both sides come from the
// logit.
#include <cmath>
#include <limits>

#include "kernels/cpu/level.h"
#include "kernels/cpu/maths.h"
#include "kernels/cpu/simd.h"

namespace alm::ALM_SIMD {

namespace {

// Equal slices of the queue's scratch.
struct Scratch {
  Scratch(Queue& queue, int64_t slices, int64_t count)
      : step(round_up_to_lanes(count)),
        next(static_cast<float*>(queue.scratch(slices * step * int64_t{sizeof(float)}))) {}
  float* slice() {
    float* const mine = next;
    next += step;
    return mine;
  }
  int64_t step;
  float* next;
};

// A mediator as a float: 0, 1 or (missing) 255.
bool is_missing(float mediator) {
  return mediator > 1.5f;
}

// sum_i weight[i] * loss[i] in double, in order.
double weighted_sum(const float* weight, const float* loss, int64_t count) {
  double total = 0;
  for (int64_t i = 0; i < count; ++i) total += double{weight[i]} * double{loss[i]};
  return total;
}

// Per journey sums of a per touch array, in double before the one rounding.
void sum_by_journey(const Csr& touches, const float* values, float* out) {
  for (int64_t i = 0; i < touches.rows(); ++i) {
    double total = 0;
    for (int64_t j = touches.begin[i]; j < touches.begin[i + 1]; ++j) total += double{values[j]};
    out[i] = static_cast<float>(total);
  }
}

}  // namespace

void separable_loss(Queue& queue, const SeparableLoss& a) {
  const int64_t journeys = a.touches.rows();
  const int64_t total = a.touches.total();
  ALM_CHECK(std::ssize(a.mediator_logit) == total && std::ssize(a.potency) == total &&
            std::ssize(a.mediator) == total && std::ssize(a.confounding) == journeys &&
            std::ssize(a.second_stage) == journeys && std::ssize(a.outcome) == journeys &&
            std::ssize(a.weight) == journeys && a.sums != nullptr);
  const bool gradients = a.d_confounding.data() != nullptr;
  Scratch scratch(queue, 10, total > journeys ? total : journeys);

  // Per touch: its mediator loss and its share of -log P(Y=0), with the slopes of both.
  float* __restrict mediator_loss = scratch.slice();
  float* __restrict share = scratch.slice();
  float* __restrict mediator_slope = scratch.slice();    // d mediator_loss / d logit
  float* __restrict share_by_logit = scratch.slice();    // d share / d logit
  float* __restrict share_by_potency = scratch.slice();  // d share / d potency
  const float* __restrict logit = a.mediator_logit.data();
  const float* __restrict potency = a.potency.data();
  const uint8_t* __restrict mediator = a.mediator.data();
#pragma omp simd
  for (int64_t j = 0; j < total; ++j) {
    const float m = static_cast<float>(mediator[j]);
    const bool missing = is_missing(m);
    const SigmoidParts p = sigmoid_parts(logit[j]);
    const SigmoidParts q = sigmoid_parts(potency[j]);  // 1 - exp(-softplus(v)) = sigmoid(v)
    const float g = softplus(potency[j], q);
    // -log(1 - q p): from the small side while q p is small, else from 1 - q p as a sum.
    const float both = q.p * p.p;
    const float none = p.not_p + p.p * q.not_p;
    const bool small = both < 0.5f;
    const float whole = small ? 1.0f - both : none;
    const float lost = small ? (-both - (whole - 1.0f)) / whole : 0.0f;
    const float hidden = -(fast_log(whole) + lost);
    const float inverse = 1.0f / none;
    mediator_loss[j] = missing ? 0.0f : cross_entropy(m, logit[j], p);
    mediator_slope[j] = missing ? 0.0f : (m > 0.5f ? -p.not_p : p.p);
    share[j] = missing ? hidden : m * g;
    share_by_logit[j] = missing ? both * p.not_p * inverse : 0.0f;
    share_by_potency[j] = missing ? both * q.not_p * inverse : m * q.p;
  }

  float* __restrict shares = scratch.slice();
  float* __restrict mediator_losses = scratch.slice();
  sum_by_journey(a.touches, share, shares);
  sum_by_journey(a.touches, mediator_loss, mediator_losses);

  // Per journey: E = -log P(Y=0) = h + shares.
  float* __restrict outcome_loss = scratch.slice();
  float* __restrict second_loss = scratch.slice();
  float* __restrict outcome_slope = scratch.slice();  // weight * w_outcome * d loss / d E
  const float* __restrict confounding = a.confounding.data();
  const float* __restrict second_stage = a.second_stage.data();
  const float* __restrict outcome = a.outcome.data();
  const float* __restrict weight = a.weight.data();
  const float w_outcome = a.w_outcome;
#pragma omp simd
  for (int64_t i = 0; i < journeys; ++i) {
    const SigmoidParts h = sigmoid_parts(confounding[i]);
    const SigmoidParts lambda = sigmoid_parts(second_stage[i]);
    const float y = outcome[i];
    const float e = softplus(confounding[i], h) + shares[i];
    const float p0 = fast_exp(-e);
    const float raw_p1 = -fast_expm1(-e);
    const float p1 = raw_p1 < kOutcomeFloor ? kOutcomeFloor : raw_p1;
    // -log P(Y=1), from whichever of P(Y=0), P(Y=1) is small.
    const bool likely = p0 < 0.5f;
    const float whole = likely ? 1.0f - p0 : p1;
    const float lost = likely ? (-p0 - (whole - 1.0f)) / whole : 0.0f;
    const float if_one = -(fast_log(whole) + lost);
    const float if_zero = e < kOutcomeFloor ? kOutcomeFloor : e;
    outcome_loss[i] = y * if_one + (1.0f - y) * if_zero;
    outcome_slope[i] = weight[i] * w_outcome * ((1.0f - y) - y * (p0 / p1));
    const float miss = h.not_p - lambda.p;
    second_loss[i] = miss * miss;
  }
  a.sums->mediator += weighted_sum(weight, mediator_losses, journeys);
  a.sums->outcome += weighted_sum(weight, outcome_loss, journeys);
  a.sums->second_stage += weighted_sum(weight, second_loss, journeys);
  for (int64_t i = 0; i < journeys; ++i) a.sums->weight += double{weight[i]};
  if (!gradients) return;

  ALM_CHECK(std::ssize(a.d_mediator_logit) == total && std::ssize(a.d_potency) == total &&
            std::ssize(a.d_confounding) == journeys && std::ssize(a.d_second_stage) == journeys);
  float* __restrict d_confounding = a.d_confounding.data();
  float* __restrict d_second_stage = a.d_second_stage.data();
#pragma omp simd
  for (int64_t i = 0; i < journeys; ++i) {
    const SigmoidParts h = sigmoid_parts(confounding[i]);
    const SigmoidParts lambda = sigmoid_parts(second_stage[i]);
    d_confounding[i] = outcome_slope[i] * h.p;
    d_second_stage[i] =
        weight[i] * a.w_second * 2.0f * (lambda.p - h.not_p) * (lambda.p * lambda.not_p);
  }
  for (int64_t i = 0; i < journeys; ++i) {
    const float to_mediator = weight[i] * a.w_mediator;
    const float to_share = outcome_slope[i];
    for (int64_t j = a.touches.begin[i]; j < a.touches.begin[i + 1]; ++j) {
      a.d_mediator_logit[j] = to_mediator * mediator_slope[j] + to_share * share_by_logit[j];
      a.d_potency[j] = to_share * share_by_potency[j];
    }
  }
}

void additive_loss(Queue& queue, const AdditiveLoss& a) {
  const int64_t journeys = a.touches.rows();
  const int64_t total = a.touches.total();
  ALM_CHECK(std::ssize(a.mediator_logit) == total && std::ssize(a.potency) == total &&
            std::ssize(a.mediator) == total && std::ssize(a.confounding) == journeys &&
            std::ssize(a.outcome) == journeys && std::ssize(a.weight) == journeys &&
            a.sums != nullptr);
  Scratch scratch(queue, 8, total > journeys ? total : journeys);

  float* __restrict mediator_loss = scratch.slice();
  float* __restrict mediator_slope = scratch.slice();
  float* __restrict share = scratch.slice();  // v_j potency_j
  float* __restrict share_by_logit = scratch.slice();
  float* __restrict value = scratch.slice();  // v_j = d share / d potency
  const float* __restrict logit = a.mediator_logit.data();
  const float* __restrict potency = a.potency.data();
  const uint8_t* __restrict mediator = a.mediator.data();
#pragma omp simd
  for (int64_t j = 0; j < total; ++j) {
    const float m = static_cast<float>(mediator[j]);
    const bool missing = is_missing(m);
    const SigmoidParts p = sigmoid_parts(logit[j]);
    const float v = missing ? p.p : m;
    mediator_loss[j] = missing ? 0.0f : cross_entropy(m, logit[j], p);
    mediator_slope[j] = missing ? 0.0f : (m > 0.5f ? -p.not_p : p.p);
    value[j] = v;
    share[j] = v * potency[j];
    share_by_logit[j] = missing ? p.p * p.not_p * potency[j] : 0.0f;
  }

  float* __restrict shares = scratch.slice();
  float* __restrict mediator_losses = scratch.slice();
  sum_by_journey(a.touches, share, shares);
  sum_by_journey(a.touches, mediator_loss, mediator_losses);
  float* __restrict outcome_loss = scratch.slice();
  const float* __restrict weight = a.weight.data();
  for (int64_t i = 0; i < journeys; ++i) {
    const float miss = (a.confounding[i] + shares[i]) - a.outcome[i];
    outcome_loss[i] = 0.5f * miss * miss;
    shares[i] = weight[i] * a.w_outcome * miss;  // from here on the slope of the loss in y_hat
  }
  a.sums->mediator += weighted_sum(weight, mediator_losses, journeys);
  a.sums->outcome += weighted_sum(weight, outcome_loss, journeys);
  for (int64_t i = 0; i < journeys; ++i) a.sums->weight += double{weight[i]};
  if (a.d_confounding.data() == nullptr) return;

  ALM_CHECK(std::ssize(a.d_mediator_logit) == total && std::ssize(a.d_potency) == total &&
            std::ssize(a.d_confounding) == journeys);
  for (int64_t i = 0; i < journeys; ++i) {
    const float to_mediator = weight[i] * a.w_mediator;
    const float to_share = shares[i];
    a.d_confounding[i] = to_share;
    for (int64_t j = a.touches.begin[i]; j < a.touches.begin[i + 1]; ++j) {
      a.d_mediator_logit[j] = to_mediator * mediator_slope[j] + to_share * share_by_logit[j];
      a.d_potency[j] = to_share * value[j];
    }
  }
}

namespace {

struct LossAndSlope {
  float loss;
  float slope;
};

// One loss per row with `of(target, output)`; rows with a NaN target count nowhere.
template <class Of>
void supervised(Queue& queue, const SupervisedLoss& a, Of of) {
  const int64_t rows = std::ssize(a.output);
  ALM_CHECK(std::ssize(a.target) == rows && std::ssize(a.weight) == rows);
  Scratch scratch(queue, 3, rows);
  float* __restrict loss = scratch.slice();
  float* __restrict counted = scratch.slice();
  float* __restrict slope = scratch.slice();
  const float* __restrict output = a.output.data();
  const float* __restrict target = a.target.data();
  const float* __restrict weight = a.weight.data();
  const float scale = a.scale;
#pragma omp simd
  for (int64_t i = 0; i < rows; ++i) {
    const bool known = !std::isnan(target[i]);
    const LossAndSlope one = of(target[i], output[i]);
    counted[i] = known ? weight[i] : 0.0f;
    loss[i] = known ? one.loss : 0.0f;
    slope[i] = known ? weight[i] * scale * one.slope : 0.0f;
  }
  if (a.sum != nullptr) *a.sum += weighted_sum(counted, loss, rows);
  if (a.weight_sum != nullptr) {
    for (int64_t i = 0; i < rows; ++i) *a.weight_sum += double{counted[i]};
  }
  if (a.d_output.data() == nullptr) return;
  ALM_CHECK(std::ssize(a.d_output) == rows);
  for (int64_t i = 0; i < rows; ++i) a.d_output[i] = slope[i];
}

}  // namespace

void bce_loss(Queue& queue, const SupervisedLoss& a) {
  supervised(queue, a, [](float target, float output) -> LossAndSlope {
    const SigmoidParts parts = sigmoid_parts(output);
    // p - target without cancellation at either end.
    const float slope = (1.0f - target) * parts.p - target * parts.not_p;
    return {cross_entropy(target, output, parts), slope};
  });
}

void squared_loss(Queue& queue, const SupervisedLoss& a) {
  supervised(queue, a, [](float target, float output) -> LossAndSlope {
    const float miss = output - target;
    return {0.5f * miss * miss, miss};
  });
}

void sigmoid_squared_loss(Queue& queue, const SigmoidSquaredLoss& a) {
  supervised(queue, a, [](float target, float output) -> LossAndSlope {
    const SigmoidParts parts = sigmoid_parts(output);
    const float miss = parts.p - target;
    return {miss * miss, 2.0f * miss * parts.p * parts.not_p};
  });
}

void softmax_loss(Queue& queue, const SoftmaxLoss& a) {
  const int64_t rows = a.logits.rows;
  const int64_t classes = a.logits.cols;
  ALM_CHECK(std::ssize(a.label) == rows && std::ssize(a.weight) == rows &&
            (rows == 0 || classes > 0));
  const int64_t padded = round_up_to_lanes(classes);
  float* __restrict share = static_cast<float*>(queue.scratch(padded * int64_t{sizeof(float)}));
  double total_loss = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const float* __restrict logits = a.logits.row(i);
    for (int64_t k = 0; k < classes; ++k) share[k] = logits[k];
    for (int64_t k = classes; k < padded; ++k) share[k] = -std::numeric_limits<float>::infinity();
    const float most = largest_of_packs(share, padded);
#pragma omp simd
    for (int64_t k = 0; k < padded; ++k) share[k] = fast_exp(share[k] - most);
    for (int64_t k = classes; k < padded; ++k) share[k] = 0.0f;
    const int64_t label = a.label[i];
    ALM_CHECK(label >= 0 && label < classes);
    // The label's term is added last, so that a loss near 0 keeps its digits.
    const float own = share[label];
    share[label] = 0.0f;
    const float others = sum_of_packs(share, padded);
    const float total = others + own;
    const float loss = own == 1.0f ? fast_log1p(others) : fast_log(total) - (logits[label] - most);
    total_loss += double{a.weight[i]} * double{loss};
    if (a.d_logits.data == nullptr) continue;
    float* __restrict d_logits = a.d_logits.row(i);
    const float factor = a.weight[i] * a.scale;
    const float inverse = 1.0f / total;
#pragma omp simd
    for (int64_t k = 0; k < classes; ++k) d_logits[k] = factor * (share[k] * inverse);
    d_logits[label] = -factor * (others * inverse);
  }
  if (a.sum != nullptr) *a.sum += total_loss;
}

}  // namespace alm::ALM_SIMD
