// The ops of a training step of the reference model.
#include "kernels/cases/families.h"

namespace alm {

using namespace op_cases;

std::vector<OpCase> step_cases(int64_t journeys) {
  const int64_t n = journeys;
  const Shape shape = random_shape("step", n, 1, 9);
  const int64_t t = shape.touches();
  constexpr int64_t kClusters = 1000, kPositions = 16, kTableRows = 65537, kIds = 8;
  constexpr int64_t kArena = 253000;  // dense parameters
  const auto forward = [](int64_t r, int64_t a, int64_t b, ForwardWays ways, Sides sides = {}) {
    return linear_forward(r, a, b, ways, sides, 0);
  };
  const auto backward = [](int64_t r, int64_t a, int64_t b, BackwardWays ways, Sides sides = {}) {
    return linear_backward(r, a, b, ways, sides, 0);
  };
  // Of touches: what the encoders read and the gradients of rows are fp32.
  const Sides touches{.x = true, .y = true};
  const Sides from_inputs{.y = true};
  const HeadWidths head{64, 64, 64};
  return {
      // Context.
      dense_features(n, 16, 0),
      gather_rows(kTableRows, kIds * n, 16, 0),
      forward(n, 24, 128, {.bias = true}),
      forward(n, 128, 128, {.relu = true, .accumulate = true}),
      forward(n, 128, 64, {.bias = true, .relu = true}),
      // Touches, with their items and without.
      dense_features(t, 4, 0),
      gather_rows(kClusters, t, 32, 0),
      gather_rows(kPositions, t, 8, 0),
      gather_rows(kTableRows, t, 32, 0),
      forward(t, 48, 64, {.bias = true, .relu = true, .before_relu = true}, from_inputs),
      forward(t, 32, 64, {.relu = true, .accumulate = true}, from_inputs),
      forward(t, 64, 64, {.bias = true, .relu = true}, touches),
      forward(t, 64, 64, {.bias = true, .relu = true}, touches),
      // Their order.
      forward(t, 64, 192, {.bias = true}, touches),
      attention(shape, 4, 16, false, 0),
      forward(t, 64, 64, {.bias = true, .addend = true}, touches),
      // Mediator, potency, confounding term, second stage, loss.
      touch_head(shape, kClusters, head, false, {}, 0),
      touch_head(shape, kClusters, head, false, {}, 0),
      pool(shape, 64, 0.3, false, 0),
      forward(n, 65, 128, {.bias = true}),
      forward(n, 64, 128, {.relu = true, .accumulate = true}),
      forward(n, 128, 1, {.bias = true}),
      forward(n, 64, 64, {.bias = true, .relu = true}),
      forward(n, 64, 1, {.bias = true}),
      journey_loss("separable_loss", shape, 1, true),
      // And back.
      backward(n, 64, 1, {.mask_dx = true}),
      backward(n, 64, 64, {.accumulate_dx = true}),
      backward(n, 128, 1, {.mask_dx = true}),
      backward(n, 64, 128, {.accumulate_dx = true, .bias = false}),
      backward(n, 65, 128, {}),
      touch_head(shape, kClusters, head, true, {.accumulate_dx = false}, 0),
      backward(t, 64, 64, {}, touches),
      attention(shape, 4, 16, true, 0),
      backward(t, 64, 192, {.accumulate_dx = true}, touches),
      touch_head(shape, kClusters, head, true, {.accumulate_dx = false, .mask_dx = true}, 0),
      pool(shape, 64, 0.3, true, 0, true),
      backward(t, 64, 64, {.mask_dx = true}, touches),
      backward(t, 32, 64, {.bias = false}, from_inputs),
      backward(t, 64, 64, {.accumulate_dx = true, .mask_dx = true}, touches),
      backward(t, 48, 64, {.x = false}, from_inputs),
      backward(t, 40, 64, {.w = false, .bias = false}, from_inputs),
      scatter_rows(kClusters, t, 32, 0),
      scatter_rows(kPositions, t, 8, 0),
      backward(n, 128, 64, {.relu = true, .mask_dx = true}),
      backward(n, 24, 128, {.x = false}),
      backward(n, 128, 128, {.bias = false}),
      // Rows of the tables, and the update.
      scatter_rows(kTableRows, t, 32, 0),
      scatter_rows(kTableRows, kIds * n, 16, 0),
      sum_squares(kArena),
      sum_squares(32 * t),
      sum_squares(16 * kIds * n),
      gradient_scale("step", 3, 1),
      adamw(kArena, 100),
      adagrad_rows(kTableRows, t, 32, 0),
      adagrad_rows(kTableRows, kIds * n, 16, 0),
  };
}

}  // namespace alm
