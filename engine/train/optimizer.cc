#include "engine/train/optimizer.h"

#include <algorithm>

namespace alm {

Optimizer::Optimizer(const Model& model)
    : first_moment(static_cast<size_t>(model.layout().size())),
      second_moment(static_cast<size_t>(model.layout().size())),
      decay_mask_(model.layout().decay_mask()) {}

void Optimizer::update_dense(Queue& queue, const Ops& ops, ModelWeights& weights,
                             std::span<const float> gradient, double scale, int64_t first,
                             int64_t last, int64_t step, const OptimizerSettings& settings) {
  const size_t from = static_cast<size_t>(first);
  const size_t count = static_cast<size_t>(last - first);
  ops.adamw(queue, {.weights = std::span(weights.dense).subspan(from, count),
                    .gradient = gradient.subspan(from, count),
                    .first_moment = std::span(first_moment).subspan(from, count),
                    .second_moment = std::span(second_moment).subspan(from, count),
                    .decay_mask = std::span<const float>(decay_mask_).subspan(from, count),
                    .gradient_scale = static_cast<float>(scale),
                    .learning_rate = static_cast<float>(settings.learning_rate),
                    .weight_decay = static_cast<float>(settings.weight_decay),
                    .step = step});
}

void Optimizer::update_rows(Queue& queue, const Ops& ops, RowTable& table,
                            const RowGradientSum& sum, double scale,
                            const OptimizerSettings& settings) {
  ops.adagrad_rows(queue, {.table = table.view(),
                           .state = table.state,
                           .rows = sum.rows(),
                           .gradient = sum.gradient(),
                           .gradient_scale = static_cast<float>(scale),
                           .learning_rate = static_cast<float>(settings.row_learning_rate)});
}

void Optimizer::reset_moments() {
  std::fill(first_moment.begin(), first_moment.end(), 0.0f);
  std::fill(second_moment.begin(), second_moment.end(), 0.0f);
}

}  // namespace alm
