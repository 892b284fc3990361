// Heads that give one scalar per journey.
#pragma once

#include "engine/model/layers.h"
#include "engine/model/model_options.h"

namespace alm {

// The confounding term's logit: everything the touches reveal about the user's hidden disposition.
//   relu(pool(touches) w_p + context w_c + b) -> 1; h = softplus of it (separable head).
// In the general head the engaged touches join before the ReLU (general_head.h).
class ConfoundingHead {
 public:
  struct Activations {
    std::span<float> alpha;  // [t] pooling weights
    Matrix<float> pooled;    // [n, touch_width + 1]
    Matrix<float> hidden;    // [n, confounding_hidden]
    Matrix<float> logit;     // [n, 1]
  };
  // Starts constant at `bias` (last layer zero).
  ConfoundingHead(ParameterLayout& layout, const ModelOptions& options, double bias);
  // joined [n, confounding_hidden]: an addend of the hidden layer before its ReLU, and then that
  // layer itself; may be empty.
  Activations forward(const Pass& pass, Csr touches, MixedMatrix<const float> encoded,
                      Matrix<const float> context, Matrix<float> joined = {}) const;
  struct Gradients {
    Matrix<float> joined;  // [n, confounding_hidden]
    Matrix<float> pooled;  // [n, touch_width + 1]
  };
  // Down to the pool; d_context is added to.
  Gradients backward(const Pass& pass, Matrix<const float> context, const Activations& activations,
                     Matrix<float> d_logit, Matrix<float> d_context) const;
  // The rest of the way. The encoded touches are what a ReLU gave: d_encoded is added to, and with
  // what it held becomes the gradient of what went into that ReLU.
  void backward_to_touches(const Pass& pass, Csr touches, MixedMatrix<const float> encoded,
                           const Activations& activations, Matrix<const float> d_pooled,
                           MixedMatrix<float> d_encoded) const;

  // What touches and context each give to the hidden layer before its ReLU, [n, confounding_hidden]
  // both: all that the logit of other touches under a context is made of.
  struct Halves {
    Matrix<float> touches;
    Matrix<float> context;
  };
  Halves halves(const Pass& pass, Csr touches, MixedMatrix<const float> encoded,
                Matrix<const float> context) const;
  // The logit of a row of each; `weights` is the arena.
  double logit_of_pair(const float* weights, const float* touches, const float* context) const;

 private:
  Tensor pool_;  // [1, touch_width]
  Linear from_pool_;
  Linear from_context_;
  Linear out_;
};

// Second stage Lambda(X) = sigmoid(relu(context w + b) -> 1), fitted to exp(-h) (method 3.1).
class SecondStage {
 public:
  struct Activations {
    Matrix<float> hidden;  // [n, head_hidden]
    Matrix<float> logit;   // [n, 1]
  };
  SecondStage(ParameterLayout& layout, const ModelOptions& options);
  Activations forward(const Pass& pass, Matrix<const float> context) const;
  // d_context is added to; empty = not wanted.
  void backward(const Pass& pass, Matrix<const float> context, const Activations& activations,
                Matrix<float> d_logit, Matrix<float> d_context) const;
  // Arena range of this head's tensors, for the final refit.
  int64_t first() const { return hidden_.w.offset; }
  int64_t last() const { return out_.b.offset + 16; }

 private:
  Linear hidden_;
  Linear out_;
};

}  // namespace alm
