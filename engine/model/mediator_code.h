// The mediator of proxy mode: a code learned from proxies in place of a logged event (method 1.3).
//   code  = relu(touch w_t + context w_c [+ proxies w_p] + b) w + b  [t, code_width]
//   value = sigmoid(code w_r + b_r), the proxy head: how well the touch matches an upload
// Through `value` alone the code acts on the outcome. Without proxies it is a function of touches
// and context: it has no variation of its own (method 2.2).
#pragma once

#include "engine/model/layers.h"
#include "engine/model/model_options.h"

namespace alm {

class MediatorCode {
 public:
  struct Activations {
    Matrix<float> hidden;  // [t, head_hidden]
    Matrix<float> code;    // [t, code_width]
    Matrix<float> logit;   // [t, 1] of `value`
  };
  // proxy_columns: width of the indicators of the proxies read, 0 for none.
  MediatorCode(ParameterLayout& layout, const ModelOptions& options, int64_t proxy_columns);
  bool reads_proxies() const { return from_proxies_.w.rows > 0; }
  // seen [t, proxy_columns].
  Activations forward(const Pass& pass, Csr touches, Matrix<const float> encoded,
                      Matrix<const float> context, Matrix<const float> seen) const;
  // d_code [t, code_width] holds what came from other readers of the code and is used up; d_encoded
  // and d_context are added to.
  void backward(const Pass& pass, Csr touches, Matrix<const float> encoded,
                Matrix<const float> context, Matrix<const float> seen,
                const Activations& activations, Matrix<float> d_logit, Matrix<float> d_code,
                Matrix<float> d_encoded, Matrix<float> d_context) const;

 private:
  Linear from_touch_;
  Linear from_context_;
  Linear from_proxies_;  // no tensors when it reads none
  Linear code_;
  Linear value_;
};

}  // namespace alm
