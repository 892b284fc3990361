// The sizes of the reference model at which every op is timed.
#include "kernels/cases/families.h"

namespace alm {

using namespace op_cases;

std::vector<OpCase> performance_cases() {
  const Shape block = random_shape("block", 256, 1, 9);
  const int64_t t = block.touches();
  std::vector<OpCase> cases = {dense_features(256, 16, 0), gather_rows(65537, t, 32, 0),
                               scatter_rows(1000, t, 32, 0)};
  const int64_t layers[][3] = {
      {256, 144, 128}, {256, 128, 64}, {t, 64, 64}, {t, 64, 192}, {t, 64, 1}};
  for (const auto& [r, a, b] : layers) {
    const Sides sides{r == t, r == t && b > 1};
    cases.push_back(linear_forward(r, a, b, {.bias = true, .relu = b > 1}, sides, 0));
    cases.push_back(linear_backward(r, a, b, {.relu = b > 1}, sides, 0));
  }
  for (const bool backward : {false, true}) {
    cases.push_back(join_context(block, 64, backward, 0));
    cases.push_back(attention(block, 4, 16, backward, 0));
    cases.push_back(pool(block, 64, 0.3, backward, 0));
    cases.push_back(weighted_sum(block, 64, backward, 0));
    cases.push_back(bilinear(block, 1000, 64, backward, 0));
    cases.push_back(touch_head(block, 1000, {64, 64, 64}, backward, {.accumulate_dx = false}, 0));
  }
  for (const char* op : {"separable_loss", "additive_loss"}) {
    cases.push_back(journey_loss(op, block, 1, true));
  }
  for (const char* op : {"bce_loss", "squared_loss", "sigmoid_squared_loss"}) {
    cases.push_back(supervised(op, t, 1, true));
  }
  cases.push_back(softmax_loss(256, 1000, 1, true, 0));
  cases.push_back(infonce({"block", {256}, {t}}, 32, {}, 0));
  const int64_t arena = 200003;
  cases.push_back(gradient_scale("step", 3, 1));
  cases.push_back(adamw(arena, 100));
  cases.push_back(adagrad_rows(65537, t, 32, 0));
  cases.push_back(max_abs(arena));
  cases.push_back(quantise(arena, 30));
  cases.push_back(dequantise(arena, 40));
  cases.push_back(sigmoid(t, 1));
  for (const bool backward : {false, true}) {
    cases.push_back(expected_mediator(t, Missing::all, backward));
  }
  cases.push_back(accumulate(arena));
  cases.push_back(sum_squares(arena));
  return cases;
}

}  // namespace alm
