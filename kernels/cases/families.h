// The makers of cases, one or two an op, by the file of this folder that has them.
#pragma once

#include "kernels/cases/builder.h"

namespace alm::op_cases {

// --- dense.cc

OpCase dense_features(int64_t rows, int64_t features, int64_t padding);
OpCase gather_rows(int64_t table, int64_t count, int64_t width, int64_t padding);
OpCase scatter_rows(int64_t table, int64_t count, int64_t width, int64_t padding);

// --- linear.cc

// Which sides of a layer are activations of touches: x with its gradient, y with its.
struct Sides {
  bool x = false;
  bool y = false;
};

struct ForwardWays {
  bool bias = false;
  bool relu = false;
  bool accumulate = false;  // onto y
  bool addend = false;      // an array of its own
  bool before_relu = false;
};

struct BackwardWays {
  bool relu = false;
  bool accumulate_dx = false;
  bool mask_dx = false;
  double alpha = 1;
  // Gradients wanted.
  bool x = true;
  bool w = true;
  bool bias = true;
};

OpCase linear_forward(int64_t r, int64_t a, int64_t b, ForwardWays ways, Sides sides,
                      int64_t padding);
OpCase linear_backward(int64_t r, int64_t a, int64_t b, BackwardWays ways, Sides sides,
                       int64_t padding);
OpCase join_context(const Shape& shape, int64_t width, bool backward, int64_t padding);

// --- attention.cc

OpCase attention(const Shape& shape, int64_t heads, int64_t d, bool backward, int64_t padding);

// --- pool.cc

OpCase pool(const Shape& shape, int64_t width, double size, bool backward, int64_t padding,
            bool mask_dx = false);
OpCase weighted_sum(const Shape& shape, int64_t width, bool backward, int64_t padding);

// --- bilinear.cc

OpCase bilinear(const Shape& shape, int64_t clusters, int64_t width, bool backward,
                int64_t padding);

// --- touch_head.cc

struct HeadWidths {
  int64_t touch;
  int64_t context;
  int64_t hidden;
};

struct HeadWays {
  bool beside = false;  // the hidden layer is kept, and a gradient reaches it of its own
  bool accumulate_dx = true;
  bool mask_dx = false;
  bool fp32_x = false;  // not of touches but of arms
};

OpCase touch_head(const Shape& shape, int64_t clusters, HeadWidths widths, bool backward,
                  HeadWays ways, int64_t padding);

// --- losses.cc

// The loss of a whole model. `size` is the spread of the logits: 1 for usual ones, 8 for the tails.
OpCase journey_loss(const std::string& op, const Shape& shape, double size, bool gradients);
OpCase supervised(const std::string& op, int64_t rows, double size, bool gradient);
OpCase softmax_loss(int64_t rows, int64_t classes, double size, bool gradient, int64_t padding);

// --- infonce.cc

// `rows` x `columns` of every group.
struct ContrastGroups {
  std::string name;
  std::vector<int64_t> rows;
  std::vector<int64_t> columns;
};

struct ContrastOptions {
  bool normalise = true;
  bool frequency = true;
  bool masks = true;
  bool gradients = true;
};

OpCase infonce(const ContrastGroups& groups, int64_t width, ContrastOptions options,
               int64_t padding);

// --- optimizer.cc

OpCase gradient_scale(const std::string& name, int64_t parts, double clip_norm);
OpCase adamw(int64_t size, int64_t step);
OpCase adagrad_rows(int64_t table, int64_t count, int64_t width, int64_t padding);
// An update that is to change nothing.
OpCase skipped(OpCase update);

// --- reduce.cc

// Which mediators were not observed.
enum class Missing { none, some, all };

OpCase max_abs(int64_t size);
OpCase quantise(int64_t size, int64_t shift);
OpCase dequantise(int64_t size, int64_t shift);
OpCase sigmoid(int64_t size, double scale);
OpCase expected_mediator(int64_t size, Missing missing, bool backward);
OpCase accumulate(int64_t size);
OpCase sum_squares(int64_t size);

}  // namespace alm::op_cases
