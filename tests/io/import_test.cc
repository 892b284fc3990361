#include "io/import.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "io/codec.h"
#include "io/datasets.h"
#include "kernels/base/check.h"

namespace alm::io {
namespace {

namespace fs = std::filesystem;

class Import : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              (std::string("alm_import_") +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return (folder_ / name).string();
  }

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
      return error.what();
    }
    return "no error";
  }

  fs::path folder_;
  std::shared_ptr<const Log> opened_;
};

const char* const kArms =
    "[file]\nform = journey\nreference_arm = a\n"
    "[columns]\ncluster = arm\noutcome = y\nmediator = m\ndense = x\n";
const char* const kTouches =
    "[file]\nform = touch\n"
    "[columns]\nuser = u\njourney = j\ncluster = k\noutcome = y\ntime = w\ntouch_time = t\n";

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
  std::ifstream file(std::string(ALM_SOURCE_DIR) + "/docs/import.md");
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

TEST_F(Import, FilesThatAreNoTablesAreRefusedInOneLine) {
  const Mapping mapping = parse_mapping(kArms, "arms");
  expect_contains(error_of((folder_ / "none.csv").string(), mapping), "none.csv: cannot be opened");
  expect_contains(error_of(folder_.string(), mapping), "cannot be read");
  expect_contains(error_of(write("empty.csv", ""), mapping), "is empty");
  expect_contains(error_of(write("head.csv", "arm,y,m,x\n"), mapping), "no row is left");
  expect_contains(error_of(write("names.csv", "arm,y,m,z\na,1,1,1\n"), mapping),
                  "no column is called 'x'; there are arm, y, m, z");
  expect_contains(error_of(write("twice.csv", "arm,y,m,x,x\na,1,1,1,1\n"), mapping),
                  "two columns are called 'x'");
  expect_contains(error_of(write("wide.csv", std::string("\xFF\xFE") + "a"), mapping), "UTF-16");
  expect_contains(error_of(write("arms.csv", "arm,y,m,x\nb,1,1,1\n"), mapping),
                  "the reference_arm 'a' does not occur; the arms are b");
  expect_contains(
      error_of(write("quote.csv", "arm,y,m,x\n\"" + std::string(1 << 21, 'q')), mapping),
      "is a closing quote missing?");
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

TEST(Datasets, WhatIsNotOfferedIsRefusedWithWhatIs) {
  const auto error = [](const DatasetChoice& choice) -> std::string {
    try {
      dataset_mapping(choice);
    } catch (const UserError& thrown) {
      return thrown.what();
    }
    return "no error";
  };
  expect_contains(error({"iris", "", ""}), "there are jtpa, hillstrom");
  expect_contains(error({"jtpa", "wage", ""}), "jtpa offers earnings");
  expect_contains(error({"jtpa", "", "pooled"}), "two arms");
  expect_contains(error({"hillstrom", "", "", {"visit"}}), "hillstrom offers recency");
  expect_contains(error({"jtpa", "", "", {"sex", "sex"}}), "given twice");
}

// Folder of the real files: ALM_DATA. Without it these tests skip, or fail when ALM_REQUIRE wants
// them.
class RealData : public Import {
 protected:
  void SetUp() override {
    Import::SetUp();
    const char* data = std::getenv("ALM_DATA");
    if (data != nullptr) {
      data_ = data;
      return;
    }
    const char* required = std::getenv("ALM_REQUIRE");
    if (required != nullptr && std::string(required).find("real-data") != std::string::npos) {
      FAIL() << "ALM_REQUIRE wants real-data, but ALM_DATA does not name its folder";
    }
    GTEST_SKIP() << "ALM_DATA does not name the folder of the real data sets";
  }
  std::string jtpa() const { return (data_ / "jtpa" / "jtpa.csv").string(); }
  std::string hillstrom() const { return (data_ / "hillstrom" / "hillstrom.csv").string(); }

  fs::path data_;
};

TEST_F(RealData, JtpaHasThePublishedCountsRatesAndEffect) {
  const ImportSummary summary = run(jtpa(), dataset_mapping({"jtpa", "", ""}));
  EXPECT_EQ(summary.rows_read, 11204);
  EXPECT_EQ(summary.rows_kept, 11204);
  ASSERT_EQ(summary.clusters.size(), 2u);
  EXPECT_EQ(summary.clusters[0].name, "no offer");
  EXPECT_EQ(summary.clusters[1].name, "offer");
  EXPECT_NEAR(summary.clusters[0].mediator_rate, 0.0145, 5e-5);
  EXPECT_NEAR(summary.clusters[1].mediator_rate, 0.6416, 5e-5);
  EXPECT_NEAR(summary.clusters[1].mean_outcome - summary.clusters[0].mean_outcome, 1159.4, 0.05);
  const Journeys journeys = log();
  EXPECT_EQ(opened_->schema().outcome, OutcomeKind::continuous);
  EXPECT_EQ(opened_->schema().reference_cluster, 0);
  EXPECT_EQ(journeys.user[0], 300001u);
  EXPECT_EQ(journeys.outcome[0], 1353.0f);
}

TEST_F(RealData, JtpaBySexHasThePublishedEffects) {
  const Mapping mapping = dataset_mapping({"jtpa", "", "", {"sex", "age", "prevearn", "site"}});
  run(jtpa(), mapping);
  const Journeys journeys = log();
  EXPECT_EQ(opened_->schema().cat_names, (std::vector<std::string>{"sex", "site"}));
  EXPECT_EQ(opened_->schema().dense_names, (std::vector<std::string>{"age", "prevearn"}));
  EXPECT_EQ(journeys.dense[0], 46.0f);
  double sums[2][2] = {}, counts[2][2] = {};
  for (size_t row = 0; row < journeys.user.size(); ++row) {
    const int64_t sex = journeys.cat[2 * row];
    sums[sex][journeys.cluster[row]] += journeys.outcome[row];
    counts[sex][journeys.cluster[row]] += 1;
  }
  EXPECT_EQ(counts[1][0] + counts[1][1], 5102);  // men
  EXPECT_EQ(counts[0][0] + counts[0][1], 6102);
  EXPECT_NEAR(sums[1][1] / counts[1][1] - sums[1][0] / counts[1][0], 1116.6, 0.05);
  EXPECT_NEAR(sums[0][1] / counts[0][1] - sums[0][0] / counts[0][0], 1242.6, 0.05);
}

TEST_F(RealData, HillstromHasThePublishedArmsAndRates) {
  const ImportSummary summary = run(hillstrom(), dataset_mapping({"hillstrom", "", "three"}));
  EXPECT_EQ(summary.rows_kept, 64000);
  ASSERT_EQ(summary.clusters.size(), 3u);
  const char* names[] = {"Mens E-Mail", "No E-Mail", "Womens E-Mail"};
  const int64_t rows[] = {21307, 21306, 21387};
  const double visits[] = {.18276, .10617, .15140};
  const double conversions[] = {.01253, .00573, .00884};
  for (size_t arm = 0; arm < 3; ++arm) {
    EXPECT_EQ(summary.clusters[arm].name, names[arm]);
    EXPECT_EQ(summary.clusters[arm].touches, rows[arm]);
    EXPECT_NEAR(summary.clusters[arm].mediator_rate, visits[arm], 5e-6);
    EXPECT_NEAR(summary.clusters[arm].mean_outcome, conversions[arm], 5e-6);
  }
  log();
  EXPECT_EQ(opened_->schema().reference_cluster, 1);
  EXPECT_EQ(opened_->schema().outcome, OutcomeKind::binary);
}

TEST_F(RealData, HillstromSpendWithPooledArmsAndAllCovariates) {
  const ImportSummary summary =
      run(hillstrom(), dataset_mapping({"hillstrom",
                                        "spend",
                                        "pooled",
                                        {"recency", "history_segment", "history", "mens", "womens",
                                         "zip_code", "newbie", "channel"}}));
  ASSERT_EQ(summary.clusters.size(), 2u);
  EXPECT_EQ(summary.clusters[0].name, "E-Mail");
  EXPECT_EQ(summary.clusters[0].touches, 21307 + 21387);
  EXPECT_NEAR(summary.clusters[0].mean_outcome, (21307 * 1.42262 + 21387 * 1.07720) / 42694, 1e-5);
  EXPECT_NEAR(summary.clusters[1].mean_outcome, .65279, 5e-6);
  const Journeys journeys = log();
  EXPECT_EQ(opened_->schema().outcome, OutcomeKind::continuous);
  EXPECT_EQ(opened_->schema().cat, 7);
  EXPECT_EQ(opened_->schema().dense, 1);
  EXPECT_EQ(journeys.dense[0], 142.44f);
  EXPECT_EQ(journeys.cat[0], 10);
  EXPECT_EQ(journeys.cat[1], signed_label_id("2) $100 - $200"));
}

TEST_F(RealData, AGzipTableOfOwnMappingHasThePublishedCounts) {
  const Mapping mapping = parse_mapping(
      "[file]\nform = journey\nreference_arm = No\n"
      "[columns]\nuser = ID\ncluster = Promotion\noutcome = purchase\n",
      "starbucks");
  const ImportSummary summary =
      run((data_ / "starbucks_promo" / "starbucks_training.csv.gz").string(), mapping);
  ASSERT_EQ(summary.clusters.size(), 2u);
  EXPECT_EQ(summary.clusters[0].touches, 42170);
  EXPECT_EQ(summary.clusters[1].touches, 42364);
  EXPECT_NEAR(summary.clusters[0].mean_outcome * 42170, 319, 1e-6);
  EXPECT_NEAR(summary.clusters[1].mean_outcome * 42364, 721, 1e-6);
}

}  // namespace
}  // namespace alm::io
