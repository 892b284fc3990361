// The adversary of proxy mode: predicts the outcome of a touch's journey from the touch's code,
// behind a gradient reversal (Ganin et al. 2016). It learns to predict; the code, which receives
// the gradient times -reversal, learns to be useless to it.
#pragma once

#include "engine/model/layers.h"
#include "engine/model/model_options.h"

namespace alm {

class Discriminator {
 public:
  struct Activations {
    Matrix<float> hidden;  // [t, discriminator_hidden]
    Matrix<float> logit;   // [t, 1]
  };
  Discriminator(ParameterLayout& layout, const ModelOptions& options);
  Activations forward(const Pass& pass, Matrix<const float> code) const;
  // The discriminator's own tensors receive the gradient as it is, whatever the reversal. d_code is
  // added to, times -reversal; with a reversal of 0 or an empty d_code the code is a detached copy.
  void backward(const Pass& pass, Matrix<const float> code, const Activations& activations,
                Matrix<float> d_logit, Matrix<float> d_code, float reversal) const;
  // Arena range of its tensors.
  int64_t first() const { return hidden_.w.offset; }
  int64_t last() const { return out_.b.offset + 16; }

 private:
  Linear hidden_;
  Linear out_;
};

}  // namespace alm
