// Cases of the weight updates and of what scales them.
#include <cmath>
#include <limits>

#include "kernels/cases/builder.h"
#include "kernels/cases/entry.h"
#include "kernels/cases/families.h"

namespace alm::op_cases {
namespace {

// The numbers of StepSettings, of step `step` of AdamW.
std::vector<double> settings_of(int64_t step, double clip_norm = 0) {
  const double at = static_cast<double>(step);
  return {3e-2, 0.05, 0.1, 1 / (1 - std::pow(0.9, at)), 1 / (1 - std::pow(0.999, at)), clip_norm};
}

const StepSettings* settings(OpArguments& a) {
  static_assert(sizeof(StepSettings) == 6 * sizeof(float));
  return reinterpret_cast<const StepSettings*>(a.floats("settings").data());
}

}  // namespace

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

OpCase skipped(OpCase update) {
  update.name += "_skipped";
  update.arrays["gradient_scale"].values = {std::numeric_limits<double>::quiet_NaN()};
  return update;
}

std::vector<Entry> optimizer_entries() {
  return {
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
  };
}

}  // namespace alm::op_cases
