// Files of a simulated log: the same bytes whoever writes them, and the rows of the simulator
// inside.
#include "engine/simulate/log_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "io/log_reader.h"

namespace alm {
namespace {

class LogFiles : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    root_ = std::filesystem::temp_directory_path() /
            ("alm_log_files_" + std::string(test->name()) + "_" + std::to_string(getpid()));
    std::filesystem::remove_all(root_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  // Writes the log as `ranks` ranks would, one after the other; returns the summed counts.
  WrittenRows write(const Simulator& simulator, const std::string& name, int64_t rows,
                    int64_t rows_per_file, int64_t ranks, int64_t threads) {
    const LogFilesPlan plan{(root_ / name).string(), rows, rows_per_file, io::Codec::deflate};
    ThreadPool pool(threads);
    WrittenRows all;
    int64_t drawn = 0;
    for (int64_t rank = 0; rank < ranks; ++rank) {
      int64_t of_rank = 0;
      const WrittenRows one = write_log_files(simulator, plan, rank, ranks, pool,
                                              [&](int64_t done) { of_rank = done; });
      EXPECT_EQ(of_rank, draws_of_rank(plan, rank, ranks));
      drawn += of_rank;
      all.files += one.files;
      all.rows += one.rows;
      all.touches += one.touches;
      all.outcomes += one.outcomes;
      all.mediators += one.mediators;
      all.bytes += one.bytes;
    }
    EXPECT_EQ(drawn, rows);
    return all;
  }

  std::map<std::string, std::string> bytes(const std::string& name) {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(root_ / name)) {
      std::ifstream file(entry.path(), std::ios::binary);
      files[entry.path().filename().string()] = {std::istreambuf_iterator<char>(file), {}};
    }
    return files;
  }

  std::filesystem::path root_;
};

TEST_F(LogFiles, AreTheSameBytesForAnyRanksAndThreads) {
  LevelBOptions sampled;
  sampled.keep_negatives = 0.3;
  for (const LevelBOptions& options : {LevelBOptions{}, sampled}) {
    const auto simulator = make_level_b(options, shape_by_name("tiny"));
    std::filesystem::remove_all(root_);
    write(*simulator, "one", 40009, 9000, 1, 1);
    write(*simulator, "two", 40009, 9000, 2, 3);
    write(*simulator, "three", 40009, 9000, 3, 2);
    const auto files = bytes("one");
    EXPECT_EQ(files.size(), 5u);
    EXPECT_TRUE(files == bytes("two"));
    EXPECT_TRUE(files == bytes("three"));
  }
}

TEST_F(LogFiles, HoldTheRowsOfTheSimulator) {
  LevelBOptions sampled;
  sampled.keep_negatives = 0.5;
  struct Case {
    LevelBOptions options;
    const char* shape;
    int64_t rows, rows_per_file;
  };
  // Files smaller than what a thread makes at a time, and files of several turns of making and
  // writing.
  for (const Case& each :
       {Case{{}, "reference", 5003, 2000}, Case{sampled, "reference", 5003, 2000},
        Case{{}, "tiny", 90001, 40000}, Case{sampled, "tiny", 90001, 40000}}) {
    const auto simulator = make_level_b(each.options, shape_by_name(each.shape));
    std::filesystem::remove_all(root_);
    const WrittenRows written = write(*simulator, "log", each.rows, each.rows_per_file, 2, 2);
    io::Journeys made;
    simulator->append(0, each.rows, made);
    io::LogOptions read_options;
    const auto log = io::Log::open({(root_ / "log").string()}, read_options);
    EXPECT_EQ(log->rows(), made.size());
    EXPECT_EQ(written.files, 3);
    EXPECT_EQ(written.rows, made.size());
    EXPECT_EQ(written.touches, made.touches());
    io::Journeys read, block;
    for (size_t b = 0; b < log->blocks().size(); ++b) {
      log->read_block(static_cast<int64_t>(b), io::ColumnSet::all(), block);
      for (int64_t row = 0; row < block.size(); ++row) read.append(block, row, log->schema());
    }
    EXPECT_EQ(log->schema(), simulator->schema());
    EXPECT_EQ(read.user, made.user);
    EXPECT_EQ(read.outcome, made.outcome);
    EXPECT_EQ(read.weight, made.weight);
    EXPECT_EQ(read.cat, made.cat);
    EXPECT_EQ(read.touch_begin, made.touch_begin);
    EXPECT_EQ(read.cluster, made.cluster);
    EXPECT_EQ(read.item, made.item);
    EXPECT_EQ(read.mediator_time, made.mediator_time);
    EXPECT_EQ(read.proxy, made.proxy);
    EXPECT_EQ(read.delta_do, made.delta_do);
    EXPECT_EQ(read.delta_ett, made.delta_ett);
    EXPECT_EQ(read.p_none, made.p_none);
  }
}

TEST_F(LogFiles, ArmLogIsReadBackAsOne) {
  const auto simulator = make_level_a(2);
  write(*simulator, "log", 1000, 5000, 1, 1);
  const auto log = io::Log::open({(root_ / "log").string()}, io::LogOptions{});
  EXPECT_TRUE(log->schema().is_arm_log());
  EXPECT_EQ(log->rows(), 1000);
}

TEST_F(LogFiles, LogOfNoRowsIsOneEmptyFile) {
  const auto simulator = make_level_b({}, shape_by_name("tiny"));
  const WrittenRows written = write(*simulator, "log", 0, 1000, 1, 2);
  EXPECT_EQ(written.files, 1);
  EXPECT_EQ(written.rows, 0);
  EXPECT_EQ(bytes("log").size(), 1u);
}

}  // namespace
}  // namespace alm
