#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/comm/communicator.h"
#include "engine/comm/launcher.h"

namespace alm {
namespace {

TEST(SelfCommunicator, IsAWorldOfOneAndLeavesValuesAlone) {
  const auto self = make_self_communicator();
  EXPECT_EQ(self->rank(), 0);
  EXPECT_EQ(self->size(), 1);
  EXPECT_EQ(self->local_size(), 1);
  std::vector<double> values = {1.5, -2};
  self->all_reduce_sum(std::span<double>(values), "test");
  EXPECT_EQ(values, (std::vector<double>{1.5, -2}));
  std::vector<FixedSum> sums(2);
  sums[0].add(-3.25);
  sums[1].add(0x1p59);
  self->all_reduce_sum(std::span<FixedSum>(sums), "test");
  EXPECT_EQ(sums[0].value(), -3.25);
  EXPECT_EQ(sums[1].value(), 0x1p59);
  EXPECT_EQ(self->all_gather_strings("", "test"), std::vector<std::string>{""});
  EXPECT_EQ(self->broadcast_string("text", 0, "test"), "text");
  const std::vector<std::vector<std::byte>> parts = {{std::byte{7}}};
  EXPECT_EQ(self->all_to_all_v(parts, "test"), parts);
}

TEST(SelfCommunicatorDeathTest, AbortEndsTheProcessWithTheCode) {
  EXPECT_EXIT(make_self_communicator()->abort(2), testing::ExitedWithCode(2), "");
}

// Variables of launchers, cleared at the start and at the end of a test.
class Launcher : public testing::Test {
 protected:
  void SetUp() override { clear(); }
  void TearDown() override { clear(); }
  static void clear() {
    for (const char* name : {"OMPI_COMM_WORLD_SIZE", "SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS",
                             "SLURM_NTASKS", "PMI_SIZE", "SLURM_STEP_TASKS_PER_NODE"}) {
      unsetenv(name);
    }
  }
};

TEST_F(Launcher, IsUnknownWithoutItsVariables) {
  EXPECT_FALSE(launcher_world().has_value());
  EXPECT_NO_THROW(check_world_size(launcher_world(), 1));
}

TEST_F(Launcher, BatchScriptOfSlurmIsNotAStep) {
  setenv("SLURM_NTASKS", "8", 1);
  EXPECT_FALSE(launcher_world().has_value());
}

TEST_F(Launcher, StepOfSlurmThatDisagreesWithTheWorldIsRefused) {
  setenv("SLURM_STEP_ID", "0", 1);
  setenv("SLURM_STEP_NUM_TASKS", "8", 1);
  EXPECT_NO_THROW(check_world_size(launcher_world(), 8));
  try {
    check_world_size(launcher_world(), 1);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("SLURM_STEP_NUM_TASKS"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("--mpi=pmix"), std::string::npos);
  }
}

TEST_F(Launcher, MpirunSpeaksBeforeTheSlurmStepOfItsDaemons) {
  setenv("SLURM_STEP_ID", "0", 1);
  setenv("SLURM_STEP_NUM_TASKS", "2", 1);
  setenv("OMPI_COMM_WORLD_SIZE", "16", 1);
  EXPECT_EQ(launcher_world()->size, 16);
}

TEST_F(Launcher, LocalSizeIsTheLeadingNumberOfSlurmsList) {
  setenv("SLURM_STEP_TASKS_PER_NODE", "4(x2)", 1);
  EXPECT_EQ(launcher_local_size(), 4);
}

}  // namespace
}  // namespace alm
