#include "kernels/op_cases.h"

#include <cmath>
#include <ctime>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "kernels/base/clock.h"
#include "kernels/base/rng.h"

namespace alm {
namespace {

using Type = OpArray::Type;
using Role = OpArray::Role;

constexpr int64_t kLossSums = 13;  // numbers of LossSums

int64_t size_of(Type type) {
  switch (type) {
    case Type::f32:
      return 4;
    case Type::bf16:
      return 2;
    case Type::u8:
      return 1;
    default:
      return 8;
  }
}

// --- building cases
// ---------------------------------------------------------------------------------

class Builder {
 public:
  Builder(const std::string& op, const std::string& shape, int64_t padding = 0)
      : rng_(hash_of(op + shape), Stream::test, 0), padding_(padding) {
    case_.op = op;
    case_.name = op + "/" + shape + (padding > 0 ? "_slice" : "");
  }

  Builder& normal(const std::string& name, int64_t rows, int64_t cols, Role role = Role::input,
                  double sd = 1) {
    return add(name, Type::f32, rows, cols, role, [&] { return sd * rng_.normal(); });
  }
  Builder& uniform(const std::string& name, int64_t rows, double low, double high,
                   Role role = Role::input) {
    return add(name, Type::f32, rows, 1, role, [&] { return low + (high - low) * rng_.uniform(); });
  }
  // Whole numbers in [0, below).
  Builder& whole(const std::string& name, Type type, int64_t rows, int64_t below) {
    return add(name, type, rows, 1, Role::input, [&] {
      return static_cast<double>(rng_.below(static_cast<uint64_t>(std::max<int64_t>(below, 1))));
    });
  }
  Builder& numbers(const std::string& name, const std::vector<double>& values) {
    size_t next = 0;
    return add(name, Type::f32, std::ssize(values), 1, Role::input, [&] { return values[next++]; });
  }
  Builder& as_doubles(const std::string& name) {
    case_.arrays.at(name).type = Type::f64;
    return *this;
  }
  Builder& zeros(const std::string& name, Type type, int64_t rows, int64_t cols, Role role) {
    return add(name, type, rows, cols, role, [] { return 0.0; });
  }
  // An output that the op must fill: garbage before.
  Builder& output(const std::string& name, int64_t rows, int64_t cols) {
    return garbage(name, rows, cols, Role::overwritten);
  }
  Builder& room(const std::string& name, int64_t rows, int64_t cols) {
    return garbage(name, rows, cols, Role::room);
  }
  Builder& journeys(const std::vector<int64_t>& lengths) {
    add("touches", Type::i64, std::ssize(lengths) + 1, 1, Role::input, [] { return 0.0; });
    double at = 0;
    for (size_t i = 0; i < lengths.size(); ++i) {
      at += static_cast<double>(lengths[i]);
      case_.arrays["touches"].values[i + 1] = at;
    }
    return *this;
  }
  // Replaces every `period`-th value.
  Builder& every(int64_t period, const std::string& name, double value) {
    std::vector<double>& values = case_.arrays.at(name).values;
    for (size_t i = 0; i < values.size(); i += static_cast<size_t>(period)) values[i] = value;
    return *this;
  }
  // Those of the names that the case has.
  Builder& activations(std::initializer_list<const char*> names) {
    for (const char* name : names) {
      const auto found = case_.arrays.find(name);
      if (found != case_.arrays.end()) found->second.activation = true;
    }
    return *this;
  }
  Builder& scalar(const std::string& name, double value) {
    case_.scalars[name] = value;
    return *this;
  }
  Builder& forward(const std::string& op) {
    case_.forward = op;
    return *this;
  }
  Builder& tolerance(double value) {
    case_.tolerance = value;
    return *this;
  }
  Builder& mostly_zero() {
    case_.mostly_zero = true;
    return *this;
  }
  Builder& flops(double value) {
    case_.flops = value;
    return *this;
  }
  OpCase done() {
    for (const auto& [name, array] : case_.arrays) {
      if (array.role == Role::room) continue;
      const double moves = array.role == Role::accumulated ? 2 : 1;
      case_.bytes += moves * static_cast<double>(array.rows * array.cols * size_of(array.type));
    }
    return case_;
  }

 private:
  static uint64_t hash_of(const std::string& text) {
    uint64_t word = 1469598103934665603u;  // FNV-1a
    for (const char c : text) word = (word ^ static_cast<unsigned char>(c)) * 1099511628211u;
    return word;
  }

  Builder& garbage(const std::string& name, int64_t rows, int64_t cols, Role role) {
    return add(name, Type::f32, rows, cols, role,
               [] { return std::numeric_limits<double>::quiet_NaN(); });
  }

  template <class Draw>
  Builder& add(const std::string& name, Type type, int64_t rows, int64_t cols, Role role,
               Draw draw) {
    OpArray array{type, false, role, rows, cols, cols > 1 ? cols + padding_ : cols, {}};
    array.values.resize(static_cast<size_t>(rows * cols));
    for (double& value : array.values)
      value = type == Type::f32 ? static_cast<float>(draw()) : draw();
    case_.arrays[name] = std::move(array);
    return *this;
  }

  OpCase case_;
  Rng rng_;
  int64_t padding_;
};

struct Shape {
  std::string name;
  std::vector<int64_t> lengths;

  int64_t journeys() const { return std::ssize(lengths); }
  int64_t touches() const {
    int64_t total = 0;
    for (const int64_t length : lengths) total += length;
    return total;
  }
};

Shape random_shape(const std::string& name, int64_t journeys, int64_t shortest, int64_t longest) {
  Shape shape{name, {}};
  Rng rng(7, Stream::test, static_cast<uint64_t>(journeys));
  for (int64_t i = 0; i < journeys; ++i) {
    const auto span = static_cast<uint64_t>(longest - shortest + 1);
    shape.lengths.push_back(shortest + static_cast<int64_t>(rng.below(span)));
  }
  return shape;
}

std::vector<Shape> odd_shapes() {
  return {{"no_journeys", {}},
          {"one_empty_journey", {0}},
          {"one_touch", {1}},
          {"ragged", {0, 3, 0, 5, 1, 2, 0}},
          {"long", {37, 0, 101, 16, 15, 14}},
          random_shape("primes", 61, 0, 7)};
}

std::string text(int64_t value) {
  return std::to_string(value);
}

double product(std::initializer_list<int64_t> factors) {
  double result = 1;
  for (const int64_t factor : factors) result *= static_cast<double>(factor);
  return result;
}

OpCase dense_features(int64_t rows, int64_t features, int64_t padding) {
  const int64_t slots = features / 2;
  Builder builder("dense_features", text(rows) + "x" + text(features), padding);
  builder.normal("x", rows, features)
      .every(5, "x", std::numeric_limits<double>::quiet_NaN())
      .normal("mean", features, 1)
      .uniform("inverse_sd", features, 0.5, 2)
      .zeros("missing_slot", Type::i64, features, 1, Role::input)
      .every(1, "missing_slot", -1)
      .output("out", rows, features + slots)
      .flops(2 * product({rows, features}));
  OpCase result = builder.done();
  for (int64_t slot = 0; slot < slots; ++slot) {
    result.arrays["missing_slot"].values[static_cast<size_t>(2 * slot + 1)] =
        static_cast<double>(slots - 1 - slot);
  }
  return result;
}

OpCase gather_rows(int64_t table, int64_t count, int64_t width, int64_t padding) {
  return Builder("gather_rows", text(table) + "x" + text(width) + "_" + text(count), padding)
      .normal("table", table, width)
      .whole("rows", Type::i64, count, table)
      .output("out", count, width)
      .tolerance(0)
      .done();
}

OpCase scatter_rows(int64_t table, int64_t count, int64_t width, int64_t padding) {
  Builder builder("scatter_rows", text(table) + "x" + text(width) + "_" + text(count), padding);
  return builder.normal("table", table, width)
      .whole("rows", Type::i64, count, table)
      .normal("out", count, width)
      .normal("d_out", count, width)
      .normal("gradient", table, width, Role::accumulated)
      .flops(product({count, width}))
      .forward("gather_rows")
      .done();
}

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

OpCase linear_forward(int64_t r, int64_t a, int64_t b, ForwardWays ways, Sides sides,
                      int64_t padding) {
  Builder builder("linear_forward",
                  text(r) + "x" + text(a) + "x" + text(b) + (ways.bias ? "_bias" : "") +
                      (ways.relu ? "_relu" : "") + (ways.accumulate ? "_accumulate" : "") +
                      (ways.addend ? "_addend" : "") + (ways.before_relu ? "_before" : ""),
                  padding);
  builder.normal("x", r, a).normal("w", a, b).flops(2 * product({r, a, b}));
  if (a == 0) builder.mostly_zero();
  if (ways.bias) builder.uniform("bias", b, 0.5, 2);
  if (ways.addend) builder.normal("addend", r, b);
  if (ways.accumulate) {
    builder.normal("y", r, b, Role::accumulated);
  } else {
    builder.output("y", r, b);
  }
  if (ways.before_relu) builder.output("before_relu", r, b);
  if (sides.x) builder.activations({"x"});
  if (sides.y) builder.activations({"addend", "y", "before_relu"});
  return builder.scalar("relu", ways.relu).scalar("accumulate", ways.accumulate).done();
}

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

OpCase linear_backward(int64_t r, int64_t a, int64_t b, BackwardWays ways, Sides sides,
                       int64_t padding) {
  Builder builder("linear_backward",
                  text(r) + "x" + text(a) + "x" + text(b) + (ways.relu ? "_relu" : "") +
                      (ways.alpha == 1 ? "" : "_reversed") +
                      (ways.accumulate_dx ? "_accumulate" : "") + (ways.mask_dx ? "_masked" : "") +
                      (ways.x ? "" : "_no_dx") + (ways.w ? "" : "_no_dw") +
                      (ways.bias ? "" : "_no_dbias"),
                  padding);
  builder.normal("x", r, a).normal("w", a, b).uniform("bias", b, 0.5, 2).normal("y", r, b);
  builder.normal("d_y", r, b, Role::accumulated).forward("linear_forward");
  if (a == 0) builder.mostly_zero();
  if (ways.x && ways.accumulate_dx) builder.normal("d_x", r, a, Role::accumulated);
  if (ways.x && !ways.accumulate_dx) builder.output("d_x", r, a);
  if (ways.w) builder.normal("d_w", a, b, Role::accumulated);
  if (ways.bias) builder.normal("d_bias", b, 1, Role::accumulated);
  if (sides.x) builder.activations({"x", "d_x"});
  if (sides.y) builder.activations({"y", "d_y"});
  return builder.scalar("relu", ways.relu)
      .scalar("alpha", ways.alpha)
      .scalar("accumulate_dx", ways.accumulate_dx)
      .scalar("mask_dx", ways.mask_dx)
      .flops(4 * product({r, a, b}))
      .done();
}

OpCase join_context(const Shape& shape, int64_t width, bool backward, int64_t padding) {
  const int64_t t = shape.touches();
  Builder builder(backward ? "join_context_backward" : "join_context_forward",
                  shape.name + "_w" + text(width), padding);
  builder.journeys(shape.lengths).normal("context", shape.journeys(), width);
  builder.flops(2 * product({t, width}));
  if (!backward) {
    return builder.normal("y", t, width, Role::accumulated).activations({"y"}).done();
  }
  if (t == 0) builder.mostly_zero();  // the context of journeys without touches gets no gradient
  return builder.normal("y", t, width)
      .normal("d_y", t, width, Role::accumulated)
      .output("d_context", shape.journeys(), width)
      .activations({"y", "d_y"})
      .forward("join_context_forward")
      .done();
}

OpCase attention(const Shape& shape, int64_t heads, int64_t d, bool backward, int64_t padding) {
  const int64_t t = shape.touches();
  const int64_t width = heads * d;
  Builder builder(backward ? "attention_backward" : "attention_forward",
                  shape.name + "_h" + text(heads) + "_d" + text(d), padding);
  double pairs = 0;
  for (const int64_t length : shape.lengths) pairs += product({length, length + 3}) / 2;
  builder.journeys(shape.lengths)
      .normal("qkv", t, 3 * width)
      .normal("start", 2, width)
      .scalar("heads", static_cast<double>(heads))
      .tolerance(4e-6)
      .flops((backward ? 10 : 4) * pairs * static_cast<double>(width));
  if (!backward) {
    return builder.output("out", t, width)
        .output("log_sum", t, heads)
        .activations({"qkv", "out"})
        .done();
  }
  return builder.normal("out", t, width)
      .normal("log_sum", t, heads)
      .normal("d_out", t, width)
      .output("d_qkv", t, 3 * width)
      .normal("d_start", 2, width, Role::accumulated)
      .activations({"qkv", "out", "d_out", "d_qkv"})
      .forward("attention_forward")
      .done();
}

OpCase pool(const Shape& shape, int64_t width, double size, bool backward, int64_t padding,
            bool mask_dx = false) {
  const int64_t t = shape.touches();
  const int64_t n = shape.journeys();
  Builder builder(
      backward ? "pool_backward" : "pool_forward",
      shape.name + "_w" + text(width) + (size > 1 ? "_clamped" : "") + (mask_dx ? "_masked" : ""),
      padding);
  builder.journeys(shape.lengths)
      .normal("x", t, width)
      .normal("w", width, 1, Role::input, size)
      .flops((backward ? 10 : 4) * product({t, width}))
      .tolerance(4e-6);
  if (t == 0) builder.mostly_zero();
  builder.activations({"x"});
  if (!backward) return builder.output("alpha", t, 1).output("out", n, width + 1).done();
  return builder.normal("alpha", t, 1)
      .normal("out", n, width + 1)
      .normal("d_out", n, width + 1)
      .normal("d_x", t, width, Role::accumulated)
      .normal("d_w", width, 1, Role::accumulated)
      .scalar("mask_dx", mask_dx)
      .activations({"d_x"})
      .forward("pool_forward")
      .done();
}

OpCase weighted_sum(const Shape& shape, int64_t width, bool backward, int64_t padding) {
  const int64_t t = shape.touches();
  const int64_t n = shape.journeys();
  Builder builder(backward ? "weighted_sum_backward" : "weighted_sum_forward",
                  shape.name + "_w" + text(width), padding);
  builder.journeys(shape.lengths)
      .normal("x", t, width)
      .normal("weight", t, 1)
      .activations({"x"})
      .flops((backward ? 4 : 2) * product({t, width}));
  if (t == 0) builder.mostly_zero();
  if (!backward) return builder.output("out", n, width).done();
  return builder.normal("out", n, width)
      .normal("d_out", n, width)
      .output("d_x", t, width)
      .normal("d_weight", t, 1, Role::accumulated)
      .activations({"d_x"})
      .forward("weighted_sum_forward")
      .done();
}

OpCase bilinear(const Shape& shape, int64_t clusters, int64_t width, bool backward,
                int64_t padding) {
  const int64_t t = shape.touches();
  Builder builder(backward ? "bilinear_backward" : "bilinear_forward",
                  shape.name + "_k" + text(clusters) + "_c" + text(width), padding);
  builder.journeys(shape.lengths)
      .whole("cluster", Type::i64, t, clusters)
      .normal("bias", clusters, 1)
      .normal("v", clusters, width)
      .normal("context", shape.journeys(), width)
      .flops((backward ? 4 : 2) * product({t, width}));
  if (!backward) return builder.normal("logit", t, 1, Role::accumulated).done();
  return builder.normal("logit", t, 1)
      .normal("d_logit", t, 1)
      .normal("d_bias", clusters, 1, Role::accumulated)
      .normal("d_v", clusters, width, Role::accumulated)
      .normal("d_context", shape.journeys(), width, Role::accumulated)
      .forward("bilinear_forward")
      .done();
}

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
                  HeadWays ways, int64_t padding) {
  const int64_t t = shape.touches();
  const int64_t n = shape.journeys();
  const auto& [touch, context, hidden] = widths;
  Builder builder(backward ? "touch_head_backward" : "touch_head_forward",
                  shape.name + "_k" + text(clusters) + "_" + text(touch) + "_" + text(context) +
                      "_" + text(hidden) + (ways.beside ? "_beside" : "") +
                      (ways.accumulate_dx ? "" : "_overwrite") + (ways.mask_dx ? "_masked" : ""),
                  padding);
  builder.journeys(shape.lengths)
      .whole("cluster", Type::i64, t, clusters)
      .normal("x", t, touch)
      .normal("context", n, context)
      .normal("w_touch", touch, hidden, Role::input, 0.3)
      .uniform("bias", hidden, -0.5, 0.5)
      .normal("w_context", context, hidden, Role::input, 0.3)
      .normal("w_out", hidden, 1)
      .normal("out_bias", 1, 1)
      .normal("cluster_bias", clusters, 1)
      .normal("v", clusters, context)
      .room("of_context", n, hidden)
      .scalar("keep_hidden", ways.beside)
      .tolerance(4e-6)
      .flops((backward ? 4 : 2) * product({t, touch + 1, hidden}) +
             (backward ? 4 : 2) * product({n, context, hidden}) +
             (backward ? 4 : 2) * product({t, context}));
  if (!backward) {
    builder.output("logit", t, 1);
    if (ways.beside) {
      builder.output("hidden", t, hidden);
    } else {
      builder.room("hidden", t, hidden);
    }
    if (!ways.fp32_x) builder.activations({"x"});
    return builder.activations({"hidden"}).done();
  }
  if (ways.beside) builder.normal("d_hidden", t, hidden);
  if (ways.accumulate_dx) {
    builder.normal("d_x", t, touch, Role::accumulated);
  } else {
    builder.output("d_x", t, touch);
  }
  if (!ways.fp32_x) builder.activations({"x", "d_x"});
  return builder.room("logit", t, 1)
      .room("hidden", t, hidden)
      .normal("d_logit", t, 1)
      .normal("d_context", n, context, Role::accumulated)
      .normal("d_w_touch", touch, hidden, Role::accumulated)
      .normal("d_bias", hidden, 1, Role::accumulated)
      .normal("d_w_context", context, hidden, Role::accumulated)
      .normal("d_w_out", hidden, 1, Role::accumulated)
      .normal("d_out_bias", 1, 1, Role::accumulated)
      .normal("d_cluster_bias", clusters, 1, Role::accumulated)
      .normal("d_v", clusters, context, Role::accumulated)
      .room("room_touches", t, hidden)
      .room("room_journeys", n, hidden)
      .activations({"hidden", "d_hidden", "room_touches"})
      .scalar("accumulate_dx", ways.accumulate_dx)
      .scalar("mask_dx", ways.mask_dx)
      .forward("touch_head_forward")
      .done();
}

// The loss of a whole model. `size` is the spread of the logits: 1 for usual ones, 8 for the tails.
OpCase journey_loss(const std::string& op, const Shape& shape, double size, bool gradients) {
  const bool separable = op == "separable_loss";
  const int64_t t = shape.touches();
  const int64_t n = shape.journeys();
  Builder builder(op, shape.name + "_spread" + text(static_cast<int64_t>(size)) +
                          (gradients ? "" : "_losses_only"));
  builder.journeys(shape.lengths)
      .normal("mediator_logit", t, 1, Role::input, size)
      .normal("potency", t, 1, Role::input, size)
      .normal("confounding", n, 1, Role::input, size)
      .whole("mediator", Type::u8, t, 2)
      .every(3, "mediator", kMediatorMissing)
      .uniform("weight", n, 0.5, 5)
      .zeros("sums", Type::f64, kLossSums, 1, Role::accumulated)
      .scalar("w_mediator", 0.3)
      .scalar("w_outcome", 1.25)
      .scalar("w_second", 0.75)
      .tolerance(size > 1 ? 1e-5 : 4e-6)
      .flops(product({t, 150}) + product({n, 200}));
  if (separable) {
    builder.normal("second_stage", n, 1, Role::input, size);
    builder.zeros("outcome", Type::f32, n, 1, Role::input).every(2, "outcome", 1);
  } else {
    builder.normal("outcome", n, 1);
  }
  if (!gradients || t < kLossSums) builder.mostly_zero();  // most of the sums are not this op's
  if (gradients) {
    builder.output("d_mediator_logit", t, 1).output("d_potency", t, 1);
    builder.output("d_confounding", n, 1);
    if (separable) builder.output("d_second_stage", n, 1);
  }
  return builder.done();
}

OpCase supervised(const std::string& op, int64_t rows, double size, bool gradient) {
  Builder builder(op, text(rows) + "_spread" + text(static_cast<int64_t>(size)) +
                          (gradient ? "" : "_loss_only"));
  builder.normal("output", rows, 1, Role::input, size)
      .uniform("target", rows, 0, 1)
      .every(4, "target", 1)
      .every(7, "target", std::numeric_limits<double>::quiet_NaN())
      .uniform("weight", rows, 0.5, 5)
      .zeros("sum", Type::f64, 1, 1, Role::accumulated)
      .zeros("weight_sum", Type::f64, 1, 1, Role::accumulated)
      .scalar("scale", 0.4)
      .flops(product({rows, 40}));
  if (rows < 2) builder.mostly_zero();
  if (gradient) builder.output("d_output", rows, 1);
  return builder.done();
}

OpCase softmax_loss(int64_t rows, int64_t classes, double size, bool gradient, int64_t padding) {
  Builder builder("softmax_loss",
                  text(rows) + "x" + text(classes) + "_spread" + text(static_cast<int64_t>(size)) +
                      (gradient ? "" : "_loss_only"),
                  padding);
  builder.normal("logits", rows, classes, Role::input, size)
      .whole("label", Type::i64, rows, classes)
      .uniform("weight", rows, 0.5, 5)
      .zeros("sum", Type::f64, 1, 1, Role::accumulated)
      .scalar("scale", 0.4)
      .tolerance(4e-6)
      .flops(product({rows, classes, 20}));
  if (rows == 0 || classes == 1) builder.mostly_zero();
  if (gradient) builder.output("d_logits", rows, classes);
  return builder.done();
}

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
               int64_t padding) {
  const auto begins = [](const std::vector<int64_t>& sizes) {
    std::vector<double> begin{0};
    for (const int64_t size : sizes) begin.push_back(begin.back() + static_cast<double>(size));
    return begin;
  };
  const std::vector<double> row_begin = begins(groups.rows);
  const std::vector<double> column_begin = begins(groups.columns);
  const auto r = static_cast<int64_t>(row_begin.back());
  const auto c = static_cast<int64_t>(column_begin.back());
  Builder builder("infonce",
                  groups.name + "_w" + text(width) + (options.normalise ? "" : "_raw") +
                      (options.frequency ? "" : "_plain") + (options.masks ? "" : "_unmasked") +
                      (options.gradients ? "" : "_loss_only"),
                  padding);
  double pairs = 0;
  for (size_t g = 0; g < groups.rows.size(); ++g) {
    pairs += product({groups.rows[g], groups.columns[g]});
  }
  builder.zeros("rows", Type::i64, std::ssize(row_begin), 1, Role::input)
      .zeros("columns", Type::i64, std::ssize(column_begin), 1, Role::input)
      .normal("x", r, width)
      .normal("y", c, width)
      .zeros("positive", Type::i64, r, 1, Role::input)
      .uniform("weight", r, 0.5, 5)
      .zeros("sum", Type::f64, 1, 1, Role::accumulated)
      .scalar("temperature", options.normalise ? 0.07 : 1)
      .scalar("scale", 0.4)
      .scalar("normalise", options.normalise)
      .tolerance(1e-5)
      .flops(6 * pairs * static_cast<double>(width));
  if (options.frequency) builder.uniform("log_frequency", c, -5, -1);
  if (options.masks) builder.whole("row_ids", Type::i64, r, 5).whole("column_ids", Type::i64, c, 5);
  if (options.gradients) builder.output("d_x", r, width).output("d_y", c, width);
  if (c < 2) builder.mostly_zero();  // with the positive alone there is nothing to tell it from
  OpCase result = builder.done();
  result.arrays["rows"].values = row_begin;
  result.arrays["columns"].values = column_begin;
  std::vector<double>& positive = result.arrays["positive"].values;
  for (size_t g = 0; g < groups.rows.size(); ++g) {
    for (int64_t row = 0; row < groups.rows[g]; ++row) {
      positive[static_cast<size_t>(row_begin[g]) + static_cast<size_t>(row)] =
          column_begin[g] + static_cast<double>(7 * row % groups.columns[g]);
    }
  }
  // Id 0 stands for none.
  if (options.masks) {
    for (const char* name : {"row_ids", "column_ids"}) {
      for (double& id : result.arrays[name].values) id -= 1;
    }
  }
  return result;
}

// The numbers of StepSettings, of step `step` of AdamW.
std::vector<double> settings_of(int64_t step, double clip_norm = 0) {
  const double at = static_cast<double>(step);
  return {3e-2, 0.05, 0.1, 1 / (1 - std::pow(0.9, at)), 1 / (1 - std::pow(0.999, at)), clip_norm};
}

OpCase gradient_scale(const std::string& name, int64_t parts, double clip_norm) {
  return Builder("gradient_scale", name)
      .uniform("losses", kLossSums, 1, 2000)
      .uniform("squares", parts, 1, 2000)
      .numbers("settings", settings_of(1, clip_norm))
      .as_doubles("losses")
      .as_doubles("squares")
      .output("scale", 1, 1)
      .scalar("parts", static_cast<double>(parts))
      .flops(product({parts, 1}))
      .done();
}

OpCase adamw(int64_t size, int64_t step) {
  return Builder("adamw", text(size) + "_step" + text(step))
      .normal("weights", size, 1, Role::accumulated)
      .normal("gradient", size, 1)
      .normal("first_moment", size, 1, Role::accumulated, 0.3)
      .uniform("second_moment", size, 0, 2, Role::accumulated)
      .whole("decay_mask", Type::f32, size, 2)
      .numbers("gradient_scale", {0.25})
      .numbers("settings", settings_of(step))
      .scalar("beta1", 0.9)
      .scalar("beta2", 0.999)
      .scalar("epsilon", 1e-8)
      .flops(product({size, 16}))
      .done();
}

OpCase adagrad_rows(int64_t table, int64_t count, int64_t width, int64_t padding) {
  Builder builder("adagrad_rows", text(table) + "x" + text(width) + "_" + text(count), padding);
  builder.normal("table", table, width, Role::accumulated)
      .uniform("state", table, 0, 2, Role::accumulated)
      .whole("rows", Type::i64, count, 1)
      .normal("gradient", count, width)
      .numbers("gradient_scale", {0.25})
      .numbers("settings", settings_of(1))
      .scalar("epsilon", 1e-8)
      .flops(product({count, width, 4}));
  OpCase result = builder.done();
  // Distinct rows in no order: 7 has no factor in common with the tables used here.
  for (int64_t i = 0; i < count; ++i) {
    result.arrays["rows"].values[static_cast<size_t>(i)] = static_cast<double>(7 * i % table);
  }
  return result;
}

// An update that is to change nothing.
OpCase skipped(OpCase update) {
  update.name += "_skipped";
  update.arrays["gradient_scale"].values = {std::numeric_limits<double>::quiet_NaN()};
  return update;
}

OpCase max_abs(int64_t size) {
  return Builder("max_abs", text(size))
      .normal("x", size, 1)
      .uniform("largest", 1, 0, 1, Role::accumulated)
      .tolerance(0)
      .flops(product({size}))
      .done();
}

OpCase quantise(int64_t size, int64_t shift) {
  return Builder("quantise", text(size) + "_shift" + text(shift))
      .normal("x", size, 1)
      .zeros("sum", Type::i64, size, 1, Role::accumulated)
      .every(2, "sum", 12345)
      .scalar("shift", static_cast<double>(shift))
      .tolerance(0)
      .flops(product({size, 2}))
      .done();
}

OpCase dequantise(int64_t size, int64_t shift) {
  return Builder("dequantise", text(size) + "_shift" + text(shift))
      .whole("sum", Type::i64, size, int64_t{1} << 52)
      .output("x", size, 1)
      .scalar("shift", static_cast<double>(shift))
      .tolerance(6e-8)
      .flops(product({size, 2}))
      .done();
}

OpCase sigmoid(int64_t size, double scale) {
  return Builder("sigmoid", text(size) + (scale < 0 ? "_negative" : ""))
      .normal("logit", size, 1, Role::input, 5)
      .output("out", size, 1)
      .scalar("scale", scale)
      .tolerance(3e-7)
      .flops(product({size, 25}))
      .done();
}

// Which mediators were not observed.
enum class Missing { none, some, all };

OpCase expected_mediator(int64_t size, Missing missing, bool backward) {
  const char* const which[] = {"_observed", "", "_missing"};
  Builder builder(backward ? "expected_mediator_backward" : "expected_mediator_forward",
                  text(size) + which[static_cast<int>(missing)]);
  builder.whole("mediator", Type::u8, size, 2)
      .normal("logit", size, 1, Role::input, 3)
      .tolerance(3e-7)
      .flops(product({size, backward ? 4 : 25}));
  if (missing != Missing::none) {
    builder.every(missing == Missing::all ? 1 : 3, "mediator", kMediatorMissing);
  }
  if (!backward) return builder.output("share", size, 1).done();
  return builder.normal("share", size, 1)
      .normal("d_share", size, 1)
      .normal("d_logit", size, 1, Role::accumulated)
      .forward("expected_mediator_forward")
      .done();
}

OpCase accumulate(int64_t size) {
  return Builder("accumulate", text(size))
      .normal("x", size, 1)
      .normal("y", size, 1, Role::accumulated)
      .tolerance(6e-8)
      .flops(product({size}))
      .done();
}

OpCase sum_squares(int64_t size) {
  Builder builder("sum_squares", text(size));
  if (size == 0) builder.mostly_zero();
  return builder.normal("x", size, 1)
      .zeros("sum", Type::f64, 1, 1, Role::accumulated)
      .tolerance(1e-14)
      .flops(product({size, 2}))
      .done();
}

// --- calling ops
// ------------------------------------------------------------------------------------

// One row per entry of Ops: its name, whether a table has it, and the call on named arguments.
struct Entry {
  const char* name;
  bool (*filled)(const Ops&);
  std::function<void()> (*bind)(const Ops&, Queue&, OpArguments&);
};

Csr csr(OpArguments& a) {
  return {a.integers("touches")};
}
float scalar(OpArguments& a, const char* name) {
  return static_cast<float>(a.scalar(name));
}

template <class Arguments>
std::function<void()> call(void (*op)(Queue&, const Arguments&), Queue& queue,
                           const Arguments& arguments) {
  return [op, &queue, arguments] { op(queue, arguments); };
}

// An array of its own, or y.
MixedMatrix<const float> linear_addend(OpArguments& a) {
  return a.activations(a.scalar("accumulate") != 0 ? "y" : "addend");
}

SupervisedLoss supervised_arguments(OpArguments& a) {
  return {.output = a.floats("output"),
          .target = a.floats("target"),
          .weight = a.floats("weight"),
          .scale = scalar(a, "scale"),
          .d_output = a.floats("d_output"),
          .sum = a.doubles("sum"),
          .weight_sum = a.doubles("weight_sum")};
}

TouchHeadTensors<float> head_tensors(OpArguments& a, const std::string& prefix) {
  return {.w_touch = a.matrix(prefix + "w_touch"),
          .bias = a.floats(prefix + "bias"),
          .w_context = a.matrix(prefix + "w_context"),
          .w_out = a.matrix(prefix + "w_out"),
          .out_bias = a.floats(prefix + "out_bias"),
          .cluster_bias = a.floats(prefix + "cluster_bias"),
          .v = a.matrix(prefix + "v")};
}

TouchHeadTensors<const float> head_weights(OpArguments& a) {
  const TouchHeadTensors<float> of = head_tensors(a, "");
  return {of.w_touch, of.bias, of.w_context, of.w_out, of.out_bias, of.cluster_bias, of.v};
}

const StepSettings* settings(OpArguments& a) {
  static_assert(sizeof(StepSettings) == 6 * sizeof(float));
  return reinterpret_cast<const StepSettings*>(a.floats("settings").data());
}

LossSums* loss_sums(OpArguments& a) {
  static_assert(sizeof(LossSums) == kLossSums * sizeof(double));
  return reinterpret_cast<LossSums*>(a.doubles("sums"));
}

#define ALM_ENTRY(op, ...)                                                                       \
  {                                                                                              \
#op, [](const Ops& ops) { return ops.op != nullptr; }, [](const Ops& ops, Queue& queue,      \
                                                              OpArguments& a) -> std::function < \
                                                                                     void()>     \
    { return call(ops.op, queue, __VA_ARGS__); }                                                 \
  }

const std::vector<Entry>& entries() {
  static const std::vector<Entry> all = {
      ALM_ENTRY(dense_features, DenseFeatures{.x = a.matrix("x"),
                                              .mean = a.floats("mean"),
                                              .inverse_sd = a.floats("inverse_sd"),
                                              .missing_slot = a.integers("missing_slot"),
                                              .out = a.matrix("out")}),
      ALM_ENTRY(gather_rows, GatherRows{.table = a.matrix("table"),
                                        .rows = a.integers("rows"),
                                        .out = a.matrix("out")}),
      ALM_ENTRY(scatter_rows, ScatterRows{.d_out = a.matrix("d_out"),
                                          .rows = a.integers("rows"),
                                          .gradient = a.matrix("gradient")}),
      ALM_ENTRY(linear_forward, LinearForward{.x = a.activations("x"),
                                              .w = a.matrix("w"),
                                              .bias = a.floats("bias"),
                                              .addend = linear_addend(a),
                                              .y = a.activations("y"),
                                              .before_relu = a.activations("before_relu"),
                                              .relu = a.scalar("relu") != 0}),
      ALM_ENTRY(linear_backward, LinearBackward{.x = a.activations("x"),
                                                .w = a.matrix("w"),
                                                .y = a.activations("y"),
                                                .d_y = a.activations("d_y"),
                                                .d_x = a.activations("d_x"),
                                                .d_w = a.matrix("d_w"),
                                                .d_bias = a.floats("d_bias"),
                                                .alpha = scalar(a, "alpha"),
                                                .relu = a.scalar("relu") != 0,
                                                .accumulate_dx = a.scalar("accumulate_dx") != 0,
                                                .mask_dx = a.scalar("mask_dx") != 0}),
      ALM_ENTRY(join_context_forward,
                JoinContextForward{
                    .touches = csr(a), .context = a.matrix("context"), .y = a.activations("y")}),
      ALM_ENTRY(join_context_backward, JoinContextBackward{.touches = csr(a),
                                                           .y = a.activations("y"),
                                                           .d_y = a.activations("d_y"),
                                                           .d_context = a.matrix("d_context")}),
      ALM_ENTRY(attention_forward,
                AttentionForward{.touches = csr(a),
                                 .heads = static_cast<int64_t>(a.scalar("heads")),
                                 .qkv = a.activations("qkv"),
                                 .start = a.matrix("start"),
                                 .out = a.activations("out"),
                                 .log_sum = a.matrix("log_sum")}),
      ALM_ENTRY(attention_backward,
                AttentionBackward{.touches = csr(a),
                                  .heads = static_cast<int64_t>(a.scalar("heads")),
                                  .qkv = a.activations("qkv"),
                                  .start = a.matrix("start"),
                                  .out = a.activations("out"),
                                  .log_sum = a.matrix("log_sum"),
                                  .d_out = a.activations("d_out"),
                                  .d_qkv = a.activations("d_qkv"),
                                  .d_start = a.matrix("d_start")}),
      ALM_ENTRY(pool_forward, PoolForward{.touches = csr(a),
                                          .x = a.activations("x"),
                                          .w = a.floats("w"),
                                          .alpha = a.floats("alpha"),
                                          .out = a.matrix("out")}),
      ALM_ENTRY(pool_backward, PoolBackward{.touches = csr(a),
                                            .x = a.activations("x"),
                                            .w = a.floats("w"),
                                            .alpha = a.floats("alpha"),
                                            .out = a.matrix("out"),
                                            .d_out = a.matrix("d_out"),
                                            .d_x = a.activations("d_x"),
                                            .d_w = a.floats("d_w"),
                                            .mask_dx = a.scalar("mask_dx") != 0}),
      ALM_ENTRY(weighted_sum_forward, WeightedSumForward{.touches = csr(a),
                                                         .x = a.activations("x"),
                                                         .weight = a.floats("weight"),
                                                         .out = a.matrix("out")}),
      ALM_ENTRY(weighted_sum_backward, WeightedSumBackward{.touches = csr(a),
                                                           .x = a.activations("x"),
                                                           .weight = a.floats("weight"),
                                                           .d_out = a.matrix("d_out"),
                                                           .d_x = a.activations("d_x"),
                                                           .d_weight = a.floats("d_weight")}),
      ALM_ENTRY(bilinear_forward, BilinearForward{.touches = csr(a),
                                                  .cluster = a.integers("cluster"),
                                                  .bias = a.floats("bias"),
                                                  .v = a.matrix("v"),
                                                  .context = a.matrix("context"),
                                                  .logit = a.floats("logit")}),
      ALM_ENTRY(bilinear_backward, BilinearBackward{.touches = csr(a),
                                                    .cluster = a.integers("cluster"),
                                                    .v = a.matrix("v"),
                                                    .context = a.matrix("context"),
                                                    .d_logit = a.floats("d_logit"),
                                                    .d_bias = a.floats("d_bias"),
                                                    .d_v = a.matrix("d_v"),
                                                    .d_context = a.matrix("d_context")}),
      ALM_ENTRY(touch_head_forward, TouchHeadForward{.touches = csr(a),
                                                     .cluster = a.integers("cluster"),
                                                     .x = a.activations("x"),
                                                     .context = a.matrix("context"),
                                                     .weights = head_weights(a),
                                                     .logit = a.matrix("logit"),
                                                     .hidden = a.activations("hidden"),
                                                     .of_context = a.matrix("of_context"),
                                                     .keep_hidden = a.scalar("keep_hidden") != 0}),
      ALM_ENTRY(touch_head_backward,
                TouchHeadBackward{.touches = csr(a),
                                  .cluster = a.integers("cluster"),
                                  .x = a.activations("x"),
                                  .context = a.matrix("context"),
                                  .weights = head_weights(a),
                                  .hidden = a.activations("hidden"),
                                  .d_logit = a.matrix("d_logit"),
                                  .d_hidden = a.activations("d_hidden"),
                                  .d_x = a.activations("d_x"),
                                  .d_context = a.matrix("d_context"),
                                  .gradients = head_tensors(a, "d_"),
                                  .room_touches = a.activations("room_touches"),
                                  .room_journeys = a.matrix("room_journeys"),
                                  .accumulate_dx = a.scalar("accumulate_dx") != 0,
                                  .mask_dx = a.scalar("mask_dx") != 0}),
      ALM_ENTRY(separable_loss, SeparableLoss{.touches = csr(a),
                                              .mediator_logit = a.floats("mediator_logit"),
                                              .potency = a.floats("potency"),
                                              .confounding = a.floats("confounding"),
                                              .second_stage = a.floats("second_stage"),
                                              .mediator = a.bytes("mediator"),
                                              .outcome = a.floats("outcome"),
                                              .weight = a.floats("weight"),
                                              .w_mediator = scalar(a, "w_mediator"),
                                              .w_outcome = scalar(a, "w_outcome"),
                                              .w_second = scalar(a, "w_second"),
                                              .d_mediator_logit = a.floats("d_mediator_logit"),
                                              .d_potency = a.floats("d_potency"),
                                              .d_confounding = a.floats("d_confounding"),
                                              .d_second_stage = a.floats("d_second_stage"),
                                              .sums = loss_sums(a)}),
      ALM_ENTRY(additive_loss, AdditiveLoss{.touches = csr(a),
                                            .mediator_logit = a.floats("mediator_logit"),
                                            .potency = a.floats("potency"),
                                            .confounding = a.floats("confounding"),
                                            .mediator = a.bytes("mediator"),
                                            .outcome = a.floats("outcome"),
                                            .weight = a.floats("weight"),
                                            .w_mediator = scalar(a, "w_mediator"),
                                            .w_outcome = scalar(a, "w_outcome"),
                                            .d_mediator_logit = a.floats("d_mediator_logit"),
                                            .d_potency = a.floats("d_potency"),
                                            .d_confounding = a.floats("d_confounding"),
                                            .sums = loss_sums(a)}),
      ALM_ENTRY(bce_loss, supervised_arguments(a)),
      ALM_ENTRY(squared_loss, supervised_arguments(a)),
      ALM_ENTRY(sigmoid_squared_loss, supervised_arguments(a)),
      ALM_ENTRY(softmax_loss, SoftmaxLoss{.logits = a.matrix("logits"),
                                          .label = a.integers("label"),
                                          .weight = a.floats("weight"),
                                          .scale = scalar(a, "scale"),
                                          .d_logits = a.matrix("d_logits"),
                                          .sum = a.doubles("sum")}),
      ALM_ENTRY(infonce, InfoNce{.rows = {a.integers("rows")},
                                 .columns = {a.integers("columns")},
                                 .x = a.matrix("x"),
                                 .y = a.matrix("y"),
                                 .positive = a.integers("positive"),
                                 .weight = a.floats("weight"),
                                 .log_frequency = a.floats("log_frequency"),
                                 .row_ids = a.integer_matrix("row_ids"),
                                 .column_ids = a.integer_matrix("column_ids"),
                                 .temperature = scalar(a, "temperature"),
                                 .scale = scalar(a, "scale"),
                                 .normalise = a.scalar("normalise") != 0,
                                 .d_x = a.matrix("d_x"),
                                 .d_y = a.matrix("d_y"),
                                 .sum = a.doubles("sum")}),
      ALM_ENTRY(
          gradient_scale,
          GradientScale{.losses = reinterpret_cast<const LossSums*>(a.doubles("losses")),
                        .squares = {a.doubles("squares"), static_cast<size_t>(a.scalar("parts"))},
                        .settings = settings(a),
                        .scale = a.floats("scale").data()}),
      ALM_ENTRY(adamw, AdamW{.weights = a.floats("weights"),
                             .gradient = a.floats("gradient"),
                             .first_moment = a.floats("first_moment"),
                             .second_moment = a.floats("second_moment"),
                             .decay_mask = a.floats("decay_mask"),
                             .gradient_scale = a.floats("gradient_scale").data(),
                             .settings = settings(a),
                             .beta1 = scalar(a, "beta1"),
                             .beta2 = scalar(a, "beta2"),
                             .epsilon = scalar(a, "epsilon")}),
      ALM_ENTRY(adagrad_rows, AdagradRows{.table = a.matrix("table"),
                                          .state = a.floats("state"),
                                          .rows = a.integers("rows"),
                                          .gradient = a.matrix("gradient"),
                                          .gradient_scale = a.floats("gradient_scale").data(),
                                          .settings = settings(a),
                                          .epsilon = scalar(a, "epsilon")}),
      ALM_ENTRY(max_abs, MaxAbs{.x = a.floats("x"), .largest = a.floats("largest").data()}),
      ALM_ENTRY(quantise, Quantise{.x = a.floats("x"),
                                   .shift = static_cast<int>(a.scalar("shift")),
                                   .sum = a.integers("sum")}),
      ALM_ENTRY(dequantise, Dequantise{.sum = a.integers("sum"),
                                       .shift = static_cast<int>(a.scalar("shift")),
                                       .x = a.floats("x")}),
      ALM_ENTRY(
          sigmoid,
          Sigmoid{.logit = a.floats("logit"), .scale = scalar(a, "scale"), .out = a.floats("out")}),
      ALM_ENTRY(expected_mediator_forward, ExpectedMediatorForward{.mediator = a.bytes("mediator"),
                                                                   .logit = a.floats("logit"),
                                                                   .share = a.floats("share")}),
      ALM_ENTRY(expected_mediator_backward,
                ExpectedMediatorBackward{.mediator = a.bytes("mediator"),
                                         .share = a.floats("share"),
                                         .d_share = a.floats("d_share"),
                                         .d_logit = a.floats("d_logit")}),
      ALM_ENTRY(accumulate, Accumulate{.x = a.floats("x"), .y = a.floats("y")}),
      ALM_ENTRY(sum_squares, SumSquares{.x = a.floats("x"), .sum = a.doubles("sum")}),
  };
  // Every function pointer of the table and the name before them.
  static_assert(sizeof(Ops) % sizeof(void*) == 0);
  ALM_CHECK(all.size() == sizeof(Ops) / sizeof(void*) - 1, "an op without a case");
  return all;
}

#undef ALM_ENTRY

const Entry& entry(const std::string& op) {
  for (const Entry& one : entries()) {
    if (op == one.name) return one;
  }
  throw UserError("no op is called " + op);
}

}  // namespace

double OpCase::scalar(const std::string& name_of_scalar) const {
  const auto found = scalars.find(name_of_scalar);
  return found == scalars.end() ? 0 : found->second;
}

std::vector<std::string> op_names() {
  std::vector<std::string> names;
  for (const Entry& one : entries()) names.push_back(one.name);
  return names;
}

bool has_op(const Ops& ops, const std::string& op) {
  return entry(op).filled(ops);
}

std::function<void()> bind_op(const std::string& op, const Ops& ops, Queue& queue,
                              OpArguments& arguments) {
  return entry(op).bind(ops, queue, arguments);
}

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

// --- arguments in memory
// ----------------------------------------------------------------------------

namespace {

// What lies between rows: NaN as a float, nonsense as anything else.
constexpr unsigned char kPadding = 0xff;

// To nearest, ties to even.
uint16_t bf16_of(float value) {
  if (std::isnan(value)) return 0x7fff;
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void put(Type type, unsigned char* at, double value) {
  const auto write = [&](auto typed) { std::memcpy(at, &typed, sizeof typed); };
  switch (type) {
    case Type::f32:
      return write(static_cast<float>(value));
    case Type::bf16:
      return write(bf16_of(static_cast<float>(value)));
    case Type::f64:
      return write(value);
    case Type::i64:
      return write(static_cast<int64_t>(value));
    case Type::u8:
      return write(static_cast<uint8_t>(value));
  }
}

double get(Type type, const unsigned char* at) {
  const auto read = [&](auto typed) {
    std::memcpy(&typed, at, sizeof typed);
    return static_cast<double>(typed);
  };
  switch (type) {
    case Type::f32:
      return read(float{});
    case Type::bf16: {
      const uint32_t bits = static_cast<uint32_t>(read(uint16_t{})) << 16;
      return std::bit_cast<float>(bits);
    }
    case Type::f64:
      return read(double{});
    case Type::i64:
      return read(int64_t{});
    default:
      return read(uint8_t{});
  }
}

}  // namespace

OpArguments::OpArguments(const OpCase& op_case, Precision activations) : scalars_(op_case.scalars) {
  for (const auto& [name, of_case] : op_case.arrays) {
    OpArray array = of_case;
    if (array.activation && activations == Precision::bf16) array.type = Type::bf16;
    const int64_t size = size_of(array.type);
    Slot slot{array, {}, nullptr};
    // One spare element keeps the pointer of an empty array non-null, as real callers' are.
    slot.memory.assign(static_cast<size_t>((array.rows * array.stride + 1) * size), kPadding);
    for (int64_t r = 0; r < array.rows; ++r) {
      for (int64_t c = 0; c < array.cols; ++c) {
        put(array.type, slot.memory.data() + (r * array.stride + c) * size,
            array.values[static_cast<size_t>(r * array.cols + c)]);
      }
    }
    slots_[name] = std::move(slot);
  }
}

unsigned char* OpArguments::Slot::view() {
  return on_device != nullptr ? static_cast<unsigned char*>(on_device.get()) : memory.data();
}

int64_t OpArguments::Slot::bytes_in_rows() const {
  if (shape.rows == 0) return 0;
  return ((shape.rows - 1) * shape.stride + shape.cols) * size_of(shape.type);
}

void OpArguments::move_to(Device& device, Queue& queue) {
  for (auto& [name, slot] : slots_) {
    const int64_t bytes = slot.bytes_in_rows();
    slot.on_device = {device.allocate(bytes), [&device](void* memory) { device.release(memory); }};
    queue.upload(slot.on_device.get(), slot.memory.data(), bytes);
  }
  queue.wait();
}

void OpArguments::fetch(Queue& queue) {
  for (auto& [name, slot] : slots_) {
    queue.download(slot.memory.data(), slot.on_device.get(), slot.bytes_in_rows());
  }
  queue.wait();
}

Matrix<float> OpArguments::matrix(const std::string& name) {
  const auto found = slots_.find(name);
  if (found == slots_.end()) return {};
  const OpArray& shape = found->second.shape;
  ALM_CHECK(shape.type == Type::f32, "an array of other numbers");
  return {reinterpret_cast<float*>(found->second.view()), shape.rows, shape.cols, shape.stride};
}

MixedMatrix<float> OpArguments::activations(const std::string& name) {
  const auto found = slots_.find(name);
  if (found == slots_.end()) return {};
  const OpArray& shape = found->second.shape;
  return {found->second.view(), shape.rows, shape.cols, shape.stride, precision(name)};
}

std::span<float> OpArguments::floats(const std::string& name) {
  const Matrix<float> view = matrix(name);
  return {view.data, static_cast<size_t>(view.rows * view.cols)};
}

std::span<int64_t> OpArguments::integers(const std::string& name) {
  Slot& slot = slots_.at(name);
  return {reinterpret_cast<int64_t*>(slot.view()), static_cast<size_t>(slot.shape.rows)};
}

Matrix<int64_t> OpArguments::integer_matrix(const std::string& name) {
  const auto found = slots_.find(name);
  if (found == slots_.end()) return {};
  const OpArray& shape = found->second.shape;
  return {reinterpret_cast<int64_t*>(found->second.view()), shape.rows, shape.cols, shape.stride};
}

std::span<uint8_t> OpArguments::bytes(const std::string& name) {
  Slot& slot = slots_.at(name);
  return {slot.view(), static_cast<size_t>(slot.shape.rows)};
}

double* OpArguments::doubles(const std::string& name) {
  return reinterpret_cast<double*>(slots_.at(name).view());
}

double OpArguments::scalar(const std::string& name) const {
  const auto found = scalars_.find(name);
  return found == scalars_.end() ? 0 : found->second;
}

std::vector<double> OpArguments::values(const std::string& name) const {
  const Slot& slot = slots_.at(name);
  const int64_t size = size_of(slot.shape.type);
  std::vector<double> dense;
  for (int64_t r = 0; r < slot.shape.rows; ++r) {
    for (int64_t c = 0; c < slot.shape.cols; ++c) {
      dense.push_back(
          get(slot.shape.type, slot.memory.data() + (r * slot.shape.stride + c) * size));
    }
  }
  return dense;
}

Precision OpArguments::precision(const std::string& name) const {
  return slots_.at(name).shape.type == Type::bf16 ? Precision::bf16 : Precision::fp32;
}

const std::vector<unsigned char>& OpArguments::memory(const std::string& name) const {
  return slots_.at(name).memory;
}

bool OpArguments::padding_untouched(const std::string& name) const {
  const Slot& slot = slots_.at(name);
  const int64_t size = size_of(slot.shape.type);
  const int64_t elements = std::ssize(slot.memory) / size;
  for (int64_t element = 0; element < elements; ++element) {
    const int64_t row = slot.shape.stride > 0 ? element / slot.shape.stride : 0;
    const int64_t column = slot.shape.stride > 0 ? element % slot.shape.stride : 0;
    if (row < slot.shape.rows && column < slot.shape.cols) continue;
    for (int64_t byte = 0; byte < size; ++byte) {
      if (slot.memory[static_cast<size_t>(element * size + byte)] != kPadding) return false;
    }
  }
  return true;
}

double thread_cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

OpTiming time_op(const OpCase& op_case, Device& device, bool cold, double budget) {
  OpArguments arguments(op_case, device.activations());
  const std::unique_ptr<Queue> queue = device.make_queue();
  if (!op_case.forward.empty()) bind_op(op_case.forward, device.ops(), *queue, arguments)();
  const std::function<void()> run = bind_op(op_case.op, device.ops(), *queue, arguments);
  run();
  queue->wait();

  OpTiming timing;
  std::vector<double> seconds, processor;
  std::vector<unsigned char> sweep(cold ? size_t{64} << 20 : 0);
  const Timer all;
  // Warm calls are timed in groups long enough for the clock.
  int64_t group = 1;
  while (all.seconds() < budget || seconds.size() < 5) {
    if (cold) std::fill(sweep.begin(), sweep.end(), static_cast<unsigned char>(seconds.size()));
    const Timer timer;
    const double processor_before = thread_cpu_seconds();
    for (int64_t call_number = 0; call_number < group; ++call_number) run();
    queue->wait();
    const double of_processor = thread_cpu_seconds() - processor_before;
    const double elapsed = timer.seconds();
    if (!cold && elapsed < 20e-6) {
      group *= 2;
      continue;
    }
    timing.calls += group;
    seconds.push_back(elapsed / static_cast<double>(group));
    processor.push_back(of_processor / static_cast<double>(group));
  }
  const auto typical = [&](std::vector<double>& values) {
    std::sort(values.begin(), values.end());
    return cold ? values[values.size() / 2] : values.front();
  };
  timing.seconds = typical(seconds);
  timing.processor_seconds = typical(processor);
  timing.gflops = op_case.flops / timing.processor_seconds * 1e-9;
  timing.gigabytes = op_case.bytes / timing.processor_seconds * 1e-9;
  return timing;
}

double time_queued_op(const OpCase& op_case, Device& device, double budget) {
  constexpr double kLongEnough = 1e-3;  // for what the wait at the end costs to be little
  const std::unique_ptr<Queue> queue = device.make_queue();
  OpArguments arguments(op_case, device.activations());
  arguments.move_to(device, *queue);
  if (!op_case.forward.empty()) bind_op(op_case.forward, device.ops(), *queue, arguments)();
  const std::function<void()> run = bind_op(op_case.op, device.ops(), *queue, arguments);
  run();
  queue->wait();
  double best = std::numeric_limits<double>::infinity();
  const Timer all;
  for (int64_t group = 1; all.seconds() < budget || std::isinf(best);) {
    const Timer timer;
    for (int64_t call_number = 0; call_number < group; ++call_number) run();
    queue->wait();
    const double elapsed = timer.seconds();
    if (elapsed < kLongEnough) {
      group *= 2;
    } else {
      best = std::min(best, elapsed / static_cast<double>(group));
    }
  }
  return best;
}

}  // namespace alm
