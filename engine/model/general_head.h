// The general outcome head of sequence logs (method 3.1): any function of mediators, touches and
// context, where the separable head lets each touch act apart.
//   eta(M,T,X) = out . relu(pool(T) w_p + X w_c + S w_s + b) + b_out + sum_j m_j g_j,
//   S = sum_j m_j d_j
// d_j and g_j are the hidden layer and the logit of the potency head, which reads touch and
// context; the rest is the confounding head, whose hidden layer S joins. P(Y=1) = sigmoid(eta);
// continuous: eta on the standardised scale. The sums know no order, and an edit of m_j moves them
// by d_j and g_j alone. An unobserved m_j stands as p_j: its vector is the expected one.
#pragma once

#include "engine/model/inputs.h"
#include "engine/model/journey_head.h"

namespace alm {

class GeneralHead {
 public:
  struct Activations {
    std::span<float> share;  // [t] m_j, or p_j where it is not observed
    Matrix<float> sum;       // [n, head_hidden] S
    Matrix<float> joined;    // [n, confounding_hidden] S w_s: becomes the confounding head's hidden
    Matrix<float> engaged;   // [n, 1] sum_j m_j g_j
  };
  GeneralHead(ParameterLayout& layout, const ModelOptions& options);
  Activations forward(const Pass& pass, const ModelInputs& inputs,
                      Matrix<const float> mediator_logit,
                      const TouchHead::Activations& potency) const;
  // d_j w_s of every touch, [t, confounding_hidden].
  Matrix<float> steps(const Pass& pass, const TouchHead::Activations& potency) const;

  // The confounding head's logit becomes eta. Adds the losses to `sums`; gradients overwrite, both
  // or neither are given.
  void loss(const Pass& pass, const ModelInputs& inputs, bool binary, float w_mediator,
            float w_outcome, const Activations& activations, Matrix<const float> mediator_logit,
            Matrix<float> eta, LossSums& sums, Matrix<float> d_mediator_logit,
            Matrix<float> d_eta) const;
  // Overwrites d_potency [t, 1], adds to d_mediator_logit what comes through unobserved mediators;
  // returns the gradient of the potency head's hidden layer. d_joined is used up.
  MixedMatrix<float> backward(const Pass& pass, const ModelInputs& inputs,
                              const Activations& activations, const TouchHead::Activations& potency,
                              Matrix<float> d_joined, Matrix<const float> d_eta,
                              Matrix<float> d_potency, Matrix<float> d_mediator_logit) const;

 private:
  Linear join_;  // w_s
};

}  // namespace alm
