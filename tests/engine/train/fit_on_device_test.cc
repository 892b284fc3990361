// A fit whose steps are taken on a device, here the CPU as a device of one queue: the same weights
// as by threads up to rounding, and the same bits when it goes on from a checkpoint.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <optional>

#include "engine/simulate/simulator.h"
#include "engine/train/fit.h"
#include "engine/train/metrics_log.h"
#include "kernels/base/stop_flag.h"
#include "tests/engine/memory_log.h"

namespace alm {
namespace {

class FitOnDevice : public testing::Test {
 protected:
  explicit FitOnDevice(MediatorMode mode = MediatorMode::observed)
      : compute_(make_cpu_device("auto"), 1),
        world_(make_self_communicator()),
        device_(make_cpu_device("auto")),
        alone_(make_self_device_communicator()) {
    LogShape shape = shape_by_name("reference");
    shape.clusters = 20;
    shape.items = 300;
    LevelBOptions level;
    level.clusters = shape.clusters;
    const std::unique_ptr<Simulator> simulator = make_level_b(level, shape);
    io::Journeys rows;
    simulator->append(0, 3000, rows);
    log_ = std::make_shared<MemoryLog>(simulator->schema(), rows);
    options_.batch = 64;
    options_.epochs = 2;
    options_.refit_epochs = 1;
    options_.model = model_options_by_name("tiny");
    options_.model.cat_rows = options_.model.item_rows = 997;
    options_.model.mediator = mode;
    const io::UserFilter everyone = [](uint64_t) { return true; };
    FirstPass pass =
        first_pass(log_, options_.model, std::span(&everyone, 1), everyone, 1, *world_);
    training_rows_ = pass.fit_rows[0];
    model_ = make_model(std::make_shared<FeatureStats>(std::move(pass.stats)), options_.model,
                        log_->options().max_touches);
  }

  std::unique_ptr<Fit> fit(Device* accelerator) {
    return std::make_unique<Fit>(
        FitInputs{.name = "main",
                  .log = log_,
                  .model = *model_,
                  .options = options_,
                  .compute = compute_,
                  .world = *world_,
                  .metrics = *metrics_,
                  .training = [](uint64_t) { return true; },
                  .validation = [](uint64_t user) { return user % 16 == 0; },
                  .training_rows = training_rows_,
                  .with_critic = true,
                  .quiet = true,
                  .accelerator = accelerator,
                  .accelerators = alone_.get()});
  }

  void expect_weights_of_a_fit_by_threads();

  Compute compute_;
  std::unique_ptr<Communicator> world_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<DeviceCommunicator> alone_;
  std::shared_ptr<const io::Log> log_;
  TrainOptions options_;
  std::vector<int64_t> training_rows_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<MetricsLog> metrics_ = std::make_unique<MetricsLog>("", false);
};

// Of the fit's error; empty: none.
std::string error_of(Fit& fit) {
  try {
    fit.run([] {});
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

void FitOnDevice::expect_weights_of_a_fit_by_threads() {
  const std::unique_ptr<Fit> by_threads = fit(nullptr);
  const std::unique_ptr<Fit> by_device = fit(device_.get());
  ASSERT_TRUE(by_threads->run([] {}));
  ASSERT_TRUE(by_device->run([] {}));
  EXPECT_EQ(by_device->step(), by_threads->step());
  EXPECT_EQ(by_device->training_steps(), by_threads->training_steps());
  const ModelWeights wanted = by_threads->take_weights();
  const ModelWeights found = by_device->take_weights();
  const ModelWeights start = model_->fresh_weights(1);
  const auto distance = [](const std::vector<float>& left, const std::vector<float>& right) {
    double squares = 0;
    for (size_t at = 0; at < left.size(); ++at) squares += std::pow(left[at] - right[at], 2);
    return std::sqrt(squares);
  };
  // Of the way that the weights went.
  EXPECT_LT(distance(found.dense, wanted.dense), 0.01 * distance(start.dense, wanted.dense));
  EXPECT_LT(distance(found.cats.weights, wanted.cats.weights),
            0.01 * distance(start.cats.weights, wanted.cats.weights));
  EXPECT_LT(distance(found.items.weights, wanted.items.weights),
            0.01 * distance(start.items.weights, wanted.items.weights));
}

TEST_F(FitOnDevice, HasTheWeightsOfAFitByThreads) {
  expect_weights_of_a_fit_by_threads();
}

// With its adversary, whose reversal grows from step to step.
class ProxyFitOnDevice : public FitOnDevice {
 protected:
  ProxyFitOnDevice() : FitOnDevice(MediatorMode::proxy) {}
};

TEST_F(ProxyFitOnDevice, HasTheWeightsOfAFitByThreads) {
  expect_weights_of_a_fit_by_threads();
}

TEST_F(FitOnDevice, ReportsEachStepsOwnLossesAndStopsWhereItWasAskedTo) {
  options_.report_every = 7;  // between validations, where the host is a step ahead
  std::vector<io::Json> lines[2];
  for (Device* const accelerator : {static_cast<Device*>(nullptr), device_.get()}) {
    const std::string path = testing::TempDir() + "alm_fit_on_device.jsonl";
    std::remove(path.c_str());
    metrics_ = std::make_unique<MetricsLog>(path, true);
    ASSERT_TRUE(fit(accelerator)->run([] {}));
    lines[accelerator != nullptr] = read_metrics(path);
    std::remove(path.c_str());
  }
  ASSERT_EQ(lines[0].size(), lines[1].size());
  ASSERT_GT(lines[0].size(), 12u);
  for (size_t line = 0; line < lines[0].size(); ++line) {
    const io::Json &wanted = lines[0][line], &found = lines[1][line];
    for (const char* name : {"fit", "phase", "step", "skipped", "lr"}) {
      EXPECT_EQ(found[name], wanted[name]) << name << " of line " << line;
    }
    for (const char* name : {"mediator", "outcome", "second_stage"}) {
      const double loss = wanted["losses"][name].get<double>();
      EXPECT_NEAR(found["losses"][name].get<double>(), loss, 2e-3 * loss) << name << " " << wanted;
    }
    EXPECT_EQ(found.contains("validation"), wanted.contains("validation"));
  }
}

TEST_F(FitOnDevice, StopsAfterTheStepInWhichItWasAskedTo) {
  options_.checkpoint_every = 5;
  const std::unique_ptr<Fit> stopped = fit(device_.get());
  EXPECT_FALSE(stopped->run([] { request_stop(); }));
  clear_stop_request();
  EXPECT_EQ(stopped->step(), 6);
}

TEST_F(FitOnDevice, GivesUpAtTheSameStepAsByThreadsAndNamesTheSameTensor) {
  options_.learning_rate = 1e30;
  options_.warmup_steps = 0;
  const std::string wanted = error_of(*fit(nullptr));
  EXPECT_NE(wanted.find("updates in a row had a loss or gradient that is not finite"),
            std::string::npos)
      << wanted;
  EXPECT_EQ(error_of(*fit(device_.get())), wanted);
}

TEST_F(FitOnDevice, GoesOnFromACheckpointToTheSameBits) {
  options_.checkpoint_every = 10;
  const std::unique_ptr<Fit> whole = fit(device_.get());
  std::optional<io::CheckpointBlobs> middle, in_refit;
  ASSERT_TRUE(whole->run([&] {
    std::optional<io::CheckpointBlobs>& to =
        whole->step() > whole->training_steps() ? in_refit : middle;
    if (to) return;
    to.emplace();
    whole->save(*to);
  }));
  const std::string wanted = weights_digest(*model_, whole->take_weights());
  for (const auto* from : {&middle, &in_refit}) {
    ASSERT_TRUE(*from);
    const std::unique_ptr<Fit> resumed = fit(device_.get());
    resumed->load(**from);
    ASSERT_TRUE(resumed->run([] {}));
    EXPECT_EQ(weights_digest(*model_, resumed->take_weights()), wanted);
  }
}

// The scale of a deterministic sum is that of the sum before: bits hang on it, though rarely.
TEST_F(FitOnDevice, ByThreadsKnowsTheSizesOfItsSumsFromACheckpoint) {
  options_.deterministic = true;
  options_.checkpoint_every = 10;
  const std::unique_ptr<Fit> whole = fit(nullptr);
  io::CheckpointBlobs last;
  ASSERT_TRUE(whole->run([&] {
    last = {};
    whole->save(last);
  }));
  // Of the model, of the second stage and of the critic.
  EXPECT_EQ(last.header.at("fit").at("gradient_sizes").at(0).size(), 3U);
  const std::unique_ptr<Fit> resumed = fit(nullptr);
  resumed->load(last);
  io::CheckpointBlobs again;
  resumed->save(again);
  EXPECT_EQ(again.header.at("fit"), last.header.at("fit"));
}

}  // namespace
}  // namespace alm
