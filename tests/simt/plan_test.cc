// What a plan says of a GPU's memory is what the double of the CUDA runtime is then asked for, and
// the steps take no more.
#include <gtest/gtest.h>

#include "engine/simulate/simulator.h"
#include "engine/train/fit.h"
#include "engine/train/memory_plan.h"
#include "kernels/cuda/queue.h"
#include "kernels/device_without_memory.h"
#include "tests/engine/memory_log.h"
#include "tests/simt/runtime.h"

namespace alm {
namespace {

struct PlannedCase {
  std::string name;
  std::string shape;  // of the journeys
  int64_t batch = 32;
  Precision precision = Precision::bf16;
  bool deterministic = false;
  int64_t refit_epochs = 0;
  std::optional<cuda::ProductChoice> choice = std::nullopt;  // with a library
  OutcomeHead head = OutcomeHead::separable;
  MediatorMode mediator = MediatorMode::observed;
};
// The library's: every layer but those to or from a few numbers.
constexpr cuda::ProductChoice kWide{
    .library_from_bf16 = 8, .library_from_fp32 = 8, .library_bytes = 4096};

class GpuMemoryPlan : public testing::TestWithParam<PlannedCase> {};

INSTANTIATE_TEST_SUITE_P(
    Case, GpuMemoryPlan,
    testing::Values(PlannedCase{"tiny", "tiny", 32, Precision::fp32},
                    PlannedCase{"tables", "reference", 16},
                    PlannedCase{"refit", "reference", 16, Precision::bf16, false, 1},
                    PlannedCase{"refit_without_pairs", "reference", 16, Precision::fp32, false, 1,
                                std::nullopt, OutcomeHead::separable, MediatorMode::proxy},
                    PlannedCase{"library", "tiny", 32, Precision::bf16, false, 0, kWide},
                    PlannedCase{"exact", "reference", 16, Precision::fp32, true},
                    PlannedCase{"general", "tiny", 32, Precision::bf16, false, 0, std::nullopt,
                                OutcomeHead::general}),
    [](const auto& test) { return test.param.name; });

TEST_P(GpuMemoryPlan, IsWhatTheRuntimeIsAskedFor) {
  LogShape shape = shape_by_name(GetParam().shape);
  shape.clusters = 20;
  shape.items = shape.items > 0 ? 300 : 0;
  LevelBOptions level;
  level.clusters = shape.clusters;
  const std::unique_ptr<Simulator> simulator = make_level_b(level, shape);
  io::Journeys rows;
  simulator->append(0, 120, rows);
  const auto log = std::make_shared<MemoryLog>(simulator->schema(), rows);
  TrainOptions options;
  options.batch = GetParam().batch;
  options.epochs = 1;
  options.refit_epochs = GetParam().refit_epochs;
  options.deterministic = GetParam().deterministic;
  options.model = model_options_by_name("tiny");
  options.model.outcome_head = GetParam().head;
  options.model.mediator = GetParam().mediator;
  options.model.cat_rows = options.model.item_rows = 61;
  Compute compute(make_cpu_device("auto"), 1);
  const FitPlan fits = plan_fits(options);
  const LogSurvey survey = survey_log(*log, options, fits, compute.pool());
  const std::unique_ptr<Model> planned_model =
      make_model(survey.stats, options.model, log->options().max_touches);
  const std::unique_ptr<DeviceWithoutMemory> space =
      cuda::make_cuda_without_memory(GetParam().precision, GetParam().choice);
  const MemoryPlan plan =
      plan_memory({*log, survey, options, *planned_model, compute.device(), space.get(), 1, 1});

  const std::unique_ptr<Communicator> world = make_self_communicator();
  FirstPass pass =
      first_pass(log, options.model, std::span(&fits.fits[0].training, 1), fits.scored, 1, *world);
  const std::vector<int64_t> training_rows = pass.fit_rows[0];
  const std::unique_ptr<Model> model =
      make_model(std::make_shared<FeatureStats>(std::move(pass.stats)), options.model,
                 log->options().max_touches);
  const std::unique_ptr<Device> gpu =
      cuda::make_cuda_device(GetParam().precision, 0, GetParam().choice);
  const std::unique_ptr<DeviceCommunicator> alone = make_self_device_communicator();
  MetricsLog unwritten("", false);
  simt::runtime_calls().most_bytes = 0;
  Fit fit({.name = "main",
           .log = log,
           .model = *model,
           .options = options,
           .compute = compute,
           .world = *world,
           .metrics = unwritten,
           .training = fits.fits[0].training,
           .validation = fits.fits[0].validation,
           .training_rows = training_rows,
           .quiet = true,
           .accelerator = gpu.get(),
           .accelerators = alone.get()});
  const int64_t at_start = simt::runtime_calls().most_bytes;
  ASSERT_TRUE(fit.run([] {}));
  const int64_t taken = simt::runtime_calls().most_bytes;
  EXPECT_EQ(taken, at_start) << "a step asked for more";
  EXPECT_EQ(plan.main.total(), fit.step());
  EXPECT_EQ(to_json(plan.device), to_json(fit.memory_of_accelerator()));
  EXPECT_NEAR(static_cast<double>(plan.device.total()), static_cast<double>(taken),
              0.01 * static_cast<double>(taken));
  std::printf("planned %lld, taken %lld bytes\n", static_cast<long long>(plan.device.total()),
              static_cast<long long>(taken));
}

}  // namespace
}  // namespace alm
