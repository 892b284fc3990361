#include "engine/model/mediator_code.h"

#include <cmath>

namespace alm {

MediatorCode::MediatorCode(ParameterLayout& layout, const ModelOptions& options,
                           int64_t proxy_columns) {
  const int64_t hidden = options.head_hidden;
  const Start start =
      Start::relu_layer(options.touch_width + options.context_width + proxy_columns);
  from_touch_ = Linear::add(layout, "code/touch", options.touch_width, hidden, start);
  from_context_ =
      Linear::add_without_bias(layout, "code/context", options.context_width, hidden, start);
  if (proxy_columns > 0) {
    from_proxies_ = Linear::add_without_bias(layout, "code/proxies", proxy_columns, hidden, start);
  }
  code_ = Linear::add(layout, "code/out", hidden, options.code_width,
                      Start::normal(1 / std::sqrt(double(hidden))));
  value_ = Linear::add(layout, "code/value", options.code_width, 1,
                       Start::normal(1 / std::sqrt(double(options.code_width))));
}

MediatorCode::Activations MediatorCode::forward(const Pass& pass, Csr touches,
                                                Matrix<const float> encoded,
                                                Matrix<const float> context,
                                                Matrix<const float> seen) const {
  Activations activations;
  activations.hidden = pass.memory.matrix(encoded.rows, code_.w.rows);
  activations.code = pass.memory.matrix(encoded.rows, code_.w.cols);
  activations.logit = pass.memory.matrix(encoded.rows, 1);
  const Matrix<float> of_context = pass.memory.matrix(context.rows, code_.w.rows);
  from_touch_.forward(pass, encoded, activations.hidden, false);
  if (reads_proxies())
    from_proxies_.forward(pass, seen, activations.hidden, false, activations.hidden);
  from_context_.forward(pass, context, of_context, false);
  pass.ops.join_context_forward(
      pass.queue, {.touches = touches, .context = of_context, .y = activations.hidden});
  code_.forward(pass, activations.hidden, activations.code, false);
  value_.forward(pass, activations.code, activations.logit, false);
  return activations;
}

void MediatorCode::backward(const Pass& pass, Csr touches, Matrix<const float> encoded,
                            Matrix<const float> context, Matrix<const float> seen,
                            const Activations& activations, Matrix<float> d_logit,
                            Matrix<float> d_code, Matrix<float> d_encoded,
                            Matrix<float> d_context) const {
  value_.backward(pass, activations.code, {}, d_logit, d_code, {.accumulate_dx = true});
  const Matrix<float> d_hidden = pass.memory.matrix(encoded.rows, code_.w.rows);
  code_.backward(pass, activations.hidden, {}, d_code, d_hidden, {});
  const Matrix<float> d_of_context = pass.memory.matrix(context.rows, code_.w.rows);
  pass.ops.join_context_backward(
      pass.queue,
      {.touches = touches, .y = activations.hidden, .d_y = d_hidden, .d_context = d_of_context});
  if (reads_proxies()) from_proxies_.backward(pass, seen, {}, d_hidden, {}, {});
  from_touch_.backward(pass, encoded, {}, d_hidden, d_encoded, {.accumulate_dx = true});
  from_context_.backward(pass, context, {}, d_of_context, d_context, {.accumulate_dx = true});
}

}  // namespace alm
