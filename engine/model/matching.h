// The matching score of proxy mode, omega(touch, upload), learned by InfoNCE (method 1.3).
//   touch side:  code w_t;  upload side: (sum of the encodings of the touches that match it) w_u
//   omega = cosine of the two, positives: the touches that match the upload; negatives: the other
//   touches of the micro-block, corrected for the frequency of their cluster, without those of the
//   positive's cluster and those that match the same upload.
// The schema has no embedding of an upload: what it resembles is all that is known of it. Omega
// serves this loss and display. It knows the upload, so it must never choose or weight the T' of a
// marginalisation (method 2.5).
#pragma once

#include "engine/model/inputs.h"
#include "engine/model/layers.h"

namespace alm {

class Matching {
 public:
  struct Activations {
    Matrix<float> touch;    // [t, match_width]
    Matrix<float> matched;  // [uploads, touch_width]
    Matrix<float> upload;   // [uploads, match_width]
  };
  Matching(ParameterLayout& layout, const ModelOptions& options);
  Activations forward(const Pass& pass, const ProxyView& inputs, Matrix<const float> code,
                      Matrix<const float> encoded) const;
  // omega of every touch and the upload of its journey; NaN in journeys without a matched touch.
  std::span<float> omega(const Pass& pass, const ModelInputs& inputs,
                         const Activations& activations) const;
  // Adds the loss of all pairs, times `scale` in the gradient, to *sum. With d_code both gradients
  // are added to.
  void loss(const Pass& pass, const ProxyView& inputs, Matrix<const float> code,
            const Activations& activations, float temperature, float scale, double* sum,
            Matrix<float> d_code, Matrix<float> d_encoded) const;

 private:
  Linear touch_;
  Linear upload_;
};

}  // namespace alm
