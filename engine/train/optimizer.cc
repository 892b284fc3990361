#include "engine/train/optimizer.h"

#include <algorithm>
#include <functional>

namespace alm {
namespace {

// Weights that one thread updates at a time. A weight's update looks at nothing but its own
// numbers, so pieces change no bit.
constexpr int64_t kPiece = 16384;

}  // namespace

Optimizer::Optimizer(const Model& model)
    : first_moment(static_cast<size_t>(model.layout().size())),
      second_moment(static_cast<size_t>(model.layout().size())),
      decay_mask_(model.layout().decay_mask()) {}

void Optimizer::update_dense(Compute& compute, ModelWeights& weights,
                             std::span<const float> gradient, double scale, int64_t first,
                             int64_t last, int64_t step, const OptimizerSettings& settings) {
  const auto body = [&](int64_t piece, int64_t thread) {
    const size_t from = static_cast<size_t>(first + piece * kPiece);
    const size_t count = static_cast<size_t>(std::min(kPiece, last - first - piece * kPiece));
    compute.ops().adamw(*compute.thread(thread).queue,
                        {.weights = std::span(weights.dense).subspan(from, count),
                         .gradient = gradient.subspan(from, count),
                         .first_moment = std::span(first_moment).subspan(from, count),
                         .second_moment = std::span(second_moment).subspan(from, count),
                         .decay_mask = std::span<const float>(decay_mask_).subspan(from, count),
                         .gradient_scale = static_cast<float>(scale),
                         .learning_rate = static_cast<float>(settings.learning_rate),
                         .weight_decay = static_cast<float>(settings.weight_decay),
                         .step = step});
  };
  compute.pool().parallel_for((last - first + kPiece - 1) / kPiece, std::cref(body));
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
