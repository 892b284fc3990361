// The sizes at which every op is held to its reference.
#include "kernels/cases/families.h"

namespace alm {

using namespace op_cases;

std::vector<OpCase> correctness_cases() {
  std::vector<OpCase> cases;
  for (const int64_t padding : {0, 5}) {
    for (const int64_t rows : {0, 1, 13}) {
      for (const int64_t features : {1, 7, 16}) {
        cases.push_back(dense_features(rows, features, padding));
      }
    }
    for (const int64_t count : {0, 1, 29}) {
      for (const int64_t width : {1, 16, 37}) {
        cases.push_back(gather_rows(11, count, width, padding));
        cases.push_back(scatter_rows(11, count, width, padding));
        cases.push_back(adagrad_rows(31, count, width, padding));
      }
    }
    // Many entries of few rows, and rows whose numbers take three bytes.
    cases.push_back(scatter_rows(3, 301, 2, padding));
    cases.push_back(scatter_rows(3, 301, 17, padding));
    cases.push_back(scatter_rows(70001, 2100, 3, padding));
    const int64_t sizes[][3] = {{0, 5, 3},   {1, 1, 1},    {3, 0, 4},     {13, 7, 1},
                                {5, 17, 11}, {64, 64, 64}, {131, 19, 67}, {0, 5, 16},
                                {3, 0, 16},  {8, 65, 16},  {37, 19, 80},  {101, 23, 144}};
    int64_t number = padding > 0 ? 3 : 2;
    for (const auto& [r, a, b] : sizes) {
      // Each of the four in turn, and 64 x 64 x 64 without gaps between its rows as it is of most
      // use.
      const Sides sides{number % 2 == 1, number % 4 > 1};
      ++number;
      for (const ForwardWays& ways :
           {ForwardWays{},
            {.relu = true},
            {.relu = true, .accumulate = true},
            {.bias = true, .relu = true},
            {.bias = true, .accumulate = true},
            {.bias = true, .relu = true, .accumulate = true},
            {.bias = true, .addend = true},
            {.bias = true, .relu = true, .addend = true, .before_relu = true}}) {
        cases.push_back(linear_forward(r, a, b, ways, sides, padding));
      }
      for (const BackwardWays& ways : {BackwardWays{.relu = true},
                                       {.accumulate_dx = true},
                                       {.relu = true, .accumulate_dx = true, .alpha = -0.7},
                                       {.mask_dx = true, .alpha = -0.7},
                                       {.accumulate_dx = true, .mask_dx = true, .w = false},
                                       {.x = false},
                                       {.relu = true, .w = false},
                                       {.relu = true, .bias = false},
                                       {.relu = true, .x = false, .w = false, .bias = false}}) {
        cases.push_back(linear_backward(r, a, b, ways, sides, padding));
      }
    }
    // Rows that the gradient of the weights is cut along.
    cases.push_back(linear_backward(521, 5, 7, {.relu = true}, {.x = true, .y = true}, padding));
    cases.push_back(linear_backward(521, 5, 7, {}, {.y = true}, padding));
    for (const Shape& shape : odd_shapes()) {
      for (const bool backward : {false, true}) {
        for (const int64_t width : {1, 7, 64}) {
          cases.push_back(join_context(shape, width, backward, padding));
          cases.push_back(pool(shape, width, 0.3, backward, padding));
          cases.push_back(weighted_sum(shape, width, backward, padding));
          cases.push_back(bilinear(shape, 5, width, backward, padding));
        }
        cases.push_back(pool(shape, 16, 4, backward, padding));
        if (backward) cases.push_back(pool(shape, 17, 0.3, backward, padding, true));
        const int64_t heads_and_sizes[][2] = {{1, 1}, {2, 3}, {3, 8}, {4, 16}, {1, 37}};
        for (const auto& [heads, d] : heads_and_sizes) {
          cases.push_back(attention(shape, heads, d, backward, padding));
        }
      }
    }
    for (const bool backward : {false, true}) {
      for (const Shape& shape : odd_shapes()) {
        cases.push_back(touch_head(shape, 5, {7, 13, 5}, backward, {}, padding));
      }
      const bool beside = padding == 0;  // those gradients have no gaps
      const Shape ragged = odd_shapes()[3];
      const Shape primes = odd_shapes()[5];
      const HeadWays past_relu{.accumulate_dx = false, .mask_dx = true};
      cases.push_back(touch_head(ragged, 1, {1, 1, 1}, backward, {beside}, padding));
      cases.push_back(touch_head(ragged, 3, {20, 32, 17}, backward,
                                 {.beside = beside, .fp32_x = true}, padding));
      cases.push_back(touch_head(primes, 5, {33, 48, 64}, backward, {beside}, padding));
      cases.push_back(touch_head(primes, 5, {64, 64, 64}, backward, past_relu, padding));
      cases.push_back(touch_head(ragged, 5, {65, 9, 17}, backward,
                                 {.beside = beside, .mask_dx = true}, padding));
    }
    for (const int64_t rows : {0, 1, 17}) {
      for (const int64_t classes : {1, 2, 37}) {
        for (const double size : {1, 8}) {
          cases.push_back(softmax_loss(rows, classes, size, true, padding));
        }
      }
    }
  }
  cases.push_back(softmax_loss(17, 5, 1, false, 0));
  const std::vector<ContrastGroups> contrasts = {{"no_groups", {}, {}},
                                                 {"one_pair", {1}, {1}},
                                                 {"ragged", {3, 0, 1, 0, 5}, {4, 6, 2, 0, 17}},
                                                 {"tiles", {131, 64}, {37, 101}},
                                                 {"idle_columns", {0, 40, 0}, {40, 30, 33}}};
  for (const ContrastGroups& groups : contrasts) {
    for (const int64_t width : {1, 7, 32}) {
      for (const int64_t padding : {0, 5}) {
        // A number alone has no direction to learn.
        if (width > 1) cases.push_back(infonce(groups, width, {}, padding));
        cases.push_back(infonce(groups, width, {.normalise = false}, padding));
      }
    }
    cases.push_back(infonce(groups, 16, {.frequency = false, .masks = false}, 0));
    cases.push_back(infonce(groups, 16, {.gradients = false}, 0));
  }
  for (const Shape& shape : odd_shapes()) {
    for (const char* op : {"separable_loss", "additive_loss"}) {
      for (const double size : {1, 8}) cases.push_back(journey_loss(op, shape, size, true));
      cases.push_back(journey_loss(op, shape, 1, false));
    }
  }
  for (const char* op : {"bce_loss", "squared_loss", "sigmoid_squared_loss"}) {
    for (const int64_t rows : {0, 1, 2, 83}) {
      for (const double size : {1, 8}) cases.push_back(supervised(op, rows, size, true));
    }
    cases.push_back(supervised(op, 31, 1, false));
  }
  for (const int64_t size : {0, 1, 7, 16, 1009}) {
    cases.push_back(adamw(size, 1));
    cases.push_back(adamw(size, 1000));
    cases.push_back(max_abs(size));
    cases.push_back(quantise(size, 40));
    cases.push_back(quantise(size, 10));
    cases.push_back(dequantise(size, 40));
    cases.push_back(dequantise(size, 170));
    cases.push_back(sigmoid(size, 1));
    cases.push_back(sigmoid(size, -1));
    cases.push_back(accumulate(size));
    cases.push_back(sum_squares(size));
  }
  for (const bool backward : {false, true}) {
    for (const int64_t size : {0, 1, 7, 16, 1009}) {
      cases.push_back(expected_mediator(size, Missing::some, backward));
    }
    cases.push_back(expected_mediator(1, Missing::none, backward));
    cases.push_back(expected_mediator(257, Missing::none, backward));
    cases.push_back(expected_mediator(257, Missing::all, backward));
  }
  cases.push_back(skipped(adamw(37, 1)));
  cases.push_back(skipped(adagrad_rows(31, 5, 7, 0)));
  cases.push_back(gradient_scale("no_part", 0, 1));
  cases.push_back(gradient_scale("any_norm", 3, 0));
  cases.push_back(gradient_scale("within", 3, 100));
  cases.push_back(gradient_scale("clipped", 3, 0.01));
  return cases;
}

}  // namespace alm
