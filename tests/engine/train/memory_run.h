// Fixture: runs of `train` on logs in memory, in a folder of their own.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "engine/train/run_dir.h"
#include "engine/train/trainer.h"
#include "tests/engine/memory_log.h"

namespace alm {

class MemoryRun : public testing::Test {
 protected:
  MemoryRun() : compute_(make_cpu_device("auto"), 2), world_(make_self_communicator()) {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    root_ = std::filesystem::temp_directory_path() /
            ("alm_" + std::string(test->name()) + "_" + std::to_string(getpid()));
    std::filesystem::remove_all(root_);
  }
  ~MemoryRun() override { std::filesystem::remove_all(root_); }

  std::string run_dir(const std::string& name) const { return (root_ / name).string(); }

  // Trains into run_dir(name), to the end; its estimates are then `estimates_`.
  Bundle trained(const io::LogSchema& schema, const io::Journeys& rows, const TrainOptions& options,
                 const std::string& name) {
    TrainResult result = train({.log = std::make_shared<MemoryLog>(schema, rows),
                                .run_dir = run_dir(name),
                                .options = options,
                                .config = {},
                                .init = "",
                                .compute = compute_,
                                .world = *world_,
                                .training = training_});
    EXPECT_TRUE(result.finished);
    estimates_ = std::move(result.estimates.json);
    return newest_bundle(run_dir(name), "--run", true);
  }

  Compute compute_;
  Compute* training_ = nullptr;  // what TrainJob says of it
  std::unique_ptr<Communicator> world_;
  std::filesystem::path root_;
  io::Json estimates_;
};

}  // namespace alm
