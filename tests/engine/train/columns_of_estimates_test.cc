// What the estimates alone read of a log is known to be sound before the fits begin.
#include <gtest/gtest.h>

#include <filesystem>

#include "engine/simulate/simulator.h"
#include "tests/engine/train/memory_run.h"

namespace alm {
namespace {

// A log whose values of one kind cannot be read.
class DamagedLog final : public MemoryLog {
 public:
  DamagedLog(io::LogSchema schema, io::Journeys rows, bool io::ColumnSet::*damaged)
      : MemoryLog(std::move(schema), std::move(rows)), damaged_(damaged) {}
  io::ReadReport read_block(int64_t block, const io::ColumnSet& columns,
                            io::Journeys& out) const override {
    if (columns.*damaged_) throw UserError("damaged on purpose");
    return MemoryLog::read_block(block, columns, out);
  }

 private:
  bool io::ColumnSet::*damaged_;
};

// A log that skips a row for what is wrong with its truth.
class SkippingLog final : public MemoryLog {
 public:
  using MemoryLog::MemoryLog;
  io::ReadReport read_block(int64_t block, const io::ColumnSet& columns,
                            io::Journeys& out) const override {
    io::ReadReport report = MemoryLog::read_block(block, columns, out);
    if (columns.truth && block == 2) {
      report.bad_rows = 1;
      report.first_bad_row = "part-00000.h5 /truth/delta_do row 130: on purpose";
    }
    return report;
  }
};

class ColumnsOfEstimates : public MemoryRun {
 protected:
  ColumnsOfEstimates() {
    options_.epochs = 1;
    options_.model = model_options_by_name("tiny");
    simulator_ = make_level_b({}, shape_by_name("tiny"));
    schema_ = simulator_->schema();
    simulator_->append(0, 700, rows_);
  }

  TrainResult train_on(std::shared_ptr<const io::Log> log) {
    return train({.log = std::move(log),
                  .run_dir = run_dir("run"),
                  .options = options_,
                  .config = {},
                  .init = "",
                  .compute = compute_,
                  .world = *world_});
  }

  // Trains on the log with those values damaged; what the run directory then holds.
  int64_t left_by_failed_start(bool io::ColumnSet::*damaged) {
    EXPECT_THROW(train_on(std::make_shared<DamagedLog>(schema_, rows_, damaged)), UserError);
    return std::distance(std::filesystem::directory_iterator(run_dir("run")), {});
  }

  std::unique_ptr<Simulator> simulator_;
  io::LogSchema schema_;
  io::Journeys rows_;
  TrainOptions options_;
};

TEST_F(ColumnsOfEstimates, DamagedTruthIsToldBeforeTraining) {
  EXPECT_EQ(left_by_failed_start(&io::ColumnSet::truth), 0);
}

TEST_F(ColumnsOfEstimates, DamagedMarksOfRandomisedTouchesAreToldBeforeTraining) {
  schema_.randomised = true;
  rows_.randomised.assign(static_cast<size_t>(rows_.touches()), 0);
  EXPECT_EQ(left_by_failed_start(&io::ColumnSet::randomised), 0);
}

TEST_F(ColumnsOfEstimates, RowsThatTheScoresLeaveOutAreTold) {
  testing::internal::CaptureStderr();
  const TrainResult result = train_on(std::make_shared<SkippingLog>(schema_, rows_));
  const std::string told = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(result.finished);
  EXPECT_NE(told.find("the scores leave out 1 bad row"), std::string::npos) << told;
  EXPECT_NE(told.find("row 130: on purpose"), std::string::npos) << told;
}

TEST_F(ColumnsOfEstimates, WhatNobodyReadsMayBeDamaged) {
  const TrainResult result =
      train_on(std::make_shared<DamagedLog>(schema_, rows_, &io::ColumnSet::outcome_time));
  EXPECT_TRUE(result.finished);
}

}  // namespace
}  // namespace alm
