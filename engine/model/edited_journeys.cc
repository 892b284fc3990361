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

Matrix<float> AlmMta::edited_logit(const Pass& pass, const EditedJourneys& edited,
                                   Matrix<const float> context) const {
  const TouchOrder::Activations order =
      order_.mix(pass, edited.edits, rows_of(pass, edited.qkv, edited.row));
  const Matrix<float> out = rows_of(pass, edited.encoded, edited.asked_row);
  order_.add_mixed(pass, out, rows_of(pass, order.mixed.floats(), edited.asked), out);
  return mediator_->forward(pass, edited.journeys, edited.cluster, out, context).logit;
}

}  // namespace alm
