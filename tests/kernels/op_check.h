// How results of an op are held against the double-precision reference, on any backend.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/op_cases.h"
#include "tests/reference/reference_ops.h"

namespace alm {

// What the op will see, in double: arrays as they stand in memory, scalars as rounded to float.
inline reference::Arguments as_seen(const OpCase& op_case, const OpArguments& arguments) {
  reference::Arguments seen;
  for (const auto& [name, array] : op_case.arrays) {
    seen.arrays[name] = {array.rows, array.cols, arguments.values(name)};
  }
  for (const auto& [name, value] : op_case.scalars) seen.scalars[name] = static_cast<float>(value);
  return seen;
}

inline double largest_size(const std::vector<double>& values) {
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::fabs(value));
  return largest;
}

// 8 bits of significand, ties to even. Values here are far from the ends of the exponent's range.
inline double to_bf16(double value) {
  if (value == 0 || !std::isfinite(value)) return value;
  int exponent = 0;
  const double fraction = std::frexp(value, &exponent);  // in [1/2, 1)
  return std::ldexp(std::nearbyint(std::ldexp(fraction, 8)), exponent - 8);
}

// A number held in bf16 must be one to which something as close as that rounds.
inline void expect_close(const std::vector<double>& got, const std::vector<double>& expected,
                         double tolerance, const std::string& what,
                         Precision precision = Precision::fp32) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  const double room = tolerance * largest_size(expected);
  for (size_t i = 0; i < got.size(); ++i) {
    const double allowed = room + tolerance * std::fabs(expected[i]);
    const auto held = [&](double value) {
      return precision == Precision::bf16 ? to_bf16(value) : value;
    };
    // Written so that a NaN fails.
    if (!(held(expected[i] - allowed) <= got[i] && got[i] <= held(expected[i] + allowed))) {
      FAIL() << what << "[" << i << "] is " << got[i] << ", expected " << expected[i] << ", off by "
             << got[i] - expected[i] << ", allowed " << allowed;
    }
  }
}

// Every output of a run against the expected ones; inputs and what lies between rows are as before.
inline void expect_as_reference(const OpCase& op_case, const OpArguments& arguments,
                                const OpArguments& before, reference::Arguments& expected) {
  int64_t outputs = 0;
  int64_t zeros = 0;
  for (const auto& [name, array] : op_case.arrays) {
    EXPECT_TRUE(arguments.padding_untouched(name)) << name << ": wrote between the rows";
    if (array.role == OpArray::Role::input) {
      EXPECT_EQ(arguments.memory(name), before.memory(name)) << name << ": an input was changed";
      continue;
    }
    if (array.role == OpArray::Role::room) continue;
    expect_close(arguments.values(name), expected[name].values, op_case.tolerance, name,
                 arguments.precision(name));
    for (const double value : expected[name].values) {
      ++outputs;
      if (value == 0) ++zeros;
    }
  }
  EXPECT_TRUE(op_case.mostly_zero || outputs < 8 || 4 * zeros <= 3 * outputs)
      << "mistrusted: " << zeros << " of " << outputs << " expected outputs are 0";
}

}  // namespace alm
