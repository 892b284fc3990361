// Losses and their gradients. A warp takes a journey, lanes its touches; or a thread takes a row.
// No probability is ever formed as 1 - p: both sides come from the logit. Losses are added up in
// double, block by block and then over the blocks.
#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/maths.cuh"
#include "kernels/cuda/sums.cuh"
#include "kernels/cuda/touch_share.cuh"

namespace alm::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kWarp;

// Sums of a journey over its touches, in every lane.
struct JourneySums {
  double share = 0;
  double loss = 0;
};
template <class Loss, class Share>
__device__ JourneySums sum_touches(const Loss& a, int64_t first, int64_t last, Share share_of) {
  JourneySums sums;
  for (int64_t j = first + lane(); j < last; j += kWarp) {
    const TouchShare touch =
        share_of(a.mediator_logit.data()[j], a.potency.data()[j], a.mediator.data()[j]);
    sums.share += double{touch.share};
    sums.loss += double{touch.loss};
  }
  sums.share = warp_sum(sums.share);
  sums.loss = warp_sum(sums.loss);
  return sums;
}

// `to_share`: weight times d loss of the outcome / d share.
template <class Loss, class Share>
__device__ void touch_gradients(const Loss& a, int64_t first, int64_t last, float weight,
                                float to_share, Share share_of) {
  for (int64_t j = first + lane(); j < last; j += kWarp) {
    const TouchShare touch =
        share_of(a.mediator_logit.data()[j], a.potency.data()[j], a.mediator.data()[j]);
    a.d_mediator_logit.data()[j] =
        weight * a.w_mediator * touch.loss_by_logit + to_share * touch.by_logit;
    a.d_potency.data()[j] = to_share * touch.by_potency;
  }
}

// Losses of one journey times its weight.
struct WeightedLosses {
  double mediator = 0;
  double outcome = 0;
  double second_stage = 0;
  double weight = 0;
};

// Each warp hands in those of its journey, in lane 0; partials [4, blocks].
__device__ void leave_losses(const WeightedLosses& losses, double* partials) {
  const bool one = lane() == 0;
  const double of_block[4] = {block_sum<kThreads>(one ? losses.mediator : 0),
                              block_sum<kThreads>(one ? losses.outcome : 0),
                              block_sum<kThreads>(one ? losses.second_stage : 0),
                              block_sum<kThreads>(one ? losses.weight : 0)};
  if (threadIdx.x != 0) return;
  for (int s = 0; s < 4; ++s) partials[s * int64_t{gridDim.x} + blockIdx.x] = of_block[s];
}

__device__ WeightedLosses separable_journey(const SeparableLoss& a, int64_t i) {
  const int64_t first = a.touches.begin.data()[i];
  const int64_t last = a.touches.begin.data()[i + 1];
  const auto share_of = [](float logit, float potency, uint8_t mediator) {
    return separable_share(logit, potency, mediator);
  };
  const JourneySums sums = sum_touches(a, first, last, share_of);
  const SigmoidParts h = sigmoid_parts(a.confounding.data()[i]);
  const SigmoidParts lambda = sigmoid_parts(a.second_stage.data()[i]);
  const float y = a.outcome.data()[i];
  const float weight = a.weight.data()[i];
  const float e = softplus(a.confounding.data()[i], h) + static_cast<float>(sums.share);
  const float p0 = expf(-e);
  const float raw_p1 = -expm1f(-e);
  const float p1 = raw_p1 < kOutcomeFloor ? kOutcomeFloor : raw_p1;
  // -log P(Y=1), from whichever of P(Y=0), P(Y=1) is small.
  const float if_one = p0 < 0.5f ? -log1pf(-p0) : -logf(p1);
  const float if_zero = e < kOutcomeFloor ? kOutcomeFloor : e;
  const float miss = h.not_p - lambda.p;
  if (a.d_confounding.data() != nullptr) {
    const float slope = weight * a.w_outcome * ((1.0f - y) - y * (p0 / p1));
    touch_gradients(a, first, last, weight, slope, share_of);
    if (lane() == 0) {
      a.d_confounding.data()[i] = slope * h.p;
      a.d_second_stage.data()[i] =
          weight * a.w_second * 2.0f * (lambda.p - h.not_p) * (lambda.p * lambda.not_p);
    }
  }
  const double w = weight;
  return {w * sums.loss, w * double{y * if_one + (1.0f - y) * if_zero}, w * double{miss * miss}, w};
}

__device__ WeightedLosses additive_journey(const AdditiveLoss& a, int64_t i) {
  const int64_t first = a.touches.begin.data()[i];
  const int64_t last = a.touches.begin.data()[i + 1];
  const auto share_of = [](float logit, float potency, uint8_t mediator) {
    return additive_share(logit, potency, mediator);
  };
  const JourneySums sums = sum_touches(a, first, last, share_of);
  const float weight = a.weight.data()[i];
  const float miss =
      (a.confounding.data()[i] + static_cast<float>(sums.share)) - a.outcome.data()[i];
  if (a.d_confounding.data() != nullptr) {
    const float slope = weight * a.w_outcome * miss;
    touch_gradients(a, first, last, weight, slope, share_of);
    if (lane() == 0) a.d_confounding.data()[i] = slope;
  }
  const double w = weight;
  return {w * sums.loss, w * double{0.5f * miss * miss}, 0, w};
}

__global__ void __launch_bounds__(kThreads) separable_kernel(SeparableLoss a, double* partials) {
  const int64_t i = warp_in_grid();
  WeightedLosses losses;
  if (i < a.touches.rows()) losses = separable_journey(a, i);
  leave_losses(losses, partials);
}

__global__ void __launch_bounds__(kThreads) additive_kernel(AdditiveLoss a, double* partials) {
  const int64_t i = warp_in_grid();
  WeightedLosses losses;
  if (i < a.touches.rows()) losses = additive_journey(a, i);
  leave_losses(losses, partials);
}

struct LossAndSlope {
  float loss;
  float slope;
};
struct BinaryCrossEntropy {
  __device__ LossAndSlope operator()(float target, float output) const {
    const SigmoidParts parts = sigmoid_parts(output);
    // p - target without cancellation at either end.
    return {cross_entropy(target, output, parts), (1.0f - target) * parts.p - target * parts.not_p};
  }
};
struct Squared {
  __device__ LossAndSlope operator()(float target, float output) const {
    const float miss = output - target;
    return {0.5f * miss * miss, miss};
  }
};
struct SigmoidSquared {
  __device__ LossAndSlope operator()(float target, float output) const {
    const SigmoidParts parts = sigmoid_parts(output);
    const float miss = parts.p - target;
    return {miss * miss, 2.0f * miss * parts.p * parts.not_p};
  }
};

// partials [2, blocks]: loss, weight of the rows that count.
template <class Of>
__global__ void __launch_bounds__(kThreads) supervised_kernel(SupervisedLoss a, double* partials) {
  const int64_t i = thread_in_grid();
  double loss = 0;
  double counted = 0;
  if (i < static_cast<int64_t>(a.output.size())) {
    const float target = a.target.data()[i];
    const float weight = a.weight.data()[i];
    const bool known = !is_nan(target);
    const LossAndSlope one = Of()(target, a.output.data()[i]);
    if (known) {
      loss = double{weight} * double{one.loss};
      counted = weight;
    }
    if (a.d_output.data() != nullptr) {
      a.d_output.data()[i] = known ? weight * a.scale * one.slope : 0.0f;
    }
  }
  loss = block_sum<kThreads>(loss);
  counted = block_sum<kThreads>(counted);
  if (threadIdx.x != 0) return;
  partials[blockIdx.x] = loss;
  partials[gridDim.x + int64_t{blockIdx.x}] = counted;
}

template <class Of>
cudaError_t supervised(CudaQueue& queue, const SupervisedLoss& a) {
  const int64_t blocks = blocks_for(std::ssize(a.output), kThreads);
  double* partials = nullptr;
  Pieces().add(&partials, 2 * blocks).take(queue);
  Launches launches(queue);
  launches.run<supervised_kernel<Of>>(blocks, kThreads, a, partials);
  add_sums(launches, partials, blocks, {a.sum, a.weight_sum});
  return launches.error();
}

// A warp a row. The label's term is added last, so that a loss near 0 keeps its digits.
__global__ void __launch_bounds__(kThreads) softmax_kernel(SoftmaxLoss a, double* partials) {
  const int64_t i = warp_in_grid();
  double weighted = 0;
  if (i < a.logits.rows) {
    const float* const logits = a.logits.row(i);
    const int64_t classes = a.logits.cols;
    const int64_t label = a.label.data()[i];
    float most = logits[label];
    for (int64_t k = lane(); k < classes; k += kWarp) most = logits[k] > most ? logits[k] : most;
    most = warp_max(most);
    float others = 0;
    for (int64_t k = lane(); k < classes; k += kWarp) {
      if (k != label) others += expf(logits[k] - most);
    }
    others = warp_sum(others);
    const float own = expf(logits[label] - most);
    const float total = others + own;
    const float loss = own == 1.0f ? log1pf(others) : logf(total) - (logits[label] - most);
    const float weight = a.weight.data()[i];
    if (lane() == 0) weighted = double{weight} * double{loss};
    if (a.d_logits.data != nullptr) {
      const float factor = weight * a.scale / total;
      for (int64_t k = lane(); k < classes; k += kWarp) {
        a.d_logits.row(i)[k] = factor * (k == label ? -others : expf(logits[k] - most));
      }
    }
  }
  weighted = block_sum<kThreads>(weighted);
  if (threadIdx.x == 0) partials[blockIdx.x] = weighted;
}

}  // namespace

cudaError_t launch_separable_loss(CudaQueue& queue, const SeparableLoss& a) {
  const int64_t blocks = blocks_for(a.touches.rows(), kWarps);
  double* partials = nullptr;
  Pieces().add(&partials, 4 * blocks).take(queue);
  Launches launches(queue);
  launches.run<separable_kernel>(blocks, kThreads, a, partials);
  add_sums(launches, partials, blocks,
           {&a.sums->mediator, &a.sums->outcome, &a.sums->second_stage, &a.sums->weight});
  return launches.error();
}

cudaError_t launch_additive_loss(CudaQueue& queue, const AdditiveLoss& a) {
  const int64_t blocks = blocks_for(a.touches.rows(), kWarps);
  double* partials = nullptr;
  Pieces().add(&partials, 4 * blocks).take(queue);
  Launches launches(queue);
  launches.run<additive_kernel>(blocks, kThreads, a, partials);
  add_sums(launches, partials, blocks,
           {&a.sums->mediator, &a.sums->outcome, nullptr, &a.sums->weight});
  return launches.error();
}

cudaError_t launch_bce_loss(CudaQueue& queue, const SupervisedLoss& a) {
  return supervised<BinaryCrossEntropy>(queue, a);
}
cudaError_t launch_squared_loss(CudaQueue& queue, const SupervisedLoss& a) {
  return supervised<Squared>(queue, a);
}
cudaError_t launch_sigmoid_squared_loss(CudaQueue& queue, const SigmoidSquaredLoss& a) {
  return supervised<SigmoidSquared>(queue, a);
}

cudaError_t launch_softmax_loss(CudaQueue& queue, const SoftmaxLoss& a) {
  const int64_t blocks = blocks_for(a.logits.rows, kWarps);
  double* partials = nullptr;
  Pieces().add(&partials, blocks).take(queue);
  Launches launches(queue);
  launches.run<softmax_kernel>(blocks, kThreads, a, partials);
  add_sums(launches, partials, blocks, {a.sum});
  return launches.error();
}

}  // namespace alm::cuda
