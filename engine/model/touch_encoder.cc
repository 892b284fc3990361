#include "engine/model/touch_encoder.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/check.h"

namespace alm {
namespace {

void copy_columns(Matrix<const float> from, Matrix<float> to) {
  for (int64_t row = 0; row < from.rows; ++row) {
    std::copy(from.row(row), from.row(row) + from.cols, to.row(row));
  }
}

}  // namespace

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

TouchEncoder::Activations TouchEncoder::forward(const Pass& pass, const Inputs& inputs,
                                                const RowTable* items) const {
  Activations activations;
  const int64_t touches = inputs.touches;
  activations.features = pass.memory.matrix(touches, from_features_.w.rows);
  activations.hidden = pass.memory.matrix(touches, out_.w.rows);
  activations.out = pass.memory.matrix(touches, out_.w.cols);
  int64_t column = 0;
  const auto next_columns = [&](int64_t count) {
    const Matrix<float> slice = activations.features.columns(column, count);
    column += count;
    return slice;
  };
  pass.ops.gather_rows(pass.queue, {.table = cluster_.matrix(pass.weights),
                                    .rows = inputs.cluster,
                                    .out = next_columns(cluster_.cols)});
  pass.ops.gather_rows(pass.queue, {.table = position_.matrix(pass.weights),
                                    .rows = inputs.position,
                                    .out = next_columns(position_.cols)});
  copy_columns({inputs.touch_scalars.data(), touches, Inputs::kTouchScalars},
               next_columns(Inputs::kTouchScalars));
  if (stats_.touch_dense.width() > 0) {
    pass.ops.dense_features(pass.queue, {.x = inputs.touch_dense,
                                         .mean = stats_.touch_dense.mean,
                                         .inverse_sd = stats_.touch_dense.inverse_sd,
                                         .missing_slot = stats_.touch_dense.missing_slot,
                                         .out = next_columns(stats_.touch_dense.width())});
  }
  if (items == nullptr) {
    from_features_.forward(pass, activations.features, activations.hidden, true);
  } else {
    activations.item = pass.memory.matrix(touches, items->width);
    pass.ops.gather_rows(
        pass.queue, {.table = items->view(), .rows = inputs.item_rows, .out = activations.item});
    from_features_.forward(pass, activations.features, activations.hidden, false);
    from_item_.forward(pass, activations.item, activations.hidden, true, true);
  }
  out_.forward(pass, activations.hidden, activations.out, true);
  return activations;
}

void TouchEncoder::backward(const Pass& pass, const Inputs& inputs, const Activations& activations,
                            Matrix<float> d_out, RowUses* item_uses) const {
  const int64_t touches = inputs.touches;
  const Matrix<float> d_hidden = pass.memory.matrix(touches, out_.w.rows);
  out_.backward(pass, activations.hidden, activations.out, d_out, d_hidden, true);
  const Matrix<float> d_features = pass.memory.matrix(touches, from_features_.w.rows);
  from_features_.backward(pass, activations.features, activations.hidden, d_hidden, d_features,
                          true);
  pass.ops.scatter_rows(pass.queue, {.d_out = d_features.columns(0, cluster_.cols),
                                     .rows = inputs.cluster,
                                     .gradient = cluster_.matrix(pass.gradient)});
  pass.ops.scatter_rows(pass.queue, {.d_out = d_features.columns(cluster_.cols, position_.cols),
                                     .rows = inputs.position,
                                     .gradient = position_.matrix(pass.gradient)});
  if (item_uses == nullptr) return;
  const Matrix<float> d_item = pass.memory.matrix(touches, from_item_.w.rows);
  from_item_.backward(pass, activations.item, {}, d_hidden, d_item, false);
  item_uses->append(inputs.item_rows, d_item);
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

TouchOrder::Activations TouchOrder::forward(const Pass& pass, Csr touches,
                                            Matrix<const float> encoded) const {
  Activations activations;
  activations.qkv = pass.memory.matrix(encoded.rows, 3 * encoded.cols);
  activations.mixed = pass.memory.matrix(encoded.rows, encoded.cols);
  activations.log_sum = pass.memory.matrix(encoded.rows, heads_);
  activations.out = pass.memory.matrix(encoded.rows, encoded.cols);
  qkv_.forward(pass, encoded, activations.qkv, false);
  pass.ops.attention_forward(pass.queue, {.touches = touches,
                                          .heads = heads_,
                                          .qkv = activations.qkv,
                                          .start = start_.matrix(pass.weights),
                                          .out = activations.mixed,
                                          .log_sum = activations.log_sum});
  copy_columns(encoded, activations.out);
  out_.forward(pass, activations.mixed, activations.out, false, true);
  return activations;
}

void TouchOrder::backward(const Pass& pass, Csr touches, Matrix<const float> encoded,
                          const Activations& activations, Matrix<float> d_out,
                          Matrix<float> d_encoded) const {
  const Matrix<float> d_mixed = pass.memory.matrix(encoded.rows, encoded.cols);
  out_.backward(pass, activations.mixed, {}, d_out, d_mixed, false);
  const Matrix<float> d_qkv = pass.memory.matrix(encoded.rows, 3 * encoded.cols);
  pass.ops.attention_backward(pass.queue, {.touches = touches,
                                           .heads = heads_,
                                           .qkv = activations.qkv,
                                           .start = start_.matrix(pass.weights),
                                           .out = activations.mixed,
                                           .log_sum = activations.log_sum,
                                           .d_out = d_mixed,
                                           .d_qkv = d_qkv,
                                           .d_start = start_.matrix(pass.gradient)});
  qkv_.backward(pass, encoded, {}, d_qkv, d_encoded, false, true);
  pass.ops.accumulate(pass.queue, {.x = flat(d_out), .y = flat(d_encoded)});
}

}  // namespace alm
