// Training steps with products in bf16 beside the same in fp32.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/engine/train/device_training.h"

namespace alm {
namespace {

std::unique_ptr<Device> device_in_bf16() {
  try {
    return make_cpu_device("auto", Precision::bf16);
  } catch (const UserError&) {
    return nullptr;
  }
}

class Bf16Step : public testing::TestWithParam<TrainingCase> {};

INSTANTIATE_TEST_SUITE_P(Case, Bf16Step,
                         testing::Values(TrainingCase{"tiny", 256}, TrainingCase{"reference", 256},
                                         TrainingCase{"tiny", 128, Head::arms}));

// The bound that docs/performance.md states: a hundredth of the loss that early stopping watches.
TEST_P(Bf16Step, FollowsTheLossesOfFp32) {
  std::unique_ptr<Device> device = device_in_bf16();
  if (device == nullptr) GTEST_SKIP() << "this processor has no products in bf16 (avx512_bf16)";
  DeviceTraining training(GetParam());
  ModelWeights exact = training.fresh_weights();
  const std::unique_ptr<StepState> in_fp32 = training.state(exact);
  ModelWeights rounded = training.fresh_weights();
  Compute compute(std::move(device), 2);
  const std::unique_ptr<StepState> in_bf16 = training.state(rounded, &compute);
  double farthest = 0;
  for (int64_t step = 1; step <= 50; ++step) {
    const auto settings = DeviceTraining::settings();
    const double wanted =
        train_step(*in_fp32, training.batch(step), step, settings, false).losses.watched();
    const double found =
        train_step(*in_bf16, training.batch(step), step, settings, false).losses.watched();
    farthest = std::max(farthest, std::fabs(found / wanted - 1));
  }
  EXPECT_LT(farthest, .01);
  EXPECT_GT(farthest, 1e-6) << "nothing was rounded";
  RecordProperty("farthest", std::to_string(farthest));
}

}  // namespace
}  // namespace alm
