#include "engine/train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace alm {
namespace {

// Weights that one thread updates at a time. A weight's update looks at nothing but its own
// numbers, so pieces change no bit.
constexpr int64_t kPiece = 16384;
// Rows likewise: they are distinct.
constexpr int64_t kRows = 1024;

}  // namespace

StepSettings step_settings(int64_t step, const OptimizerSettings& settings, double clip_norm) {
  ALM_CHECK(step >= 1);
  const auto unbias = [&](float beta) {
    return static_cast<float>(1 / (1 - std::pow(double{beta}, static_cast<double>(step))));
  };
  return {.learning_rate = static_cast<float>(settings.learning_rate),
          .row_learning_rate = static_cast<float>(settings.row_learning_rate),
          .weight_decay = static_cast<float>(settings.weight_decay),
          .unbias1 = unbias(AdamW{}.beta1),
          .unbias2 = unbias(AdamW{}.beta2),
          .clip_norm = static_cast<float>(clip_norm)};
}

Optimizer::Optimizer(const Model& model)
    : first_moment(static_cast<size_t>(model.layout().size())),
      second_moment(static_cast<size_t>(model.layout().size())),
      decay_mask_(model.layout().decay_mask()) {}

void Optimizer::update_dense(Compute& compute, ModelWeights& weights, DenseGradientSum& sum,
                             double scale, int64_t first, int64_t last, int64_t step,
                             const OptimizerSettings& settings) {
  if (first == last) return;
  const std::span<const float> gradient =
      sum.sum().subspan(static_cast<size_t>(first - sum.first()));
  const float gradient_scale = static_cast<float>(scale);
  const StepSettings of_step = step_settings(step, settings, 0);
  const auto body = [&](int64_t piece, int64_t thread) {
    const size_t from = static_cast<size_t>(first + piece * kPiece);
    const size_t count = static_cast<size_t>(std::min(kPiece, last - first - piece * kPiece));
    compute.ops().adamw(*compute.thread(thread).queue,
                        {.weights = std::span(weights.dense).subspan(from, count),
                         .gradient = gradient.subspan(static_cast<size_t>(piece * kPiece), count),
                         .first_moment = std::span(first_moment).subspan(from, count),
                         .second_moment = std::span(second_moment).subspan(from, count),
                         .decay_mask = std::span<const float>(decay_mask_).subspan(from, count),
                         .gradient_scale = &gradient_scale,
                         .settings = &of_step});
  };
  compute.pool().parallel_for((last - first + kPiece - 1) / kPiece, std::cref(body));
}

void Optimizer::update_rows(Compute& compute, RowTable& table, const RowGradientSum& sum,
                            double scale, const OptimizerSettings& settings) {
  const std::span<const int64_t> rows = sum.rows();
  const int64_t count = std::ssize(rows);
  const float gradient_scale = static_cast<float>(scale);
  const StepSettings of_step{.row_learning_rate = static_cast<float>(settings.row_learning_rate)};
  const auto body = [&](int64_t piece, int64_t thread) {
    const int64_t first = piece * kRows;
    const int64_t mine = std::min(kRows, count - first);
    compute.ops().adagrad_rows(
        *compute.thread(thread).queue,
        {.table = table.view(),
         .state = table.state,
         .rows = rows.subspan(static_cast<size_t>(first), static_cast<size_t>(mine)),
         .gradient = {sum.gradient().row(first), mine, table.width},
         .gradient_scale = &gradient_scale,
         .settings = &of_step});
  };
  compute.pool().parallel_for((count + kRows - 1) / kRows, std::cref(body));
}

void Optimizer::reset_moments() {
  std::fill(first_moment.begin(), first_moment.end(), 0.0f);
  std::fill(second_moment.begin(), second_moment.end(), 0.0f);
}

}  // namespace alm
