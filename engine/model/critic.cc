#include "engine/model/critic.h"

#include <algorithm>
#include <cmath>

namespace alm {

Critic::Critic(ParameterLayout& layout, const ModelOptions& options, int64_t clusters) {
  const int64_t width = options.touch_width + options.cluster_width;
  first_ = layout.size();
  cluster_ =
      layout.add("critic/cluster", clusters, options.cluster_width, Start::normal(0.1), false);
  pool_ = layout.add("critic/pool", 1, width, Start::zero(), false);
  context_ = Linear::add(layout, "critic/context", options.context_width, options.critic_width,
                         Start::normal(1 / std::sqrt(double(options.context_width))));
  hidden_ = Linear::add(layout, "critic/hidden", width + 1, options.head_hidden,
                        Start::relu_layer(width + 1));
  out_ = Linear::add_without_bias(layout, "critic/journey", options.head_hidden,
                                  options.critic_width, Start::zero());
  last_ = layout.size();
}

Critic::Activations Critic::forward(const Pass& pass, const ModelInputs& inputs,
                                    Matrix<const float> encoded,
                                    Matrix<const float> context) const {
  const int64_t n = context.rows;
  const int64_t width = pool_.cols;
  Activations a;
  a.context = context;
  a.touches = pass.memory.matrix(encoded.rows, width);
  a.alpha = pass.memory.floats(encoded.rows);
  a.pooled = pass.memory.matrix(n, width + 1);
  a.sums = pass.memory.matrix(n, width + 1);
  a.hidden = pass.memory.matrix(n, hidden_.w.cols);
  a.x = pass.memory.matrix(n, context_.w.cols);
  a.y = pass.memory.matrix(n, out_.w.cols);
  for (int64_t touch = 0; touch < encoded.rows; ++touch) {
    std::copy_n(encoded.row(touch), encoded.cols, a.touches.row(touch));
  }
  pass.ops.gather_rows(pass.queue, {.table = cluster_.matrix(pass.weights),
                                    .rows = inputs.cluster,
                                    .out = a.touches.columns(encoded.cols, cluster_.cols)});
  pass.ops.pool_forward(pass.queue, {.touches = inputs.csr,
                                     .x = a.touches,
                                     .w = pool_.vector(pass.weights),
                                     .alpha = a.alpha,
                                     .out = a.pooled});
  std::ranges::copy(flat(a.pooled), flat(a.sums).begin());
  multiply_by_touches(inputs.csr, a.sums.columns(0, width));
  hidden_.forward(pass, a.sums, a.hidden, true);
  out_.forward(pass, a.hidden, a.y, false);
  context_.forward(pass, context, a.x, false);
  return a;
}

void Critic::backward(const Pass& pass, const ModelInputs& inputs, const Activations& a,
                      Matrix<float> d_x, Matrix<float> d_y) const {
  const int64_t n = a.context.rows;
  const int64_t width = pool_.cols;
  context_.backward(pass, a.context, {}, d_x, {}, {});
  const Matrix<float> d_hidden = pass.memory.matrix(n, hidden_.w.cols);
  out_.backward(pass, a.hidden, {}, d_y, d_hidden, {.mask_dx = true});
  const Matrix<float> d_pooled = pass.memory.matrix(n, width + 1);
  hidden_.backward(pass, a.sums, {}, d_hidden, d_pooled, {});
  multiply_by_touches(inputs.csr, d_pooled.columns(0, width));
  const Matrix<float> d_touches = pass.zero_matrix(a.touches.rows, width);
  pass.ops.pool_backward(pass.queue, {.touches = inputs.csr,
                                      .x = a.touches,
                                      .w = pool_.vector(pass.weights),
                                      .alpha = a.alpha,
                                      .out = a.pooled,
                                      .d_out = d_pooled,
                                      .d_x = d_touches,
                                      .d_w = pool_.vector(pass.gradient)});
  pass.ops.scatter_rows(pass.queue,
                        {.d_out = d_touches.columns(width - cluster_.cols, cluster_.cols),
                         .rows = inputs.cluster,
                         .gradient = cluster_.matrix(pass.gradient)});
}

}  // namespace alm
