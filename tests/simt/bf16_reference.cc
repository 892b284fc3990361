#include "tests/simt/bf16_reference.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <initializer_list>
#include <map>

#include "tests/kernels/op_check.h"

namespace alm {
namespace {

void round(reference::Arguments& a, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    for (double& value : a[name].values) value = to_bf16(value);
  }
}

void linear_forward(reference::Arguments& a) {
  round(a, {"x", "w"});
  reference::run("linear_forward", a);
}

// The masked gradient and its column sums are those of numbers as they are.
void linear_backward(reference::Arguments& a) {
  reference::Arguments rounded = a;
  reference::run("linear_backward", a);
  round(rounded, {"x", "w", "d_y"});
  reference::run("linear_backward", rounded);
  for (const char* name : {"d_x", "d_w"}) {
    if (a.has(name)) a[name] = rounded[name];
  }
}

// Whether the head is one that the fused kernels take. By parts the hidden layer and its gradient
// are held in bf16 between the products, and the last layer is a product, too.
bool fused(reference::Arguments& a) {
  constexpr int64_t kWidest = 64;
  return a["w_touch"].rows <= kWidest && a["w_context"].rows <= kWidest &&
         a["w_out"].rows <= kWidest;
}

// In fp32 before it is rounded to bf16, as in the kernels.
double held(double value) {
  return to_bf16(static_cast<float>(value));
}

// The hidden layer of rounded operands, before its ReLU.
double hidden_sum(reference::Arguments& a, int64_t i, int64_t j, int64_t unit) {
  reference::Array &x = a["x"], &w_touch = a["w_touch"];
  reference::Array &context = a["context"], &w_context = a["w_context"];
  double of_touch = a["bias"](unit);
  for (int64_t c = 0; c < x.cols; ++c) of_touch += to_bf16(x(j, c)) * to_bf16(w_touch(c, unit));
  double of_context = 0;
  for (int64_t c = 0; c < context.cols; ++c) {
    of_context += to_bf16(context(i, c)) * to_bf16(w_context(c, unit));
  }
  return fused(a) ? of_touch + of_context : held(held(of_touch) + of_context);
}

void for_each_touch(reference::Arguments& a, const std::function<void(int64_t i, int64_t j)>& use) {
  for (int64_t i = 0; i < a.journeys(); ++i) {
    for (int64_t j = a.begin(i); j < a.begin(i + 1); ++j) use(i, j);
  }
}

void touch_head_forward(reference::Arguments& a) {
  const auto as_factor = [parts = !fused(a)](double value) {
    return parts ? to_bf16(value) : value;
  };
  for_each_touch(a, [&](int64_t i, int64_t j) {
    const int64_t k = a.index("cluster", j);
    double& logit = a["logit"](j);
    logit = a["out_bias"](0) + a["cluster_bias"](k);
    for (int64_t c = 0; c < a["v"].cols; ++c) logit += a["v"](k, c) * a["context"](i, c);
    for (int64_t unit = 0; unit < a["w_out"].rows; ++unit) {
      a["hidden"](j, unit) = std::max(hidden_sum(a, i, j, unit), 0.0);
      logit += a["hidden"](j, unit) * as_factor(a["w_out"](unit));
    }
  });
}

// The gradient of the hidden layer is held in bf16; all else is made of it as it is held.
void touch_head_backward(reference::Arguments& a) {
  const auto as_factor = [parts = !fused(a)](double value) {
    return parts ? to_bf16(value) : value;
  };
  reference::Array of_journeys{a.journeys(), a["w_out"].rows, {}};
  of_journeys.values.resize(static_cast<size_t>(of_journeys.rows * of_journeys.cols));
  for_each_touch(a, [&](int64_t i, int64_t j) {
    const int64_t k = a.index("cluster", j);
    const double d = a["d_logit"](j);
    a["d_out_bias"](0) += d;
    a["d_cluster_bias"](k) += d;
    if (a.scalar("accumulate_dx") == 0) {
      for (int64_t c = 0; c < a["x"].cols; ++c) a["d_x"](j, c) = 0;
    }
    for (int64_t c = 0; c < a["v"].cols; ++c) {
      a["d_v"](k, c) += d * a["context"](i, c);
      a["d_context"](i, c) += d * a["v"](k, c);
    }
    for (int64_t unit = 0; unit < a["w_out"].rows; ++unit) {
      const double z = hidden_sum(a, i, j, unit);
      a["d_w_out"](unit) += as_factor(d) * std::max(z, 0.0);
      if (!(z > 0)) continue;
      const auto beside = a.has("d_hidden") ? static_cast<float>(a["d_hidden"](j, unit)) : 0.0f;
      const auto of_logit = static_cast<float>(as_factor(d));
      const auto of_weight = static_cast<float>(as_factor(a["w_out"](unit)));
      const auto d_z = static_cast<float>(
          held(fused(a) ? std::fma(of_logit, of_weight, beside) : of_logit * of_weight + beside));
      a["d_bias"](unit) += d_z;
      of_journeys(i, unit) = static_cast<float>(of_journeys(i, unit)) + d_z;
      for (int64_t c = 0; c < a["x"].cols; ++c) {
        const bool passes = a.scalar("mask_dx") == 0 || a["x"](j, c) > 0;
        if (passes) a["d_x"](j, c) += d_z * to_bf16(a["w_touch"](c, unit));
        a["d_w_touch"](c, unit) += d_z * to_bf16(a["x"](j, c));
      }
    }
  });
  for (int64_t i = 0; i < a.journeys(); ++i) {
    for (int64_t unit = 0; unit < of_journeys.cols; ++unit) {
      const double rounded = to_bf16(of_journeys(i, unit));
      for (int64_t c = 0; c < a["context"].cols; ++c) {
        a["d_context"](i, c) += rounded * to_bf16(a["w_context"](c, unit));
        a["d_w_context"](c, unit) += rounded * to_bf16(a["context"](i, c));
      }
    }
  }
}

const std::map<std::string, std::function<void(reference::Arguments&)>>& references() {
  static const auto all = [] {
    std::map<std::string, std::function<void(reference::Arguments&)>> of = {
        {"linear_forward", linear_forward},
        {"linear_backward", linear_backward},
        {"touch_head_forward", touch_head_forward},
        {"touch_head_backward", touch_head_backward}};
    // Between what these read and what they store nothing is rounded.
    for (const std::string name :
         {"join_context_forward", "join_context_backward", "attention_forward",
          "attention_backward", "pool_forward", "pool_backward", "weighted_sum_forward",
          "weighted_sum_backward"}) {
      of[name] = [name](reference::Arguments& a) { reference::run(name, a); };
    }
    return of;
  }();
  return all;
}

}  // namespace

std::vector<std::string> ops_with_bf16() {
  std::vector<std::string> names;
  for (const auto& [name, run] : references()) names.push_back(name);
  return names;
}

void run_in_bf16(const std::string& op, reference::Arguments& arguments) {
  references().at(op)(arguments);
}

}  // namespace alm
