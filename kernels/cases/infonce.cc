// Cases of contrastive scores.
#include "kernels/cases/builder.h"
#include "kernels/cases/entry.h"
#include "kernels/cases/families.h"

namespace alm::op_cases {

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

std::vector<Entry> infonce_entries() {
  return {
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
  };
}

}  // namespace alm::op_cases
