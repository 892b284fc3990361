#include "engine/model/discriminator.h"

namespace alm {

Discriminator::Discriminator(ParameterLayout& layout, const ModelOptions& options) {
  hidden_ = Linear::add(layout, "discriminator/hidden", options.code_width,
                        options.discriminator_hidden, Start::relu_layer(options.code_width));
  out_ = Linear::add(layout, "discriminator/out", options.discriminator_hidden, 1, Start::zero());
}

Discriminator::Activations Discriminator::forward(const Pass& pass,
                                                  Matrix<const float> code) const {
  Activations activations;
  activations.hidden = pass.memory.matrix(code.rows, out_.w.rows);
  activations.logit = pass.memory.matrix(code.rows, 1);
  hidden_.forward(pass, code, activations.hidden, true);
  out_.forward(pass, activations.hidden, activations.logit, false);
  return activations;
}

void Discriminator::backward(const Pass& pass, Matrix<const float> code,
                             const Activations& activations, Matrix<float> d_logit,
                             Matrix<float> d_code, float reversal) const {
  const Matrix<float> d_hidden = pass.memory.matrix(code.rows, out_.w.rows);
  out_.backward(pass, activations.hidden, {}, d_logit, d_hidden, {.mask_dx = true});
  hidden_.backward(pass, code, {}, d_hidden, reversal == 0 ? Matrix<float>{} : d_code,
                   {.accumulate_dx = true, .alpha = -reversal});
}

}  // namespace alm
