#include "io/import.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "io/codec.h"
#include "io/log_writer.h"
#include "kernels/base/check.h"
#include "kernels/base/stop_flag.h"
#include "table_folder.h"
#include "tests/source_dir.h"

namespace alm::io {
namespace {

namespace fs = std::filesystem;

class Import : public TableFolder {
 protected:
  ImportSummary run(const std::string& table, const Mapping& mapping,
                    OnBadRow on_bad_row = OnBadRow::fail) {
    fs::remove_all(folder_ / "out");
    return import_tables({table}, mapping, (folder_ / "out").string(), {on_bad_row});
  }

  // What the log just written holds, through the reader.
  Journeys log() {
    LogOptions options;
    opened_ = Log::open({(folder_ / "out").string()}, options);
    Journeys all, block;
    for (int64_t number = 0; number < static_cast<int64_t>(opened_->blocks().size()); ++number) {
      opened_->read_block(number, ColumnSet::all(), block);
      for (int64_t row = 0; row < block.size(); ++row) all.append(block, row, opened_->schema());
    }
    return all;
  }

  std::string error_of(const std::string& table, const Mapping& mapping) {
    try {
      run(table, mapping);
    } catch (const UserError& error) {
      EXPECT_FALSE(fs::exists(folder_ / "out"));
      EXPECT_FALSE(fs::exists(folder_ / "out.tmp"));
      EXPECT_FALSE(fs::exists(folder_ / "out.spill"));
      return error.what();
    }
    return "no error";
  }

  std::shared_ptr<const Log> opened_;
};

const char* const kArms =
    "[file]\nform = journey\nreference_arm = a\n"
    "[columns]\ncluster = arm\noutcome = y\nmediator = m\ndense = x\n";
const char* const kTouches =
    "[file]\nform = touch\n"
    "[columns]\nuser = u\njourney = j\ncluster = k\noutcome = y\ntime = w\ntouch_time = t\n";
const char* const kEvents =
    "[file]\nform = event\n"
    "[columns]\nuser = u\ncluster = k\noutcome = y\ntouch_time = t\n";

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

// One zstd frame, by the encoder of the log's chunks.
std::string zstd_of(const std::string& text) {
  Buffer chunk, scratch;
  std::memcpy(chunk.resize(text.size()), text.data(), text.size());
  const std::vector<Filter> filters = {{kFilterZstd, 0}};
  encode_chunk(filters, chunk, scratch);
  return {reinterpret_cast<const char*>(chunk.data()), chunk.size()};
}

// The fenced blocks of a Markdown text in one language.
std::vector<std::string> fenced(const std::string& text, const std::string& language) {
  std::vector<std::string> blocks;
  const std::string fence = "```" + language + "\n";
  for (size_t at = text.find(fence); at != text.npos; at = text.find(fence, at + 1)) {
    const size_t begin = at + fence.size();
    blocks.push_back(text.substr(begin, text.find("```", begin) - begin));
  }
  return blocks;
}

std::string documentation() {
  std::ifstream file(source_dir() + "/docs/import.md");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_F(Import, DocumentationShowsAndDescribesEveryKey) {
  const std::string text = documentation();
  std::string examples;
  for (const std::string& block : fenced(text, "ini")) examples += block;
  const auto expect_key = [&](const std::string& name) {
    expect_contains(examples, "\n" + name + " = ");
    expect_contains(text, "| `" + name + "` |");
  };
  for (const MappingKey& key : mapping_keys()) {
    expect_key(key.name);
    if (key.path[0] != '\0') {
      expect_contains(text, std::string("| `") + key.name + "` | `" + key.path + "` |");
    }
  }
  for (const char* key : mapping_file_keys()) expect_key(key);
  for (const char* key : mapping_window_keys()) expect_key(key);
}

TEST_F(Import, FirstExampleOfTheDocumentationMakesTheArmLogItDescribes) {
  const std::string text = documentation();
  const std::string table = write("table.csv", fenced(text, "csv").at(0));
  const ImportSummary summary = run(table, parse_mapping(fenced(text, "ini").at(0), "docs"));
  EXPECT_EQ(summary.rows_kept, 3);
  const Journeys journeys = log();
  const LogSchema& schema = opened_->schema();
  EXPECT_EQ(schema.cluster_names, (std::vector<std::string>{"mail", "no mail"}));
  EXPECT_EQ(schema.reference_cluster, 1);
  EXPECT_EQ(schema.outcome, OutcomeKind::binary);
  EXPECT_EQ(schema.dense_names, (std::vector<std::string>{"age"}));
  EXPECT_EQ(journeys.user, (std::vector<uint64_t>{7, 8, label_id("anna")}));
  EXPECT_EQ(journeys.time, (std::vector<int64_t>{1714521600000, 1714564800000, 1714638600000}));
  EXPECT_EQ(journeys.cluster, (std::vector<uint32_t>{0, 1, 0}));
  EXPECT_EQ(journeys.mediator, (std::vector<uint8_t>{1, 255, 0}));
  EXPECT_EQ(journeys.outcome, (std::vector<float>{1, 0, 0}));
  EXPECT_EQ(journeys.weight, (std::vector<float>{1, 4, 4}));
  EXPECT_EQ(journeys.dense[0], 31);
  EXPECT_TRUE(std::isnan(journeys.dense[1]));
  EXPECT_EQ(journeys.dense[2], 28.5f);
  EXPECT_EQ(journeys.cat, (std::vector<int64_t>{signed_label_id("Kiel"), signed_label_id("Ulm"),
                                                signed_label_id("")}));
  EXPECT_EQ(journeys.propensity, (std::vector<float>{0.5, 0.5, 0.5}));
  EXPECT_EQ(journeys.randomised, (std::vector<uint8_t>{1, 1, 0}));
}

TEST_F(Import, SecondExampleOfTheDocumentationMakesTheSequenceLogItDescribes) {
  const std::string text = documentation();
  const std::string table = write("table.csv", fenced(text, "csv").at(1));
  const ImportSummary summary = run(table, parse_mapping(fenced(text, "ini").at(1), "docs"));
  EXPECT_EQ(summary.rows_read, 4);
  EXPECT_EQ(summary.journeys, 3);
  EXPECT_EQ(summary.touches, 3);
  const Journeys journeys = log();
  const LogSchema& schema = opened_->schema();
  EXPECT_FALSE(schema.is_arm_log());
  EXPECT_EQ(schema.cluster_names, (std::vector<std::string>{"cats", "dance"}));
  EXPECT_EQ(schema.proxy_names, (std::vector<std::string>{"v1", "v2"}));
  EXPECT_EQ(schema.proxy_leaky, (std::vector<uint8_t>{0, 1}));
  EXPECT_EQ(journeys.user, (std::vector<uint64_t>{1, 2, 1}));
  EXPECT_EQ(journeys.touch_begin, (std::vector<int64_t>{0, 2, 2, 3}));
  EXPECT_EQ(journeys.touch_time, (std::vector<int64_t>{10000, 20000, 30000}));
  EXPECT_EQ(journeys.time, (std::vector<int64_t>{100000, 100000, 100000}));
  EXPECT_EQ(journeys.outcome_time, (std::vector<int64_t>{150000, -1, -1}));
  EXPECT_EQ(journeys.cluster, (std::vector<uint32_t>{0, 1, 0}));
  EXPECT_EQ(journeys.item, (std::vector<uint64_t>{901, 900, 901}));
  EXPECT_EQ(journeys.mediator, (std::vector<uint8_t>{0, 1, 255}));
  EXPECT_EQ(journeys.mediator_time, (std::vector<int64_t>{-1, 25000, -1}));
  EXPECT_EQ(journeys.proxy, (std::vector<uint8_t>{0, 1, 1, 1, 255, 0}));
  EXPECT_EQ(journeys.touch_dense, (std::vector<float>{60, 12.5, 60}));
  EXPECT_EQ(journeys.touch_cat[1], signed_label_id("short"));
  EXPECT_EQ(journeys.match[1], 0.71f);
  EXPECT_TRUE(std::isnan(journeys.match[2]));
}

TEST_F(Import, TheDressOfATableDoesNotMatter) {
  const Mapping mapping = parse_mapping(kArms, "arms");
  const std::string plain = "arm,y,m,x\na,1,0,2.5\n\"b, \"\"2\"\"\nand more\",0,1,-1e3\na,1,,\n";
  std::string crlf;
  for (const char letter : plain) crlf += letter == '\n' ? "\r\n" : std::string(1, letter);
  std::string tabs = plain;
  for (size_t at = 0; at < tabs.size(); ++at) {
    if (tabs[at] == ',' && tabs.compare(at, 2, ", ") != 0) tabs[at] = '\t';
  }
  const auto expect_same = [&](const std::string& table, const std::string& second) {
    SCOPED_TRACE(table);
    run(table, mapping);
    const Journeys journeys = log();
    EXPECT_EQ(opened_->schema().cluster_names, (std::vector<std::string>{"a", second}));
    EXPECT_EQ(journeys.cluster, (std::vector<uint32_t>{0, 1, 0}));
    EXPECT_EQ(journeys.user, (std::vector<uint64_t>{0, 1, 2}));
    EXPECT_EQ(journeys.outcome, (std::vector<float>{1, 0, 1}));
    EXPECT_EQ(journeys.mediator, (std::vector<uint8_t>{0, 1, 255}));
    EXPECT_EQ(journeys.dense[0], 2.5f);
    EXPECT_EQ(journeys.dense[1], -1000.0f);
    EXPECT_TRUE(std::isnan(journeys.dense[2]));
  };
  const std::string lf_name = "b, \"2\"\nand more";
  expect_same(write("plain.csv", plain), lf_name);
  expect_same(write("bom.csv", "\xEF\xBB\xBF" + plain), lf_name);
  expect_same(write("no_end.csv", plain.substr(0, plain.size() - 1)), lf_name);
  expect_same(write("blank_lines.csv", "\n" + plain + "\n  \n\n"), lf_name);
  expect_same(write("crlf.csv", crlf), "b, \"2\"\r\nand more");
  expect_same(write("tabs.tsv", tabs), lf_name);
  const std::string packed = (folder_ / "packed.csv.gz").string();
  gzFile file = gzopen(packed.c_str(), "wb");
  gzwrite(file, plain.data(), static_cast<unsigned>(plain.size()));
  gzclose(file);
  expect_same(packed, lf_name);
  expect_same(write("packed.csv.zst", zstd_of(plain)), lf_name);
  // Two frames one after the other, as `cat a.zst b.zst` makes them.
  expect_same(write("frames.csv.zst", zstd_of(plain.substr(0, 9)) + zstd_of(plain.substr(9))),
              lf_name);
}

TEST_F(Import, AZstdFileLargerThanAnyBufferIsReadWhole) {
  std::string text = "arm,y,m,x\n";
  for (int64_t row = 0; row < 100003; ++row) text += "a,1,0," + std::to_string(row) + "\n";
  const ImportSummary summary =
      run(write("large.csv.zst", zstd_of(text)), parse_mapping(kArms, "arms"));
  EXPECT_EQ(summary.rows_kept, 100003);
  const Journeys journeys = log();
  for (int64_t row = 0; row < 100003; ++row) {
    ASSERT_EQ(journeys.dense[static_cast<size_t>(row)], static_cast<float>(row));
  }
}

TEST_F(Import, ErrorsNameFileLineAndColumn) {
  const Mapping mapping = parse_mapping(kArms, "arms");
  const std::string head = "arm,y,m,x\na,1,0,2\n\"b\nb\",1,1,3\n\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a,1,0,2z\n", "line 6, column 'x': '2z' is not a number"},
      {"a,1,0,inf\n", "line 6, column 'x': 'inf' is not a number"},
      {"a,1,0,1e99\n", "line 6, column 'x': '1e99' is not a number"},
      {"a,1,0,0x10\n", "line 6, column 'x': '0x10' is not a number"},
      {"a,nan,0,1\n", "line 6, column 'y': 'nan' is not a number"},
      {"a,,0,1\n", "line 6, column 'y': is missing"},
      {",1,0,1\n", "line 6, column 'arm': is missing"},
      {"a,1,2,1\n", "line 6, column 'm': '2' is not 0 or 1"},
      {"a,1,0\n", "line 6: 3 fields where the header has 4"},
      {"a,1,0,1,\n", "line 6: 5 fields where the header has 4"},
      {"a,1,0,1\na,1,0,x\n", "line 7, column 'x'"},
      {"a,1e13,0,1\n", "line 6, column 'y': '1e13' is too large for an outcome"},
      {std::string(257, 'n') + ",1,0,1\n", "is longer than 256 bytes"},
      {std::string("n\0n", 3) + ",1,0,1\n", "line 6, column 'arm': holds a zero byte"},
      {"a,\"1\"1,0,1\n", "line 6, column 2: a quote in the wrong place"},
      {"a,1,\"0,1\nc,1,0,1\n", "line 6, column 3: the closing quote is missing"},
  };
  for (const auto& [row, expected] : cases) {
    const std::string table = write("bad.csv", head + row);
    const std::string error = error_of(table, mapping);
    expect_contains(error, table + ", ");
    expect_contains(error, expected);
  }
}

TEST_F(Import, FoldersThatCannotBeMadeAreRefusedInOneLine) {
  const std::string table = write("table.csv", "arm,y,m,x\na,1,1,1\n");
  const std::string out = table + "/log";
  try {
    import_tables({table}, parse_mapping(kArms, "arms"), out, {});
    FAIL() << "made a folder in a file";
  } catch (const UserError& error) {
    expect_contains(error.what(), out + ": cannot be made: Not a directory; --out names a new");
  }
}

TEST_F(Import, FilesThatAreNoTablesAreRefusedInOneLine) {
  const Mapping mapping = parse_mapping(kArms, "arms");
  expect_contains(error_of((folder_ / "none.csv").string(), mapping), "none.csv: cannot be opened");
  expect_contains(error_of(folder_.string(), mapping), "cannot be read");
  expect_contains(error_of(write("empty.csv", ""), mapping), "is empty");
  expect_contains(error_of(write("head.csv", "arm,y,m,x\n"), mapping),
                  "head.csv: no row is left to import (0 read)");
  expect_contains(error_of(write("names.csv", "arm,y,m,z\na,1,1,1\n"), mapping),
                  "no column is called 'x'; there are arm, y, m, z");
  expect_contains(error_of(write("semicolons.csv", "arm;y;m;x\na;1;1;1\n"), mapping),
                  "there are arm;y;m;x; if that is several, give separator under [file]");
  expect_contains(error_of(write("twice.csv", "arm,y,m,x,x\na,1,1,1,1\n"), mapping),
                  "two columns are called 'x'");
  expect_contains(error_of(write("wide.csv", std::string("\xFF\xFE") + "a"), mapping), "UTF-16");
  expect_contains(error_of(write("arms.csv", "arm,y,m,x\nb,1,1,1\n"), mapping),
                  "the reference_arm 'a' does not occur; the arms are b");
  expect_contains(
      error_of(write("quote.csv", "arm,y,m,x\n\"" + std::string(1 << 21, 'q')), mapping),
      "is a closing quote missing?");
  // A small gzip file unpacks to any number of separators.
  expect_contains(
      error_of(write("commas.csv", "arm,y,m,x\na,1,0," + std::string(3 << 20, ',')), mapping),
      "commas.csv, line 2: a row of more than 1,048,576 fields");
}

TEST_F(Import, AZstdFileCutOffOrDamagedIsRefused) {
  std::string text = "arm,y,m,x\n";
  for (int64_t row = 0; row < 3000; ++row)
    text += "a,1,0," + std::to_string(row * 7919 % 997) + "\n";
  const std::string whole = zstd_of(text);
  const Mapping mapping = parse_mapping(kArms, "arms");
  for (const size_t left : {size_t{5}, whole.size() / 2, whole.size() - 1}) {
    expect_contains(error_of(write("cut.csv.zst", whole.substr(0, left)), mapping), "is cut off");
  }
  expect_contains(error_of(write("damaged.csv.zst", whole + "garbage"), mapping), "is damaged");
}

TEST_F(Import, AGzipFileCutOffIsRefused) {
  const std::string whole = (folder_ / "whole.csv.gz").string();
  std::string text = "arm,y,m,x\n";
  for (int64_t row = 0; row < 3000; ++row)
    text += "a,1,0," + std::to_string(row * 7919 % 997) + "\n";
  gzFile file = gzopen(whole.c_str(), "wb");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  const auto size = fs::file_size(whole);
  for (const auto left : {size / 2, size - 1}) {
    const std::string cut = (folder_ / "cut.csv.gz").string();
    fs::copy_file(whole, cut, fs::copy_options::overwrite_existing);
    fs::resize_file(cut, left);
    expect_contains(error_of(cut, parse_mapping(kArms, "arms")), "cut.csv.gz");
  }
}

TEST_F(Import, SkippedRowsAreCountedByReason) {
  const std::string table = write("table.csv",
                                  "arm,y,m,x\na,1,0,1\na,1,0,z\nb,0,1,2\na,1,7,3\na,q,0,z\n"
                                  "a,1\nb,1,1,z\n");
  const ImportSummary summary = run(table, parse_mapping(kArms, "arms"), OnBadRow::skip);
  EXPECT_EQ(summary.rows_read, 7);
  EXPECT_EQ(summary.rows_kept, 2);
  EXPECT_EQ(summary.dropped,
            (std::map<std::string, int64_t>{{"column 'x' is not a number", 2},
                                            {"column 'm' is not 0 or 1", 1},
                                            {"column 'y' is not a number", 1},
                                            {"number of fields differs from the header", 1}}));
  EXPECT_EQ(summary.first_bad_row, table + ", line 3, column 'x': 'z' is not a number");
  EXPECT_EQ(log().user, (std::vector<uint64_t>{0, 2}));  // row numbers of the table
}

TEST_F(Import, TouchesAreSortedByTimeAndEqualTimesKeepTheirOrder) {
  const std::string table = write("table.csv",
                                  "u,j,k,y,w,t\n1,p,c,0,99,30\n2,q,d,1,99,5\n1,p,b,0,99,10\n"
                                  "1,p,a,0,99,10\n2,q,a,1,99,4\n1,p,d,0,99,20\n");
  run(table, parse_mapping(kTouches, "touches"));
  const Journeys journeys = log();
  EXPECT_EQ(journeys.touch_begin, (std::vector<int64_t>{0, 4, 6}));
  EXPECT_EQ(journeys.touch_time, (std::vector<int64_t>{10, 10, 20, 30, 4, 5}));
  EXPECT_EQ(journeys.cluster, (std::vector<uint32_t>{1, 0, 3, 2, 0, 3}));
}

TEST_F(Import, JourneyColumnsThatDisagreeAreNamedWithBothLines) {
  const std::string table =
      write("table.csv", "u,j,k,y,w,t\n1,p,a,0,99,1\n2,q,a,1,99,2\n1,p,a,1,99,3\n");
  expect_contains(
      error_of(table, parse_mapping(kTouches, "touches")),
      "line 4, column 'y': differs from the journey's first row (" + table + ", line 2)");
}

TEST_F(Import, ABadRowTakesItsWholeJourneyWithIt) {
  const std::string table = write("table.csv",
                                  "u,j,k,y,w,t\n1,p,a,0,99,1\n2,q,a,1,99,2\n1,p,a,1,99,3\n"
                                  "3,r,b,0,99,x\n1,p,c,0,99,4\n3,r,a,0,99,4\n4,s,a,0,99,99\n");
  const ImportSummary summary = run(table, parse_mapping(kTouches, "touches"), OnBadRow::skip);
  EXPECT_EQ(summary.rows_read, 7);
  EXPECT_EQ(summary.rows_kept, 1);
  EXPECT_EQ(summary.journeys, 1);
  EXPECT_EQ(summary.journeys_dropped, 3);
  EXPECT_EQ(summary.dropped, (std::map<std::string, int64_t>{
                                 {"column 'y' differs within a journey", 1},
                                 {"column 't' is not a time", 1},
                                 {"column 't' is not before the outcome window starts", 1},
                                 {"another row of the journey is bad", 3}}));
  const Journeys journeys = log();
  EXPECT_EQ(journeys.user, (std::vector<uint64_t>{2}));
  // Clusters that only dropped journeys touch are none.
  EXPECT_EQ(opened_->schema().cluster_names, (std::vector<std::string>{"a"}));
}

TEST_F(Import, TimesOutOfOrderAreBad) {
  const Mapping mapping = parse_mapping(
      "[file]\nform=touch\n[columns]\nuser=u\ncluster=k\noutcome=y\ntime=w\ntouch_time=t\n"
      "mediator_time=mt\noutcome_time=yt\n",
      "times");
  const auto error = [&](const std::string& row) {
    return error_of(write("table.csv", "u,k,y,w,t,mt,yt\n" + row), mapping);
  };
  expect_contains(error("1,a,1,10,10,,\n"), "column 't': is not before the outcome window starts");
  expect_contains(error("1,a,1,10,5,4,\n"), "column 'mt': is before the touch");
  expect_contains(error("1,a,1,10,5,21,20\n"), "column 'mt': is after the outcome");
  expect_contains(error("1,a,1,10,5,20,20\n"), "no error");
}

TEST_F(Import, TakesWeightsThatReadingTakes) {
  const Mapping mapping = parse_mapping(std::string(kArms) + "weight = w\n", "arms");
  const auto error = [&](const std::string& weight) {
    return error_of(write("table.csv", "arm,y,m,x,w\na,1,0,1," + weight + "\n"), mapping);
  };
  expect_contains(error("-0.5"), "column 'w': '-0.5' is a negative weight");
  expect_contains(error("1000001"), "column 'w': '1000001' is too large a weight");
  expect_contains(error("1e6"), "no error");
  EXPECT_EQ(log().weight, (std::vector<float>{1e6f}));
  expect_contains(error("0"), "no error");
  EXPECT_EQ(log().weight, (std::vector<float>{0}));
}

TEST_F(Import, WholeNumberClustersAreSortedBySize) {
  const std::string table =
      write("t.csv", "u,j,k,y,w,t\n1,p,10,0,9,1\n1,p,9,0,9,2\n1,p,-1,0,9,3\n");
  run(table, parse_mapping(kTouches, "touches"));
  EXPECT_EQ(log().cluster, (std::vector<uint32_t>{2, 1, 0}));
  EXPECT_EQ(opened_->schema().cluster_names, (std::vector<std::string>{"-1", "9", "10"}));
}

TEST_F(Import, SeveralTablesMayOrderTheirColumnsDifferently) {
  const std::string one = write("one.csv", "arm,y,m,x\na,1,0,1\n");
  const std::string two = write("two.csv", "x,extra,m,y,arm\n5,,1,0,b\n");
  const std::string out = (folder_ / "out").string();
  import_tables({one, two}, parse_mapping(kArms, "arms"), out, {});
  const Journeys journeys = log();
  EXPECT_EQ(journeys.dense, (std::vector<float>{1, 5}));
  EXPECT_EQ(journeys.user, (std::vector<uint64_t>{0, 1}));
}

TEST_F(Import, ALogIsCutIntoFilesByRows) {
  std::string text = "arm,y,m,x\n";
  for (int64_t row = 0; row < 23; ++row) {
    text += (row % 2 != 0 ? "a" : "b") + (",1.5,0," + std::to_string(row) + "\n");
  }
  ImportOptions options;
  options.rows_per_file = 10;
  const ImportSummary summary =
      import_tables({write("table.csv", text)}, parse_mapping(kArms, "arms"),
                    (folder_ / "out").string(), options);
  ASSERT_EQ(summary.files.size(), 3u);
  EXPECT_TRUE(summary.files[2].ends_with("/out/part-00002.h5"));
  const Journeys journeys = log();
  EXPECT_EQ(opened_->files()[2].rows, 3);
  EXPECT_EQ(opened_->schema().outcome, OutcomeKind::continuous);
  for (int64_t row = 0; row < 23; ++row) {
    EXPECT_EQ(journeys.dense[static_cast<size_t>(row)], static_cast<float>(row));
  }
}

// Several processes in one: threads that meet wherever all of them gather.
class Gathering {
 public:
  explicit Gathering(int64_t ranks) : barrier_(ranks), all_(static_cast<size_t>(ranks)) {}
  ImportRanks of_rank(int64_t rank) {
    return {.rank = rank,
            .ranks = static_cast<int64_t>(all_.size()),
            .all_gather = [=, this](const std::string& mine) { return gather(rank, mine); },
            .together = [=, this](const std::function<void()>& body) { together(rank, body); },
            .alarm = [this] { return alarm_.load(); }};
  }

 private:
  std::vector<std::string> gather(int64_t rank, const std::string& mine) {
    all_[static_cast<size_t>(rank)] = mine;
    barrier_.arrive_and_wait();
    const std::vector<std::string> gathered = all_;
    barrier_.arrive_and_wait();
    return gathered;
  }
  void together(int64_t rank, const std::function<void()>& body) {
    std::string error;
    try {
      body();
    } catch (const UserError& thrown) {
      error = thrown.what();
      alarm_ = true;
    }
    for (const std::string& each : gather(rank, error)) {
      if (!each.empty()) throw UserError(each);
    }
  }

  std::atomic<bool> alarm_{false};
  std::barrier<> barrier_;
  std::vector<std::string> all_;
};

// Imports on `ranks` threads; the first rank's error, which all must have.
std::string import_on(int64_t ranks, const std::vector<std::string>& tables, const Mapping& mapping,
                      const std::string& out, ImportOptions options,
                      ImportSummary* summary = nullptr) {
  Gathering gathering(ranks);
  std::vector<std::string> errors(static_cast<size_t>(ranks));
  std::vector<std::thread> threads;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      ImportOptions mine = options;
      mine.ranks = gathering.of_rank(rank);
      try {
        const ImportSummary made = import_tables(tables, mapping, out, mine);
        if (rank == ranks - 1 && summary != nullptr) *summary = made;
      } catch (const UserError& error) {
        errors[static_cast<size_t>(rank)] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& error : errors) EXPECT_EQ(error, errors[0]);
  return errors[0];
}

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

// Rows of many journeys, shuffled over several tables.
std::vector<std::string> many_touches(int64_t journeys) {
  std::vector<std::string> rows;
  for (int64_t journey = 0; journey < journeys; ++journey) {
    for (int64_t touch = 0; touch <= journey % 5; ++touch) {
      rows.push_back(format(
          "%lld,j%lld,c%lld,%lld,1000,%lld\n", static_cast<long long>(journey / 2),
          static_cast<long long>(journey), static_cast<long long>((journey + touch) % 7),
          static_cast<long long>(journey % 2), static_cast<long long>(touch * 3 + journey % 11)));
    }
  }
  std::mt19937 random(7);
  std::shuffle(rows.begin(), rows.end(), random);
  std::vector<std::string> tables(5, "u,j,k,y,w,t\n");
  for (size_t row = 0; row < rows.size(); ++row) tables[row % 7 % 5] += rows[row];
  return tables;
}

TEST_F(Import, TheLogIsTheSameForAnyNumberOfRanks) {
  std::vector<std::string> tables;
  for (const std::string& text : many_touches(997)) {
    tables.push_back(write(format("table%zu.csv", tables.size()), text));
  }
  ImportOptions options;
  options.lot_bytes = 1000;  // several lots, and partitions of several goes
  options.rows_per_file = 300;
  const Mapping mapping = parse_mapping(kTouches, "touches");
  for (const int64_t ranks : {1, 2, 3, 7}) {
    const std::string out = (folder_ / format("out%lld", static_cast<long long>(ranks))).string();
    ImportSummary summary;
    EXPECT_EQ(import_on(ranks, tables, mapping, out, options, &summary), "");
    EXPECT_EQ(summary.journeys, 997);
    ASSERT_EQ(summary.files.size(), 4u);
    EXPECT_FALSE(fs::exists(out + ".spill"));
    for (int64_t file = 0; file < 4; ++file) {
      const std::string name = log_file_name(file);
      EXPECT_EQ(bytes_of(fs::path(out) / name), bytes_of(folder_ / "out1" / name)) << ranks;
    }
  }
}

TEST_F(Import, ManySmallLotsHoldEveryJourneyWholeAndOnce) {
  std::vector<std::string> tables;
  for (const std::string& text : many_touches(499)) {
    tables.push_back(write(format("table%zu.csv", tables.size()), text));
  }
  ImportOptions options;
  options.lot_bytes = 300;
  import_tables(tables, parse_mapping(kTouches, "touches"), (folder_ / "out").string(), options);
  const Journeys journeys = log();
  ASSERT_EQ(journeys.size(), 499);
  // A journey is known by its user and outcome: two of each user, of different parity.
  std::set<std::pair<uint64_t, float>> seen;
  for (int64_t row = 0; row < 499; ++row) {
    const auto at = static_cast<size_t>(row);
    const auto journey =
        static_cast<int64_t>(2 * journeys.user[at]) + static_cast<int64_t>(journeys.outcome[at]);
    EXPECT_TRUE(seen.insert({journeys.user[at], journeys.outcome[at]}).second);
    ASSERT_EQ(journeys.touches_of(row), journey % 5 + 1);
    for (int64_t touch = 0; touch < journeys.touches_of(row); ++touch) {
      const auto place = static_cast<size_t>(journeys.touch_begin[at] + touch);
      EXPECT_EQ(journeys.cluster[place], (journey + touch) % 7);
      EXPECT_EQ(journeys.touch_time[place], touch * 3 + journey % 11);
    }
  }
}

TEST_F(Import, RowsKeepTheirOrderAndNumbersInManyLotsAndOnManyRanks) {
  std::vector<std::string> tables;
  for (int64_t table = 0; table < 3; ++table) {
    std::string text = "arm,y,m,x\n";
    for (int64_t row = 0; row < 101; ++row)
      text += format("a,1,0,%lld\n", static_cast<long long>(table * 101 + row));
    tables.push_back(write(format("table%lld.csv", static_cast<long long>(table)), text));
  }
  ImportOptions options;
  options.lot_bytes = 500;
  EXPECT_EQ(import_on(2, tables, parse_mapping(kArms, "arms"), (folder_ / "out").string(), options),
            "");
  const Journeys journeys = log();
  ASSERT_EQ(journeys.size(), 303);
  for (size_t row = 0; row < 303; ++row) {
    ASSERT_EQ(journeys.user[row], row);
    ASSERT_EQ(journeys.dense[row], static_cast<float>(row));
  }
}

TEST_F(Import, AnErrorOnOneRankIsTheErrorOfAllAndLeavesNothing) {
  const std::string good = "arm,y,m,x\na,1,0,1\n";
  const std::vector<std::string> tables = {write("one.csv", good),
                                           write("two.csv", good + "a,1,5,0\n"),
                                           write("three.csv", good + "a,1,0,0\n")};
  const std::string out = (folder_ / "out").string();
  expect_contains(import_on(3, tables, parse_mapping(kArms, "arms"), out, {}),
                  "two.csv, line 3, column 'm': '5' is not 0 or 1");
  for (const char* end : {"", ".tmp", ".spill"}) EXPECT_FALSE(fs::exists(out + end)) << end;
}

TEST_F(Import, AWishToStopEndsItAndLeavesNothing) {
  std::string text = "arm,y,m,x\n";
  for (int64_t row = 0; row < 100003; ++row) text += "a,1,0,1\n";
  ImportOptions options;
  for (const std::string phase : {"read", "group", "write"}) {
    options.on_progress = [&](const ImportProgress& progress) {
      if (progress.phase == phase) request_stop();
    };
    const std::string out = (folder_ / "out").string();
    EXPECT_THROW(import_tables({write("t.csv", text)}, parse_mapping(kArms, "arms"), out, options),
                 Stopped);
    clear_stop_request();
    for (const char* end : {"", ".tmp", ".spill"}) EXPECT_FALSE(fs::exists(out + end)) << end;
  }
}

TEST_F(Import, WhatLiesWhereUnfinishedFilesGoIsNotSweptAway) {
  const std::string table = write("t.csv", "arm,y,m,x\na,1,0,1\n");
  const Mapping mapping = parse_mapping(kArms, "arms");
  for (const std::string end : {".tmp", ".spill"}) {
    const fs::path folder = folder_ / ("out" + end);
    fs::create_directories(folder);
    write((fs::path("out" + end) / "thesis.txt").string(), "precious");
    EXPECT_THROW(run(table, mapping), UserError) << folder;
    EXPECT_TRUE(fs::exists(folder / "thesis.txt"));
    // What a killed import left is.
    fs::rename(folder / "thesis.txt", folder / (end == ".tmp" ? "part-00000.h5" : "rows-0.3"));
    EXPECT_EQ(run(table, mapping).journeys, 1);
    EXPECT_FALSE(fs::exists(folder));
  }
}

TEST_F(Import, DirectoriesAndGlobsStandForTheirTables) {
  fs::create_directories(folder_ / "in");
  const auto in = [&](const char* name) {
    return write((fs::path("in") / name).string(), "arm,y,m,x\na,1,0,1\n");
  };
  const std::string b = in("b.csv.gz"), a = in("a.tsv"), c = in("c.csv.zst");
  in("notes.md");
  EXPECT_EQ(expand_tables({(folder_ / "in").string()}), (std::vector<std::string>{a, b, c}));
  EXPECT_EQ(expand_tables({c, (folder_ / "in" / "*.gz").string()}),
            (std::vector<std::string>{c, b}));
  const auto error = [&](const std::vector<std::string>& paths) -> std::string {
    try {
      expand_tables(paths);
    } catch (const UserError& thrown) {
      return thrown.what();
    }
    return "no error";
  };
  fs::create_directories(folder_ / "bare");
  expect_contains(error({(folder_ / "bare").string()}), "holds no table");
  expect_contains(error({(folder_ / "x*.csv").string()}), "no file matches");
  expect_contains(error({a, (folder_ / "in").string()}), "a.tsv: is given twice");
}

// What form = event should make, by looking at every window of every user.
Journeys windows_by_hand(const std::vector<std::array<int64_t, 4>>& events, int64_t lookback,
                         int64_t length, int64_t every, int64_t end, int64_t* open) {
  Journeys all;
  std::vector<int64_t> users;
  for (const auto& event : events) {
    if (std::find(users.begin(), users.end(), event[0]) == users.end()) users.push_back(event[0]);
  }
  for (const int64_t user : users) {
    for (int64_t start = 0; start <= 4000; start += every) {
      std::vector<std::pair<int64_t, int64_t>> touches;  // time, cluster
      int64_t first_outcome = -1;
      for (const auto& [who, when, cluster, outcome] : events) {
        if (who != user) continue;
        if (cluster >= 0 && when >= start - lookback && when < start) {
          touches.push_back({when, cluster});
        }
        if (outcome == 1 && when >= start && when < start + length &&
            (first_outcome < 0 || when < first_outcome)) {
          first_outcome = when;
        }
      }
      if (touches.empty()) continue;
      if (start + length > end) {
        ++*open;
        continue;
      }
      std::stable_sort(touches.begin(), touches.end(),
                       [](const auto& a, const auto& b) { return a.first < b.first; });
      all.user.push_back(static_cast<uint64_t>(user));
      all.time.push_back(start);
      all.outcome.push_back(first_outcome >= 0 ? 1.0f : 0.0f);
      all.outcome_time.push_back(first_outcome);
      for (const auto& [when, cluster] : touches) {
        all.touch_time.push_back(when);
        all.cluster.push_back(static_cast<uint32_t>(cluster));
      }
      all.touch_begin.push_back(static_cast<int64_t>(all.touch_time.size()));
    }
  }
  return all;
}

TEST_F(Import, WindowsHoldWhatLookingAtEachOfThemFinds) {
  std::mt19937 random(11);
  for (const auto& [lookback, length, every] :
       {std::array<int64_t, 3>{100, 100, 100}, {300, 100, 100}, {200, 500, 100}, {700, 200, 300}}) {
    std::vector<std::array<int64_t, 4>> events;  // user, second, cluster or -1, outcome or -1
    std::string text = "u,k,y,t\n";
    for (int64_t event = 0; event < 400; ++event) {
      const auto draw = [&](int64_t below) { return static_cast<int64_t>(random()) % below; };
      const int64_t cluster = event < 5 ? event : draw(3) == 0 ? -1 : draw(5);
      const int64_t outcome = cluster >= 0 ? draw(2) - 1 : draw(2);
      events.push_back({draw(23), draw(12) == 0 ? draw(30) * 100 : draw(3000), cluster, outcome});
      const auto word = [](int64_t value) { return value < 0 ? "" : std::to_string(value); };
      text += word(events.back()[0]) + "," + word(cluster) + "," + word(outcome) + "," +
              word(events.back()[1]) + "\n";
    }
    int64_t end = 0, open = 0;
    for (const auto& event : events) end = std::max(end, event[1]);
    const Journeys wanted = windows_by_hand(events, lookback, length, every, end, &open);
    const std::string rule = format("[window]\nlookback = %llds\noutcome = %llds\nevery = %llds\n",
                                    static_cast<long long>(lookback),
                                    static_cast<long long>(length), static_cast<long long>(every));
    const ImportSummary summary =
        run(write("events.csv", text),
            parse_mapping(std::string(kEvents) + "[file]\ntime_unit = s\n" + rule, "events"));
    const Journeys journeys = log();
    const auto seconds = [](std::vector<int64_t> times) {
      for (int64_t& time : times) time = time == -1 ? -1 : time / 1000;
      return times;
    };
    EXPECT_EQ(journeys.user, wanted.user);
    EXPECT_EQ(seconds(journeys.time), wanted.time);
    EXPECT_EQ(journeys.outcome, wanted.outcome);
    EXPECT_EQ(seconds(journeys.outcome_time), wanted.outcome_time);
    EXPECT_EQ(journeys.touch_begin, wanted.touch_begin);
    EXPECT_EQ(seconds(journeys.touch_time), wanted.touch_time);
    EXPECT_EQ(journeys.cluster, wanted.cluster);
    EXPECT_EQ(summary.windows_open, open);
    EXPECT_GT(open, 0);
  }
}

TEST_F(Import, TheSummaryCountsMediatorsAsTheWindowsOfTheLogHoldThem) {
  const std::string rule =
      "mediator = m\nmediator_time = mt\n[file]\ntime_unit = s\n"
      "[window]\nlookback = 10s\noutcome = 10s\nend = 1000\n";
  const ImportSummary summary = run(write("events.csv",
                                          "u,k,y,t,m,mt\n"
                                          "1,a,,5,1,50\n"  // after the window
                                          "1,b,,6,1,7\n"
                                          "1,,1,12,,\n"
                                          "2,a,,5,,60\n"  // unknown, but its time is not
                                          "2,a,,6,,\n"    // unknown
                                          "2,b,,7,0,\n"),
                                    parse_mapping(std::string(kEvents) + rule, "events"));
  const Journeys journeys = log();
  ASSERT_EQ(journeys.touches(), 5);
  ASSERT_EQ(summary.clusters.size(), 2u);
  for (uint32_t cluster = 0; cluster < 2; ++cluster) {
    double known = 0, set = 0;
    for (size_t touch = 0; touch < 5; ++touch) {
      if (journeys.cluster[touch] != cluster || journeys.mediator[touch] == 255) continue;
      ++known;
      set += journeys.mediator[touch];
    }
    EXPECT_EQ(known, 2);
    EXPECT_EQ(set, cluster);
    EXPECT_EQ(summary.clusters[cluster].mediator_rate, set / known);
  }
}

TEST_F(Import, ThirdExampleOfTheDocumentationMakesTheWindowsItDescribes) {
  const std::string text = documentation();
  const std::string table = write("table.csv", fenced(text, "csv").at(2));
  const ImportSummary summary = run(table, parse_mapping(fenced(text, "ini").at(2), "docs"));
  EXPECT_EQ(summary.rows_read, 5);
  EXPECT_EQ(summary.windows_open, 1);
  const Journeys journeys = log();
  const int64_t day = 86'400'000;
  const int64_t may = 1714521600000;  // 2024-05-01
  EXPECT_EQ(journeys.user, (std::vector<uint64_t>{7, 7, 7, 8}));
  EXPECT_EQ(journeys.time,
            (std::vector<int64_t>{may + day, may + 2 * day, may + 3 * day, may + 3 * day}));
  EXPECT_EQ(journeys.touch_begin, (std::vector<int64_t>{0, 1, 3, 4, 5}));
  EXPECT_EQ(journeys.outcome, (std::vector<float>{0, 1, 0, 0}));
  EXPECT_EQ(journeys.outcome_time,
            (std::vector<int64_t>{-1, may + 2 * day + 10 * 3'600'000, -1, -1}));
  // Watched only after the upload: of no part in it, but in that of the next day.
  EXPECT_EQ(journeys.mediator, (std::vector<uint8_t>{1, 1, 0, 1, 0}));
}

TEST_F(Import, IdsOfAllSixtyFourBitsAreReadExactly) {
  const std::string table = write("ids.csv",
                                  "u,k,y,i,c\n18446744073709551615,a,0,9223372036854775808,"
                                  "9223372036854775807\n007,a,1,18446744073709551616,-1\n");
  run(table, parse_mapping("[file]\nform = touch\n[columns]\nuser = u\ncluster = k\noutcome = y\n"
                           "item = i\ntouch_cat = c\n",
                           "ids"));
  const Journeys journeys = log();
  EXPECT_EQ(journeys.user[0], std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(journeys.item[0], uint64_t{1} << 63);
  EXPECT_EQ(journeys.touch_cat[0], std::numeric_limits<int64_t>::max());
  EXPECT_EQ(journeys.touch_cat[1], -1);
  // Too large for 64 bits, and a seven that is not written as one: texts.
  EXPECT_EQ(journeys.item[1], label_id("18446744073709551616"));
  EXPECT_NE(journeys.user[1], 7u);
}

TEST_F(Import, UsersThatAreTextsAreCountedByTextAndById) {
  std::string text = "arm,y,m,x,u\n";
  for (int64_t row = 0; row < 3000; ++row) {
    text +=
        format("a,1,0,1,%s%lld\n", row % 3 == 0 ? "" : "user-", static_cast<long long>(row % 1000));
  }
  const Mapping mapping = parse_mapping(std::string(kArms) + "user = u\n", "arms");
  const ImportSummary summary = run(write("users.csv", text), mapping);
  std::set<std::string> labels;
  for (int64_t row = 0; row < 3000; ++row) {
    if (row % 3 != 0) labels.insert(std::to_string(row % 1000));
  }
  EXPECT_EQ(summary.users.labels, static_cast<int64_t>(labels.size()));
  EXPECT_EQ(summary.users.ids, summary.users.labels);
  EXPECT_NEAR(expected_collisions(int64_t{1} << 32), 0.5, 1e-9);
}

TEST_F(Import, LabelsThatShareAnIdAreFound) {
  const std::string path = (folder_ / "labels").string();
  SpillWriter writer(path, 0, 1, 64);
  const std::pair<uint64_t, uint64_t> labels[] = {{5, 1}, {6, 1}, {5, 2}, {5, 1}, {7, 3}};
  for (const auto& label : labels) writer.append(0, std::as_bytes(std::span(&label, 1)));
  const LabelCounts counts = count_labels({path}, writer.finish()[0]);
  EXPECT_EQ(counts.labels, 4);
  EXPECT_EQ(counts.ids, 3);
}

TEST_F(Import, SecondsReadAsMillisecondsAreWarnedOf) {
  const auto warnings = [&](const std::string& time, const std::string& more) {
    const std::string row = "1,p,a,0," + time + "9," + time + "8\n";
    return run(write("t.csv", "u,j,k,y,w,t\n" + row),
               parse_mapping(std::string(kTouches) + more, "times"))
        .warnings.size();
  };
  EXPECT_EQ(warnings("171452160", ""), 1u);
  EXPECT_EQ(warnings("171452160", "[file]\ntime_unit = s\n"), 0u);
  EXPECT_EQ(warnings("171452160000", ""), 0u);
}

TEST_F(Import, ADirectoryThatHoldsFilesIsRefused) {
  const std::string table = write("table.csv", "arm,y,m,x\na,1,0,1\n");
  const Mapping mapping = parse_mapping(kArms, "arms");
  EXPECT_THROW(import_tables({table}, mapping, folder_.string(), {}), UserError);
  EXPECT_THROW(import_tables({table}, mapping, table, {}), UserError);
  fs::create_directories(folder_ / "out");
  import_tables({table}, mapping, (folder_ / "out" / "").string(), {});
  EXPECT_EQ(log().size(), 1);
}

TEST(Mapping, ComplaintsNameFileAndLineAndWhatIsKnown) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"[file]\nform = rows\n", "line 2: form is 'rows', not journey or touch"},
      {"[file]\n\n# note\nshape = touch\n", "line 4: 'shape' is no key of [file]: there are form,"},
      {"[table]\n", "line 1: [table] is no section"},
      {"form = touch\n", "line 1: 'form' stands before any section"},
      {std::string(kTouches) + "[window]\noutcome = 1d\n", "[window] belongs to form = event"},
      {std::string(kEvents) + "[window]\nlookback = 7\n", "line 9: lookback is '7', not a length"},
      {std::string(kEvents) + "[window]\nlength = 7d\n", "line 9: 'length' is no key of [window]"},
      {std::string(kEvents) + "[window]\noutcome = 1d\n", "needs lookback and outcome"},
      {std::string(kEvents) + "[window]\noutcome = 1d\nlookback = 1h\n", "lookback must be 1 to"},
      {std::string(kEvents) + "[window]\noutcome = 1s\nlookback = 1d\n", "lookback must be 1 to"},
      {std::string(kEvents) + "time = w\n", "time does not go with form = event"},
      {std::string(kEvents) + "[window]\noutcome = 1d\nlookback = 1d\nend = soon\n",
       "line 11: end is 'soon', not a time"},
      {"[file]\nform = event\n[columns]\nuser = u\ncluster = k\noutcome = y\n",
       "form = event needs touch_time"},
      {"[columns]\nagent = a\n",
       "line 2: 'agent' is no key of [columns]: there are user, journey,"},
      {"[columns]\nuser\n", "line 2: 'user' is not of the form key = value"},
      {"[columns]\nuser =\n", "line 2: 'user' has no value"},
      {"[columns]\nuser = a\nuser = b\n", "line 3: 'user' is given twice"},
      {"[columns]\ndense = a,,b\n", "line 2: 'dense' lists an empty name"},
      {"[columns]\noutcome = y\ncluster = k\n", "form is missing"},
      {"[file]\nform = touch\n[columns]\ncluster = k\nuser = u\n", "[columns] lacks outcome"},
      {"[file]\nform = touch\n[columns]\ncluster = k\noutcome = y\n", "needs user or journey"},
      {"[file]\nform = journey\n[columns]\ncluster = k\noutcome = y\n", "needs reference_arm"},
      {"[file]\nform = touch\nreference_arm = a\n[columns]\nuser=u\ncluster=k\noutcome=y\n",
       "reference_arm belongs to form = journey"},
      {std::string(kTouches) + "[missing]\nage = -1\n", "[missing] names the column 'age'"},
      {std::string(kTouches) + "[file]\nproxy_leaky = v\n", "proxy_leaky names 'v'"},
  };
  for (const auto& [text, expected] : cases) {
    try {
      parse_mapping(text, "some.ini");
      FAIL() << text;
    } catch (const UserError& error) {
      expect_contains(error.what(), "some.ini");
      expect_contains(error.what(), expected);
    }
  }
}

}  // namespace
}  // namespace alm::io
