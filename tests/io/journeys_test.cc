#include "io/journeys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>

#include "log_cases.h"

namespace alm::io {
namespace {

void expect_same_bytes(const Journeys& a, const Journeys& b) {
  EXPECT_EQ(a.row, b.row);
  EXPECT_EQ(a.touch_begin, b.touch_begin);
  for_each_column([&](const auto& column) {
    const auto& left = a.*column.values;
    const auto& right = b.*column.values;
    ASSERT_EQ(left.size(), right.size()) << column.path;
    if (left.empty()) return;
    EXPECT_EQ(std::memcmp(left.data(), right.data(), left.size() * sizeof(left[0])), 0)
        << column.path;
  });
}

// Row by row is the simple form; widths 1, 2, 3, 4, 8 and 16 take different ways.
TEST(Journeys, AppendingManyRowsEqualsAppendingEach) {
  std::mt19937_64 random(5);
  for (const int64_t width : {1, 2, 3, 4, 8, 16}) {
    LogSchema schema = full_schema();
    schema.dense = width;
    schema.touch_dense = width;
    schema.dense_names.clear();
    Journeys from = make_rows(schema, 97, static_cast<uint64_t>(width));
    from.row.resize(97);
    std::iota(from.row.begin(), from.row.end(), 1000);
    std::vector<int64_t> mixed(97);
    std::iota(mixed.begin(), mixed.end(), 0);
    const std::vector<int64_t> all = mixed;
    std::shuffle(mixed.begin(), mixed.end(), random);
    for (const auto& rows : {all,
                             mixed,
                             std::vector<int64_t>{40, 41, 42, 43},
                             std::vector<int64_t>{96},
                             std::vector<int64_t>{7, 7, 3},
                             {}}) {
      Journeys one_by_one;
      Journeys at_once;
      for (int repeat = 0; repeat < 2; ++repeat) {  // also onto what is there
        for (const int64_t row : rows) one_by_one.append(from, row, schema);
        at_once.append_rows(from, rows, schema);
      }
      expect_same_bytes(at_once, one_by_one);
    }
  }
}

TEST(Journeys, AppendingRowsSkipsColumnsThatWereNotRead) {
  const LogSchema schema = full_schema();
  Journeys from = make_rows(schema, 20, 3);
  from.item.clear();
  from.dense.clear();
  Journeys out;
  const std::vector<int64_t> rows{4, 2, 11};
  out.append_rows(from, rows, schema);
  EXPECT_EQ(out.size(), 3);
  EXPECT_TRUE(out.item.empty());
  EXPECT_TRUE(out.dense.empty());
  EXPECT_EQ(out.user[2], from.user[11]);
}

}  // namespace
}  // namespace alm::io
