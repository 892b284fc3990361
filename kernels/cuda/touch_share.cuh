// What one touch adds to the loss of its journey, in the separable and in the additive head.
#pragma once

#include <cmath>

#include "kernels/cuda/maths.cuh"
#include "kernels/ops.h"

namespace alm::cuda {

// What a touch adds to its journey, with the slopes of both.
struct TouchShare {
  float loss = 0;           // of the mediator
  float loss_by_logit = 0;  // d loss / d logit
  float share = 0;          // separable: of -log P(Y=0); additive: of y_hat
  float by_logit = 0;       // d share / d logit
  float by_potency = 0;     // d share / d potency
};

__device__ inline void mediator_loss(float logit, float m, const SigmoidParts& p,
                                     TouchShare& touch) {
  touch.loss = cross_entropy(m, logit, p);
  touch.loss_by_logit = m > 0.5f ? -p.not_p : p.p;
}

__device__ inline TouchShare separable_share(float logit, float potency, uint8_t mediator) {
  TouchShare touch;
  const SigmoidParts p = sigmoid_parts(logit);
  const SigmoidParts q = sigmoid_parts(potency);  // 1 - exp(-softplus(v)) = sigmoid(v)
  if (mediator != kMediatorMissing) {
    const auto m = static_cast<float>(mediator);
    mediator_loss(logit, m, p, touch);
    touch.share = m * softplus(potency, q);
    touch.by_potency = m * q.p;
    return touch;
  }
  // -log(1 - q p): from the small side while q p is small, else from 1 - q p as a sum.
  const float both = q.p * p.p;
  const float none = p.not_p + p.p * q.not_p;
  touch.share = both < 0.5f ? -log1pf(-both) : -logf(none);
  touch.by_logit = both * p.not_p / none;
  touch.by_potency = both * q.not_p / none;
  return touch;
}

__device__ inline TouchShare additive_share(float logit, float potency, uint8_t mediator) {
  TouchShare touch;
  const SigmoidParts p = sigmoid_parts(logit);
  const bool missing = mediator == kMediatorMissing;
  const float v = missing ? p.p : static_cast<float>(mediator);
  if (!missing) mediator_loss(logit, v, p, touch);
  touch.share = v * potency;
  touch.by_logit = missing ? p.p * p.not_p * potency : 0.0f;
  touch.by_potency = v;
  return touch;
}

}  // namespace alm::cuda
