// Cases of the inputs of the encoders: dense features, rows of tables and their gradients.
#include <limits>

#include "kernels/cases/builder.h"
#include "kernels/cases/entry.h"
#include "kernels/cases/families.h"

namespace alm::op_cases {

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

std::vector<Entry> dense_entries() {
  return {
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
  };
}

}  // namespace alm::op_cases
