// Laws of mediators in edited journeys: attention over whole edits, the rest for the touches asked
// for alone.
#include "engine/model/alm_mta.h"

namespace alm {
namespace {

Matrix<float> rows_of(const Pass& pass, Matrix<const float> table, std::span<const int64_t> rows) {
  const Matrix<float> out = pass.memory.matrix(std::ssize(rows), table.cols);
  pass.ops.gather_rows(pass.queue, {.table = table, .rows = rows, .out = out});
  return out;
}

}  // namespace

AlmMta::TouchRows AlmMta::touch_rows(const Pass& pass, const ModelInputs& inputs,
                                     const WeightsView& weights) const {
  const Matrix<float> encoded = touch_.forward(pass, inputs, weights.items).out.floats();
  return {encoded, order_.qkv(pass, encoded).floats()};
}

EditedHead AlmMta::edited_head(const Pass& pass) const {
  const auto [w, bias] = order_.joined_with(pass, mediator_->touch);
  return {{w.data, w.data + w.rows * w.cols}, {bias.data, bias.data + bias.cols}};
}

Matrix<float> AlmMta::edited_logit(const Pass& pass, const EditedHead& head,
                                   const EditedJourneys& edited,
                                   Matrix<const float> context) const {
  const TouchOrder::Activations order =
      order_.mix(pass, edited.edits, rows_of(pass, edited.qkv, edited.row));
  const Matrix<const float> w_touch = mediator_->touch.w.matrix(pass.weights);
  const Matrix<float> of_encoded = pass.memory.matrix(edited.encoded.rows, w_touch.cols);
  pass.ops.linear_forward(pass.queue,
                          {.x = edited.encoded, .w = w_touch, .bias = {}, .y = of_encoded});
  const Matrix<float> hidden = rows_of(pass, of_encoded, edited.asked_row);
  pass.ops.linear_forward(pass.queue, {.x = rows_of(pass, order.mixed.floats(), edited.asked),
                                       .w = {head.w.data(), w_touch.rows, w_touch.cols},
                                       .bias = head.bias,
                                       .addend = hidden,
                                       .y = hidden});
  const Matrix<float> of_context = pass.memory.matrix(context.rows, w_touch.cols);
  mediator_->context.forward(pass, context, of_context, false);
  return mediator_->logit(pass, edited.journeys, edited.cluster, context, of_context, hidden);
}

}  // namespace alm
