// Going on with runs that an earlier program left: what it had no option for it did by what is now
// the option's default.
#include <gtest/gtest.h>

#include "engine/simulate/simulator.h"
#include "io/checkpoint_files.h"
#include "tests/engine/train/memory_run.h"

namespace alm {
namespace {

class Resume : public MemoryRun {
 protected:
  Resume() {
    LevelBOptions level;
    level.clusters = 5;
    const std::unique_ptr<Simulator> simulator = make_level_b(level, shape_by_name("tiny"));
    schema_ = simulator->schema();
    simulator->append(0, 700, rows_);
    options_.epochs = 1;
    options_.model = model_options_by_name("tiny");
    trained(schema_, rows_, options_, "run");
    options_.resume = true;
  }

  // The run's newest checkpoint as it was before there was an option --outcome-head.
  void forget_outcome_head() {
    const std::string folder = run_dir("run") + "/checkpoints";
    std::vector<std::string> notes;
    std::optional<io::CheckpointBlobs> newest = io::load_newest_checkpoint(folder, notes);
    ASSERT_TRUE(newest);
    ASSERT_EQ(newest->header.at("options").erase("outcome-head"), 1U);
    ASSERT_EQ(newest->header.at("bundle").at("options").erase("outcome_head"), 1U);
    io::save_checkpoint(folder, newest->header.at("step").get<int64_t>() + 1, *newest, 1, {});
  }

  // Expects the run not to go on, in words that hold these.
  void expect_refusal(const std::string& words) {
    try {
      trained(schema_, rows_, options_, "run");
      FAIL() << "went on";
    } catch (const UserError& error) {
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
  }

  io::LogSchema schema_;
  io::Journeys rows_;
  TrainOptions options_;
};

TEST_F(Resume, GoesOnWhereTheOptionHasItsDefault) {
  const io::Json before = estimates_.at("effects");
  forget_outcome_head();
  trained(schema_, rows_, options_, "run");
  EXPECT_EQ(estimates_.at("effects"), before);
}

TEST_F(Resume, RefusesAnotherValueOfTheOption) {
  forget_outcome_head();
  options_.model.outcome_head = OutcomeHead::general;
  expect_refusal("--outcome-head was \"separable\"");
}

TEST_F(Resume, RefusesAnotherPrecision) {
  Compute in_bf16(make_cpu_device("auto"), 2);
  training_ = &in_bf16;
  expect_refusal("--precision was \"fp32\"");
}

}  // namespace
}  // namespace alm
