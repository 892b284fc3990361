// The few layer shapes the encoders and heads are made of. A layer is a handle on its tensors; what
// a backward pass needs of the forward one is returned as an activation struct that lives in the
// Workspace.
#pragma once

#include <string>

#include "engine/model/parameters.h"
#include "engine/model/pass.h"

namespace alm {

// y = [relu](x w + b).
struct Linear {
  Tensor w;  // [in, out]
  Tensor b;  // [1, out], or empty

  static Linear add(ParameterLayout& layout, const std::string& name, int64_t in, int64_t out,
                    Start start, double bias = 0);
  static Linear add_without_bias(ParameterLayout& layout, const std::string& name, int64_t in,
                                 int64_t out, Start start);
  bool has_bias() const { return b.rows > 0; }
  // addend, before_relu: as LinearForward of kernels/ops.h has them.
  void forward(const Pass& pass, MixedMatrix<const float> x, MixedMatrix<float> y, bool relu,
               MixedMatrix<const float> addend = {}, MixedMatrix<float> before_relu = {}) const;
  // Those of LinearBackward of kernels/ops.h.
  struct Backward {
    bool relu = false;
    bool accumulate_dx = false;
    bool mask_dx = false;
    float alpha = 1;
  };
  // With `relu` d_y is masked in place by y, which else may be empty. d_x may be empty (not
  // wanted). Weight gradients are added to the arena.
  void backward(const Pass& pass, MixedMatrix<const float> x, MixedMatrix<const float> y,
                MixedMatrix<float> d_y, MixedMatrix<float> d_x, const Backward& how) const;
};

// A scalar per touch of (touch encoding, context of its journey, cluster), as TouchHeadForward of
// kernels/ops.h has it.
struct TouchHead {
  Linear touch;           // [touch_width, hidden], with the bias
  Linear context;         // [context_width, hidden], without
  Linear out;             // [hidden, 1]
  Tensor cluster_bias;    // [1, K]
  Tensor cluster_vector;  // [K, context_width]

  struct Activations {
    MixedMatrix<float> hidden;  // [t, hidden]; of use to others only where it was to be kept
    Matrix<float> logit;        // [t, 1]
  };
  // zero_out: the last layer starts at zero with this bias, so that the head starts constant.
  static TouchHead add(ParameterLayout& layout, const std::string& name, int64_t touch_width,
                       int64_t context_width, int64_t hidden, int64_t clusters, bool zero_out,
                       double bias);
  Activations forward(const Pass& pass, Csr touches, std::span<const int64_t> cluster,
                      MixedMatrix<const float> encoded, Matrix<const float> journey_context,
                      bool keep_hidden = false) const;
  // What is left of forward() once touches and context have gone through their layers: `hidden`
  // [t, hidden], overwritten, and `of_context` [n, hidden]. [t, 1].
  Matrix<float> logit(const Pass& pass, Csr touches, std::span<const int64_t> cluster,
                      Matrix<const float> journey_context, Matrix<const float> of_context,
                      Matrix<float> hidden) const;
  // Of TouchHeadBackward of kernels/ops.h.
  struct Backward {
    MixedMatrix<const float> d_hidden = {};
    bool accumulate_dx = true;
    bool mask_dx = false;
  };
  // d_context is added to.
  void backward(const Pass& pass, Csr touches, std::span<const int64_t> cluster,
                MixedMatrix<const float> encoded, Matrix<const float> journey_context,
                const Activations& activations, Matrix<float> d_logit, MixedMatrix<float> d_encoded,
                Matrix<float> d_context, const Backward& how) const;
};

// Row i of `of`, one a journey, times the number of its touches: a mean over touches becomes a sum.
void multiply_by_touches(Csr touches, Matrix<float> of);

}  // namespace alm
