#include "engine/model/touch_encoder.h"

#include <cmath>

#include "kernels/base/check.h"

namespace alm {

TouchEncoder::TouchEncoder(ParameterLayout& layout, const FeatureStats& stats,
                           const ModelOptions& options, int64_t positions)
    : stats_(stats) {
  cluster_ = layout.add("touch/cluster", stats.schema.clusters, options.cluster_width,
                        Start::normal(0.1), true);
  position_ =
      layout.add("touch/position", positions, options.position_width, Start::normal(0.1), true);
  const int64_t features = options.cluster_width + options.position_width + Inputs::kTouchScalars +
                           stats.touch_dense.width();
  const int64_t items = stats.schema.item ? options.item_width : 0;
  const Start start = Start::relu_layer(features + items);
  from_features_ = Linear::add(layout, "touch/features", features, options.touch_hidden, start);
  if (items > 0) {
    from_item_ = Linear::add_without_bias(layout, "touch/item", items, options.touch_hidden, start);
  }
  out_ = Linear::add(layout, "touch/out", options.touch_hidden, options.touch_width,
                     Start::relu_layer(options.touch_hidden));
}

Matrix<float> TouchEncoder::read_features(const Pass& pass, const ModelInputs& inputs) const {
  const int64_t touches = inputs.touches;
  const Matrix<float> features = pass.memory.matrix(touches, from_features_.w.rows);
  int64_t column = 0;
  const auto next_columns = [&](int64_t count) {
    const Matrix<float> slice = features.columns(column, count);
    column += count;
    return slice;
  };
  pass.ops.gather_rows(pass.queue, {.table = cluster_.matrix(pass.weights),
                                    .rows = inputs.cluster,
                                    .out = next_columns(cluster_.cols)});
  pass.ops.gather_rows(pass.queue, {.table = position_.matrix(pass.weights),
                                    .rows = inputs.position,
                                    .out = next_columns(position_.cols)});
  pass.queue.copy(inputs.touch_scalars, next_columns(Inputs::kTouchScalars));
  if (stats_.touch_dense.width() > 0) {
    pass.ops.dense_features(pass.queue, {.x = inputs.touch_dense,
                                         .mean = inputs.touch_dense_scales.mean,
                                         .inverse_sd = inputs.touch_dense_scales.inverse_sd,
                                         .missing_slot = inputs.touch_dense_scales.missing_slot,
                                         .out = next_columns(stats_.touch_dense.width())});
  }
  return features;
}

void TouchEncoder::add_items(const Pass& pass, const ModelInputs& inputs, Matrix<const float> items,
                             Activations& activations) const {
  activations.item = pass.memory.matrix(inputs.touches, items.cols);
  pass.ops.gather_rows(pass.queue,
                       {.table = items, .rows = inputs.item_rows, .out = activations.item});
  from_item_.forward(pass, activations.item, activations.hidden, true, activations.hidden);
}

TouchEncoder::Activations TouchEncoder::forward(const Pass& pass, const ModelInputs& inputs,
                                                Matrix<const float> items) const {
  Activations activations;
  activations.features = read_features(pass, inputs);
  activations.hidden = pass.memory.activations(inputs.touches, out_.w.rows);
  activations.out = pass.memory.activations(inputs.touches, out_.w.cols);
  from_features_.forward(pass, activations.features, activations.hidden, items.rows == 0);
  if (items.rows > 0) add_items(pass, inputs, items, activations);
  out_.forward(pass, activations.hidden, activations.out, true);
  return activations;
}

TouchEncoder::Both TouchEncoder::forward_both(const Pass& pass, const ModelInputs& inputs,
                                              Matrix<const float> items) const {
  Both both;
  Activations& plain = both.plain;
  Activations& known = both.known;
  plain.features = known.features = read_features(pass, inputs);
  for (Activations* one : {&plain, &known}) {
    one->hidden = pass.memory.activations(inputs.touches, out_.w.rows);
    one->out = pass.memory.activations(inputs.touches, out_.w.cols);
  }
  from_features_.forward(pass, plain.features, plain.hidden, true, {}, known.hidden);
  add_items(pass, inputs, items, known);
  for (Activations* one : {&plain, &known}) out_.forward(pass, one->hidden, one->out, true);
  return both;
}

void TouchEncoder::features_backward(const Pass& pass, const ModelInputs& inputs,
                                     const Activations& activations,
                                     MixedMatrix<float> d_hidden) const {
  from_features_.backward(pass, activations.features, {}, d_hidden, {}, {});
  // Of the features only the embeddings, which come first, want a gradient.
  const int64_t embedded = cluster_.cols + position_.cols;
  const Matrix<float> d_features = pass.memory.matrix(inputs.touches, embedded);
  const Matrix<const float> w = from_features_.w.matrix(pass.weights);
  pass.ops.linear_backward(pass.queue, {.x = activations.features.columns(0, embedded),
                                        .w = {w.data, embedded, w.cols, w.stride},
                                        .y = {},
                                        .d_y = d_hidden,
                                        .d_x = d_features,
                                        .d_w = {},
                                        .d_bias = {}});
  pass.ops.scatter_rows(pass.queue, {.d_out = d_features.columns(0, cluster_.cols),
                                     .rows = inputs.cluster,
                                     .gradient = cluster_.matrix(pass.gradient)});
  pass.ops.scatter_rows(pass.queue, {.d_out = d_features.columns(cluster_.cols, position_.cols),
                                     .rows = inputs.position,
                                     .gradient = position_.matrix(pass.gradient)});
}

void TouchEncoder::backward(const Pass& pass, const ModelInputs& inputs,
                            const Activations& activations, MixedMatrix<float> d_out) const {
  const MixedMatrix<float> d_hidden = pass.memory.activations(d_out.rows, out_.w.rows);
  out_.backward(pass, activations.hidden, {}, d_out, d_hidden, {.mask_dx = true});
  features_backward(pass, inputs, activations, d_hidden);
}

Matrix<float> TouchEncoder::backward_both(const Pass& pass, const ModelInputs& inputs,
                                          const Both& both, MixedMatrix<float> d_known,
                                          MixedMatrix<float> d_plain) const {
  const MixedMatrix<float> d_hidden = pass.memory.activations(d_known.rows, out_.w.rows);
  out_.backward(pass, both.known.hidden, {}, d_known, d_hidden, {.mask_dx = true});
  const Matrix<float> d_item = pass.memory.matrix(inputs.touches, from_item_.w.rows);
  from_item_.backward(pass, both.known.item, {}, d_hidden, d_item, {});
  // The features' layer is the same for both: their gradients are added, each past its own ReLU.
  out_.backward(pass, both.plain.hidden, {}, d_plain, d_hidden,
                {.accumulate_dx = true, .mask_dx = true});
  features_backward(pass, inputs, both.known, d_hidden);
  return d_item;
}

TouchOrder::TouchOrder(ParameterLayout& layout, const ModelOptions& options)
    : heads_(options.heads) {
  const int64_t width = options.touch_width;
  if (width % options.heads != 0) {
    throw UserError(format("--touch-width %lld is not a multiple of --heads %lld",
                           static_cast<long long>(width), static_cast<long long>(heads_)));
  }
  const Start start = Start::normal(1 / std::sqrt(static_cast<double>(width)));
  qkv_ = Linear::add(layout, "order/qkv", width, 3 * width, start);
  start_ = layout.add("order/start", 2, width, Start::zero(), false);
  out_ = Linear::add(layout, "order/out", width, width, start);
}

MixedMatrix<float> TouchOrder::qkv(const Pass& pass, MixedMatrix<const float> encoded) const {
  const MixedMatrix<float> qkv = pass.memory.activations(encoded.rows, 3 * encoded.cols);
  qkv_.forward(pass, encoded, qkv, false);
  return qkv;
}

TouchOrder::Activations TouchOrder::mix(const Pass& pass, Csr touches,
                                        MixedMatrix<float> qkv) const {
  Activations activations;
  activations.qkv = qkv;
  activations.mixed = pass.memory.activations(qkv.rows, start_.cols);
  activations.log_sum = pass.memory.matrix(qkv.rows, heads_);
  pass.ops.attention_forward(pass.queue, {.touches = touches,
                                          .heads = heads_,
                                          .qkv = qkv,
                                          .start = start_.matrix(pass.weights),
                                          .out = activations.mixed,
                                          .log_sum = activations.log_sum});
  return activations;
}

TouchOrder::Joined TouchOrder::joined_with(const Pass& pass, const Linear& next) const {
  const Matrix<const float> bias = out_.b.matrix(pass.weights);
  const Joined joined{pass.memory.matrix(out_.w.rows, next.w.cols),
                      pass.memory.matrix(1, next.w.cols)};
  pass.ops.linear_forward(pass.queue, {.x = out_.w.matrix(pass.weights),
                                       .w = next.w.matrix(pass.weights),
                                       .bias = {},
                                       .y = joined.w});
  next.forward(pass, bias, joined.bias, false);
  return joined;
}

TouchOrder::Activations TouchOrder::forward(const Pass& pass, Csr touches,
                                            MixedMatrix<const float> encoded) const {
  Activations activations = mix(pass, touches, qkv(pass, encoded));
  activations.out = pass.memory.activations(encoded.rows, encoded.cols);
  out_.forward(pass, activations.mixed, activations.out, false, encoded);
  return activations;
}

void TouchOrder::backward(const Pass& pass, Csr touches, MixedMatrix<const float> encoded,
                          const Activations& activations, MixedMatrix<float> gradient) const {
  const MixedMatrix<float> d_mixed = pass.memory.activations(encoded.rows, encoded.cols);
  out_.backward(pass, activations.mixed, {}, gradient, d_mixed, {});
  const MixedMatrix<float> d_qkv = pass.memory.activations(encoded.rows, 3 * encoded.cols);
  pass.ops.attention_backward(pass.queue, {.touches = touches,
                                           .heads = heads_,
                                           .qkv = activations.qkv,
                                           .start = start_.matrix(pass.weights),
                                           .out = activations.mixed,
                                           .log_sum = activations.log_sum,
                                           .d_out = d_mixed,
                                           .d_qkv = d_qkv,
                                           .d_start = start_.matrix(pass.gradient)});
  // Beside what came through the attention, the residual's gradient is there already.
  qkv_.backward(pass, encoded, {}, d_qkv, gradient, {.accumulate_dx = true});
}

}  // namespace alm
