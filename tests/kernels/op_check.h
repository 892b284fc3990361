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

inline void expect_close(const std::vector<double>& got, const std::vector<double>& expected,
                         double tolerance, const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  const double room = tolerance * largest_size(expected);
  for (size_t i = 0; i < got.size(); ++i) {
    const double allowed = room + tolerance * std::fabs(expected[i]);
    // Written so that a NaN fails.
    if (!(std::fabs(got[i] - expected[i]) <= allowed)) {
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
    expect_close(arguments.values(name), expected[name].values, op_case.tolerance, name);
    for (const double value : expected[name].values) {
      ++outputs;
      if (value == 0) ++zeros;
    }
  }
  EXPECT_TRUE(op_case.mostly_zero || outputs < 8 || 4 * zeros <= 3 * outputs)
      << "mistrusted: " << zeros << " of " << outputs << " expected outputs are 0";
}

}  // namespace alm
