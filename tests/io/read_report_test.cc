// Bad rows by kind, and files that change under the reader.
#include "io/read_report.h"

#include <gtest/gtest.h>

#include <chrono>

#include "log_cases.h"

namespace alm::io {
namespace {

TEST(ReadReport, KindsCountRowsOnceAndShowTheFirstOnes) {
  const TemporaryFolder folder;
  LogSchema schema = full_schema();
  schema.block_rows = 100;  // kinds add up over blocks
  Journeys rows = make_rows(schema, 1000, 1);
  int64_t late = 0;
  for (int64_t row = 5; row < 1000; row += 7) {
    if (rows.touches_of(row) == 0) continue;
    const auto begin = static_cast<size_t>(rows.touch_begin[static_cast<size_t>(row)]);
    const auto end = static_cast<size_t>(rows.touch_begin[static_cast<size_t>(row) + 1]);
    for (size_t touch = begin; touch < end; ++touch) {
      rows.touch_time[touch] = rows.time[static_cast<size_t>(row)];
      rows.mediator_time[touch] = -1;
    }
    ++late;
  }
  size_t twice = 5;
  while (rows.touches_of(static_cast<int64_t>(twice)) == 0) twice += 7;
  rows.weight[twice] = -1;  // in two ways
  rows.weight[2] = -1;      // the very first bad row
  write_log(folder / "log.h5", schema, rows);
  const auto log = Log::open({folder / "log.h5"}, {.on_bad_row = OnBadRow::skip});
  ReadReport report;
  Journeys block;
  for (size_t number = 0; number < log->blocks().size(); ++number) {
    report.add(log->read_block(static_cast<int64_t>(number), ColumnSet::all(), block));
  }
  EXPECT_EQ(report.bad_rows, late + 1);
  EXPECT_EQ(report.rows, 1000 - late - 1);
  ASSERT_EQ(report.bad_kinds.size(), 2u);
  EXPECT_EQ(report.bad_kinds[0].what, "/journey/weight: not a weight");
  EXPECT_EQ(report.bad_kinds[0].rows, 2);
  EXPECT_EQ(report.bad_kinds[1].what, "/touch/time: not before the outcome window");
  EXPECT_EQ(report.bad_kinds[1].rows, late);
  ASSERT_EQ(report.bad_kinds[1].examples.size(), BadKind::kMostExamples);
  EXPECT_NE(report.bad_kinds[1].examples[0].find(format("row %zu (touch", twice)),
            std::string::npos);
  EXPECT_EQ(report.first_bad_row, report.bad_kinds[0].examples[0]);

  ReadReport merged;
  merged.add_packed_kinds(report.packed_kinds());
  merged.add_packed_kinds(report.packed_kinds());
  EXPECT_EQ(merged.bad_kinds[1].rows, 2 * late);
  EXPECT_EQ(merged.bad_kinds[1].examples, report.bad_kinds[1].examples);
  EXPECT_EQ(bad_rows_text(report),
            format("%lld bad rows (2 /journey/weight: not a weight, %lld /touch/time: not before "
                   "the outcome window); the first: %s",
                   static_cast<long long>(late + 1), static_cast<long long>(late),
                   report.first_bad_row.c_str()));
  EXPECT_EQ(bad_rows_text({}), "");
}

TEST(ReadReport, WeightsAndTruthTooLargeForExactSumsAreBad) {
  const TemporaryFolder folder;
  const LogSchema schema = full_schema();
  for (const bool weight : {true, false}) {
    Journeys rows = make_rows(schema, 20, 2);
    (weight ? rows.weight : rows.p_do)[3] = 3e38f;
    write_log(folder / "log.h5", schema, rows);
    std::filesystem::remove(folder / "log.h5.index");
    const std::string message = user_error([&] { read_all(*Log::open({folder / "log.h5"}, {})); });
    EXPECT_NE(message.find("row 3"), std::string::npos) << message;
  }
}

TEST(ChangingFile, IsRefusedWhateverItsSize) {
  const TemporaryFolder folder;
  const LogSchema schema = small_schema();
  const std::string path = folder / "log.h5";
  write_log(path, schema, make_rows(schema, 500, 3));
  const auto log = Log::open({path}, {});
  EXPECT_EQ(read_all(*log).size(), 500);
  const std::string whole = file_bytes(path);
  write_bytes(path, whole + "more");
  EXPECT_NE(user_error([&] { read_all(*log); }).find("log.h5"), std::string::npos);
  write_bytes(path, whole);  // the same bytes and size, written later
  std::filesystem::last_write_time(
      path, std::filesystem::last_write_time(path) + std::chrono::seconds(2));
  EXPECT_NE(user_error([&] { read_all(*log); }).find("changed while it was read"),
            std::string::npos);
  std::filesystem::remove(path);
  EXPECT_NE(user_error([&] { read_all(*log); }).find("log.h5"), std::string::npos);
}

}  // namespace
}  // namespace alm::io
