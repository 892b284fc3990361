#include "engine/model/context_encoder.h"

namespace alm {

ContextEncoder::ContextEncoder(ParameterLayout& layout, const FeatureStats& stats,
                               const ModelOptions& options)
    : stats_(stats), cat_width_(options.cat_width) {
  const int64_t dense_width = stats.dense.width();
  const int64_t cats_width = stats.schema.cat * options.cat_width;
  const Start start = Start::relu_layer(dense_width + cats_width);
  from_dense_ = Linear::add(layout, "context/dense", dense_width, options.context_hidden, start);
  if (cats_width > 0) {
    from_cat_ =
        Linear::add_without_bias(layout, "context/cat", cats_width, options.context_hidden, start);
  }
  out_ = Linear::add(layout, "context/out", options.context_hidden, options.context_width,
                     Start::relu_layer(options.context_hidden));
}

ContextEncoder::Activations ContextEncoder::forward(const Pass& pass, const ModelInputs& inputs,
                                                    Matrix<const float> cats) const {
  Activations activations;
  activations.dense = pass.memory.matrix(inputs.journeys, stats_.dense.width());
  activations.hidden = pass.memory.matrix(inputs.journeys, out_.w.rows);
  activations.out = pass.memory.matrix(inputs.journeys, out_.w.cols);
  pass.ops.dense_features(pass.queue, {.x = inputs.dense,
                                       .mean = inputs.dense_scales.mean,
                                       .inverse_sd = inputs.dense_scales.inverse_sd,
                                       .missing_slot = inputs.dense_scales.missing_slot,
                                       .out = activations.dense});
  if (cats.rows == 0) {
    from_dense_.forward(pass, activations.dense, activations.hidden, true);
  } else {
    const int64_t ids = stats_.schema.cat;
    activations.cat = pass.memory.matrix(inputs.journeys, ids * cat_width_);
    pass.ops.gather_rows(pass.queue,
                         {.table = cats,
                          .rows = inputs.cat_rows,
                          .out = {activations.cat.data, inputs.journeys * ids, cat_width_}});
    from_dense_.forward(pass, activations.dense, activations.hidden, false);
    from_cat_.forward(pass, activations.cat, activations.hidden, true, activations.hidden);
  }
  out_.forward(pass, activations.hidden, activations.out, true);
  return activations;
}

Matrix<float> ContextEncoder::backward(const Pass& pass, const ModelInputs& inputs,
                                       const Activations& activations, Matrix<float> d_out) const {
  const Matrix<float> d_hidden = pass.memory.matrix(inputs.journeys, out_.w.rows);
  out_.backward(pass, activations.hidden, activations.out, d_out, d_hidden,
                {.relu = true, .mask_dx = true});
  from_dense_.backward(pass, activations.dense, {}, d_hidden, {}, {});
  if (activations.cat.empty()) return {};
  const int64_t ids = stats_.schema.cat;
  const Matrix<float> d_cat = pass.memory.matrix(inputs.journeys, ids * cat_width_);
  from_cat_.backward(pass, activations.cat, {}, d_hidden, d_cat, {});
  return {d_cat.data, inputs.journeys * ids, cat_width_};
}

}  // namespace alm
