// The contrastive critic s(X, T) (method 2.5): an inner product of a side of the context and a side
// of the journey, learned by InfoNCE at temperature 1, one-sided, without frequency correction and
// without masks. Its optimum is log p(T|X) / p(T) + c(X), so that a softmax of s(x, T_r) over
// journeys r drawn from everyone weights them as if they were drawn from T' | X = x.
//
//   context -> x [n, critic_width]
//   touches -> pool of [encoding, embedding of the cluster], times their number, with log(1 + their
//              number) -> hidden, ReLU -> y [n, critic_width]
//
// Fitted beside the second stage on the frozen encoders: nothing else feels it. A log density ratio
// of a journey is a sum over its touches, hence the pool times their number; what divides by p(T)
// is not linear in that sum, hence the hidden layer. At the start all weights are equal.
#pragma once

#include "engine/model/inputs.h"
#include "engine/model/layers.h"
#include "engine/model/model_options.h"

namespace alm {

class Critic {
 public:
  struct Activations {
    Matrix<const float> context;  // [n, context_width]
    Matrix<float> touches;        // [t, touch_width + cluster_width]
    std::span<float> alpha;       // [t] pooling weights
    Matrix<float> pooled;         // [n, touch_width + cluster_width + 1]
    Matrix<float> sums;           // the same, means times the number of touches
    Matrix<float> hidden;         // [n, head_hidden]
    Matrix<float> x;              // [n, critic_width] of the context
    Matrix<float> y;              // [n, critic_width] of the journey
  };
  Critic(ParameterLayout& layout, const ModelOptions& options, int64_t clusters);

  // encoded [t, touch_width] and context [n, context_width] are read, and kept by reference.
  Activations forward(const Pass& pass, const ModelInputs& inputs, Matrix<const float> encoded,
                      Matrix<const float> context) const;
  // d_x and d_y are used up. Gradients go to the critic's own tensors.
  void backward(const Pass& pass, const ModelInputs& inputs, const Activations& activations,
                Matrix<float> d_x, Matrix<float> d_y) const;

  // Arena range of its tensors.
  int64_t first() const { return first_; }
  int64_t last() const { return last_; }

 private:
  int64_t first_ = 0;
  int64_t last_ = 0;
  Tensor cluster_;  // [clusters, cluster_width]
  Tensor pool_;     // [1, touch_width + cluster_width]
  Linear context_;
  Linear hidden_;
  Linear out_;
};

}  // namespace alm
