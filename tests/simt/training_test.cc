// Training on the CUDA table, run on the host, follows training on the CPU's. Device memory is out
// of the host's reach here, memory of the host out of the kernels', and work is done only when the
// host waits: what the step reads too early, or hands a kernel from the host, does not go unseen.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cuda/queue.h"
#include "tests/engine/train/device_training.h"
#include "tests/simt/host_guard.h"
#include "tests/simt/runtime.h"

namespace alm {
namespace {

struct Curve {
  std::string name;
  TrainingCase of;
  int64_t steps;
  cuda::Precision precision = cuda::Precision::fp32;
  // What a loss may miss: of itself, in bf16 of the watched loss.
  double most = 1e-4;
};

class CudaTraining : public testing::TestWithParam<Curve> {};

INSTANTIATE_TEST_SUITE_P(
    Case, CudaTraining,
    testing::Values(Curve{"tiny", {"tiny", 32}, 50},
                    // An operand of a product is off by 2^-9 at most.
                    Curve{"tiny_bf16", {"tiny", 32}, 50, cuda::Precision::bf16, 1e-2},
                    Curve{"tables", {"reference", 16}, 12},
                    Curve{"additive", {"tiny", 16, Head::additive}, 20},
                    Curve{"arms", {"tiny", 64, Head::arms}, 20}),
    [](const auto& test) { return test.param.name; });

TEST_P(CudaTraining, HasTheLossCurveOfTheCpu) {
  const simt::HostGuard guard;
  constexpr int64_t kSettled = 8;  // steps, two rounds of the batches, after which memory is enough
  DeviceTraining training(GetParam().of);
  ModelWeights on_host = training.fresh_weights();
  const std::unique_ptr<StepState> host = training.state(on_host);
  ModelWeights found = training.fresh_weights();
  const std::unique_ptr<StepState> state = training.state(found);
  const std::unique_ptr<Device> device = cuda::make_cuda_device(GetParam().precision);
  DeviceStep on_device(training.model(), *device);
  on_device.upload(found, state->optimizer);
  const auto settings = DeviceTraining::settings();
  const bool in_bf16 = GetParam().precision == cuda::Precision::bf16;
  double first = 0, last = 0, largest_miss = 0;
  for (int64_t step = 1; step <= GetParam().steps; ++step) {
    const Losses wanted = train_step(*host, training.batch(step), step, settings, false).losses;
    const simt::RuntimeCalls before = simt::runtime_calls();
    const StepResult result = on_device.take(*state, training.batch(step), step, settings, false);
    const simt::RuntimeCalls& after = simt::runtime_calls();
    EXPECT_EQ(after.pageable_copies, before.pageable_copies) << "step " << step;
    if (step > kSettled) {
      EXPECT_EQ(after.waits - before.waits, 1) << "step " << step;
      EXPECT_EQ(after.allocations, before.allocations) << "step " << step;
    }
    ASSERT_FALSE(result.skipped) << "step " << step << ", " << result.bad_tensor;
    EXPECT_EQ(result.losses.weight, wanted.weight);
    for (const auto& [is, should] : {std::pair(result.losses.mediator, wanted.mediator),
                                     std::pair(result.losses.outcome, wanted.outcome),
                                     std::pair(result.losses.second_stage, wanted.second_stage),
                                     std::pair(result.losses.propensity, wanted.propensity)}) {
      if (should == 0) continue;
      // In bf16 the second stage's loss, a small square of a difference, has no digits of its own.
      const double scale = in_bf16 ? wanted.watched() : std::fabs(should);
      largest_miss = std::max(largest_miss, std::fabs(is - should) / scale);
    }
    if (step == 1) first = wanted.watched();
    last = wanted.watched();
  }
  EXPECT_LE(largest_miss, GetParam().most);
  EXPECT_LT(last, 0.98 * first) << "nothing was learned";
  RecordProperty("largest_miss", std::to_string(largest_miss));
  std::printf("largest relative miss of a loss in %lld steps: %.2e; watched loss %.4f -> %.4f\n",
              static_cast<long long>(GetParam().steps), largest_miss, first, last);
}

}  // namespace
}  // namespace alm
