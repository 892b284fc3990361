// Logs written and read by plain h5py (Debian's) and h5dump.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "log_cases.h"
#include "tests/source_dir.h"

namespace alm::io {
namespace {

bool h5py_is_here() {
  return std::system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") == 0;
}

void run_script(const std::string& arguments) {
  const std::string line =
      "/usr/bin/python3 '" + source_dir() + "/tests/io/log_h5py.py' " + arguments;
  ASSERT_EQ(std::system(line.c_str()), 0) << line;
}

// The rule of columns() in log_h5py.py.
Journeys rows_of_the_script() {
  Journeys rows;
  for (int64_t row = 0; row < 701; ++row) {
    rows.row.push_back(row);
    rows.user.push_back(static_cast<uint64_t>(row * 7 + 1));
    rows.outcome.push_back(row % 5 == 0);
    rows.dense.push_back(static_cast<float>(row) / 8);
    rows.dense.push_back(static_cast<float>(-row));
    for (int64_t touch = 0; touch < row % 4; ++touch) {
      rows.mediator.push_back(static_cast<uint8_t>(rows.cluster.size() % 2));
      rows.cluster.push_back(static_cast<uint32_t>(rows.cluster.size() % 10));
    }
    rows.touch_begin.push_back(rows.touch_begin.back() + row % 4);
  }
  return rows;
}

bool any_contains(const std::vector<std::string>& lines, const std::string& part) {
  for (const std::string& line : lines) {
    if (line.find(part) != std::string::npos) return true;
  }
  return false;
}

TEST(LogAndH5py, LogsWrittenByH5pyLoadInEveryTypeAndLayout) {
  if (!h5py_is_here()) GTEST_SKIP() << "h5py is not installed (Debian: python3-h5py)";
  const TemporaryFolder folder;
  run_script("write '" + folder.path() + "'");
  const Journeys expected = rows_of_the_script();
  for (const std::string types : {"table", "wide", "odd"}) {
    for (const std::string layout :
         {"contiguous", "gzip", "tiles", "checked", "plain_checked", "lzf"}) {
      for (const std::string version : {"earliest", "latest"}) {
        const std::string path = folder / (types + "-" + layout + "-" + version + ".h5");
        SCOPED_TRACE(path);
        if (layout == "lzf") {  // a filter of h5py's own
          const std::string text = user_error([&] { Log::open({path}, {}); });
          EXPECT_NE(text.find("32000 (lzf)"), std::string::npos) << text;
          continue;
        }
        const auto log = Log::open({path}, {});
        expect_same(read_all(*log), expected);
        EXPECT_EQ(log->schema().dense_names, (std::vector<std::string>{"first", "zweite Größe"}));
        EXPECT_EQ(any_contains(log->warnings(), "/touch/mediator: damage there cannot be seen"),
                  layout == "contiguous");
        EXPECT_EQ(any_contains(log->warnings(), "old format"), version == "earliest");
      }
    }
  }
}

TEST(LogAndH5py, AnUnknownFilterIsNamed) {
  if (!h5py_is_here()) GTEST_SKIP() << "h5py is not installed (Debian: python3-h5py)";
  const TemporaryFolder folder;
  run_script("write '" + folder.path() + "'");
  const std::string text = user_error([&] { Log::open({folder / "filter.h5"}, {}); });
  EXPECT_NE(text.find("/journey/user: uses filter 32013 (zfp)"), std::string::npos) << text;
  const std::string unwritten = user_error([&] { Log::open({folder / "unwritten.h5"}, {}); });
  EXPECT_NE(unwritten.find("1 of its 8 chunks were never written"), std::string::npos) << unwritten;
}

TEST(LogAndH5py, OursOpenInH5pyAndH5dump) {
  if (!h5py_is_here()) GTEST_SKIP() << "h5py is not installed (Debian: python3-h5py)";
  if (std::system("h5dump --version >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "h5dump is not installed (Debian: hdf5-tools)";
  }
  const TemporaryFolder folder;
  const LogSchema schema = full_schema();
  const Journeys rows = make_rows(schema, 50021, 31);
  const std::string path = folder / "log.h5";
  write_log(path, schema, rows);
  for_each_column([&](const auto& column) {
    std::string name = column.path;
    std::replace(name.begin(), name.end(), '/', '.');
    const auto& values = rows.*column.values;
    std::string bytes(reinterpret_cast<const char*>(values.data()),
                      values.size() * sizeof(values[0]));
    if (column.slot == kOutcomeSlot) bytes.assign(rows.outcome.begin(), rows.outcome.end());
    write_bytes(path + name, bytes);
  });
  write_bytes(
      path + ".journey.touch_begin",
      {reinterpret_cast<const char*>(rows.touch_begin.data()), rows.touch_begin.size() * 8});
  run_script("read '" + path + "'");
}

}  // namespace
}  // namespace alm::io
