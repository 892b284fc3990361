// The step on a device, here the CPU as a device of one queue: the same training as by the step of
// many threads, up to the order of sums.
#include "engine/train/device_step.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "engine/train/distinct_rows.h"
#include "tests/engine/estimate/thread_world.h"
#include "tests/engine/train/device_training.h"

namespace alm {
namespace {

class DeviceStepTest : public testing::TestWithParam<TrainingCase> {};

std::string name_of(const testing::TestParamInfo<TrainingCase>& test) {
  constexpr const char* kHeads[] = {"Separable", "Additive", "Arms",
                                    "Proxy",     "General",  "GeneralContinuous"};
  return kHeads[static_cast<int>(test.param.head)] + test.param.shape +
         std::to_string(test.param.batch);
}

INSTANTIATE_TEST_SUITE_P(Case, DeviceStepTest,
                         testing::Values(TrainingCase{"tiny", 64}, TrainingCase{"reference", 16},
                                         TrainingCase{"reference", 256},
                                         TrainingCase{"reference", 64, Head::additive},
                                         TrainingCase{"tiny", 128, Head::arms},
                                         TrainingCase{"reference", 64, Head::general},
                                         TrainingCase{"tiny", 64, Head::general_continuous},
                                         TrainingCase{"tiny", 256, Head::proxy},
                                         TrainingCase{"reference", 128, Head::proxy}),
                         name_of);

void expect_close(double found, double wanted, double tolerance, const std::string& what) {
  EXPECT_LE(std::fabs(found - wanted), tolerance * (1 + std::fabs(wanted)))
      << what << ": " << found << " and " << wanted;
}

void expect_close(const std::vector<float>& found, const std::vector<float>& wanted,
                  double tolerance, const std::string& what) {
  ASSERT_EQ(found.size(), wanted.size()) << what;
  double miss = 0, size = 0;
  for (size_t at = 0; at < wanted.size(); ++at) {
    miss += std::pow(double{found[at]} - double{wanted[at]}, 2);
    size += std::pow(double{wanted[at]}, 2);
  }
  EXPECT_LE(std::sqrt(miss), tolerance * std::sqrt(size)) << what;
}

TEST_P(DeviceStepTest, TrainsAsTheStepOfManyThreads) {
  DeviceTraining training(GetParam());
  ModelWeights wanted = training.fresh_weights();
  const std::unique_ptr<StepState> host = training.state(wanted);
  ModelWeights found = training.fresh_weights();
  const std::unique_ptr<StepState> state = training.state(found);
  const std::unique_ptr<Device> device = make_cpu_device("auto");
  DeviceStep on_device = training.step_on(*device);
  on_device.upload(found, state->optimizer);
  constexpr int64_t kSteps = 20;
  for (int64_t step = 1; step <= kSteps; ++step) {
    const auto settings = DeviceTraining::settings();
    host->clip_norm = state->clip_norm = step % 2 == 0 ? 0.02 : 1e9;
    host->reversal = state->reversal = 0.02f * static_cast<float>(step);
    const StepResult by_threads = train_step(*host, training.batch(step), step, settings, false);
    const StepResult by_device = training.take(on_device, *state, step);
    const std::string at = "step " + std::to_string(step);
    EXPECT_FALSE(by_device.skipped);
    expect_close(by_device.losses.mediator, by_threads.losses.mediator, 1e-5, at + ", mediator");
    expect_close(by_device.losses.outcome, by_threads.losses.outcome, 1e-5, at + ", outcome");
    expect_close(by_device.losses.second_stage, by_threads.losses.second_stage, 1e-5,
                 at + ", second stage");
    expect_close(by_device.losses.propensity, by_threads.losses.propensity, 1e-5,
                 at + ", propensity");
    expect_close(by_device.losses.law, by_threads.losses.law, 1e-5, at + ", law");
    expect_close(by_device.losses.proxy, by_threads.losses.proxy, 1e-5, at + ", proxy");
    expect_close(by_device.losses.adversary, by_threads.losses.adversary, 1e-5, at + ", adversary");
    expect_close(by_device.losses.entropy_floor, by_threads.losses.entropy_floor, 1e-9,
                 at + ", entropy");
    expect_close(by_device.losses.contrastive, by_threads.losses.contrastive, 1e-5,
                 at + ", contrastive");
    EXPECT_EQ(by_device.losses.weight, by_threads.losses.weight);
    expect_close(by_device.gradient_norm, by_threads.gradient_norm, 1e-4, at + ", norm");
    EXPECT_GT(by_threads.gradient_norm, 0.02) << "nothing is clipped";
    if (GetParam().head == Head::proxy) {
      EXPECT_GT(by_threads.losses.contrastive, 0.1);
      EXPECT_GT(by_threads.losses.adversary, 0.1);
    }
  }
  on_device.download(found, state->optimizer);
  expect_close(found.dense, wanted.dense, 1e-4, "dense");
  expect_close(found.cats.weights, wanted.cats.weights, 1e-4, "cats");
  expect_close(found.cats.state, wanted.cats.state, 1e-4, "state of cats");
  expect_close(found.items.weights, wanted.items.weights, 1e-4, "items");
  expect_close(found.items.state, wanted.items.state, 1e-4, "state of items");
  expect_close(state->optimizer.first_moment, host->optimizer.first_moment, 1e-3, "first moment");
  expect_close(state->optimizer.second_moment, host->optimizer.second_moment, 1e-3,
               "second moment");
}

class DeviceRefitTest : public testing::TestWithParam<TrainingCase> {};

INSTANTIATE_TEST_SUITE_P(Case, DeviceRefitTest,
                         testing::Values(TrainingCase{"tiny", 64}, TrainingCase{"reference", 256},
                                         TrainingCase{"reference", 64, Head::additive},
                                         TrainingCase{"reference", 128, Head::proxy}),
                         name_of);

TEST_P(DeviceRefitTest, TakesStepsOfTheSecondStageAsByManyThreadsAndMovesNothingElse) {
  DeviceTraining training(GetParam());
  const ModelWeights start = training.fresh_weights();
  ModelWeights wanted = start, found = start;
  const std::unique_ptr<StepState> host = training.state(wanted);
  const std::unique_ptr<StepState> state = training.state(found);
  host->refit = state->refit = true;
  const std::unique_ptr<Device> device = make_cpu_device("auto");
  DeviceStep on_device = training.step_on(*device);
  on_device.upload(found, state->optimizer);
  for (int64_t step = 1; step <= 20; ++step) {
    const auto settings = DeviceTraining::settings();
    host->clip_norm = state->clip_norm = step % 2 == 0 ? 0.02 : 1e9;
    const StepResult by_threads = train_step(*host, training.batch(step), step, settings, false);
    const StepResult by_device = training.take(on_device, *state, step);
    const std::string at = "step " + std::to_string(step);
    EXPECT_FALSE(by_device.skipped);
    EXPECT_EQ(by_device.losses.weight, by_threads.losses.weight);
    expect_close(by_device.losses.second_stage, by_threads.losses.second_stage, 1e-5,
                 at + ", second stage");
    expect_close(by_device.losses.propensity, by_threads.losses.propensity, 1e-5,
                 at + ", removal net");
    expect_close(by_device.gradient_norm, by_threads.gradient_norm, 1e-4, at + ", norm");
    EXPECT_EQ(by_threads.losses.propensity > 0.1, GetParam().head != Head::proxy);
    EXPECT_EQ(by_threads.losses.second_stage > 0, GetParam().head != Head::additive);
  }
  on_device.download_refit(found, state->optimizer);
  expect_close(found.dense, wanted.dense, 1e-4, "dense");
  expect_close(state->optimizer.first_moment, host->optimizer.first_moment, 1e-3, "first moment");
  ModelWeights all = start;
  on_device.download(all, state->optimizer);
  EXPECT_EQ(all.dense, found.dense) << "something else moved";
  EXPECT_EQ(all.cats.weights, start.cats.weights);
  EXPECT_EQ(all.items.weights, start.items.weights);
  const int64_t first = training.model().refit_first(), last = training.model().refit_last();
  int64_t moved = 0;
  for (int64_t at = 0; at < std::ssize(start.dense); ++at) {
    const bool moves = all.dense[static_cast<size_t>(at)] != start.dense[static_cast<size_t>(at)];
    ASSERT_TRUE(!moves || (at >= first && at < last)) << training.model().layout().name_at(at);
    moved += moves;
  }
  EXPECT_GT(moved, (last - first) / 2);
}

TEST(DeviceStep, SkipsAStepOfTheSecondStageThatIsNotFiniteAndNamesItsTensor) {
  DeviceTraining training({"reference", 64});
  const std::unique_ptr<Device> device = make_cpu_device("auto");
  ModelWeights weights = training.fresh_weights();
  ModelWeights of_host = weights;
  const ModelWeights before = weights;
  const std::unique_ptr<StepState> state = training.state(weights);
  const std::unique_ptr<StepState> host = training.state(of_host);
  state->refit = host->refit = true;
  DeviceStep on_device = training.step_on(*device);
  on_device.upload(weights, state->optimizer);
  training.journey_block(1, 0).dense[0] = std::numeric_limits<float>::infinity();
  const StepResult result = training.take(on_device, *state, 1);
  EXPECT_TRUE(result.skipped);
  EXPECT_EQ(result.bad_tensor,
            train_step(*host, training.batch(1), 1, DeviceTraining::settings(), false).bad_tensor);
  on_device.download(weights, state->optimizer);
  EXPECT_EQ(weights.dense, before.dense);
  EXPECT_FALSE(training.take(on_device, *state, 2).skipped);
}

TEST(DeviceStep, SkipsAStepWhoseLossIsNotFiniteAndMovesNothing) {
  DeviceTraining training({"reference", 64});
  const std::unique_ptr<Device> device = make_cpu_device("auto");
  ModelWeights weights = training.fresh_weights();
  const ModelWeights before = weights;
  const std::unique_ptr<StepState> state = training.state(weights);
  DeviceStep on_device = training.step_on(*device);
  on_device.upload(weights, state->optimizer);
  training.journey_block(1, 0).dense[0] = std::numeric_limits<float>::infinity();
  const StepResult result = training.take(on_device, *state, 1);
  EXPECT_TRUE(result.skipped);
  EXPECT_FALSE(result.bad_tensor.empty());
  on_device.download(weights, state->optimizer);
  EXPECT_EQ(weights.dense, before.dense);
  EXPECT_EQ(weights.items.weights, before.items.weights);
  EXPECT_FALSE(training.take(on_device, *state, 2).skipped);
}

TEST(DeviceStep, LossesOfBlocksDoNotDependOnHowManyGoTogether) {
  DeviceTraining training({"reference", 256});
  const std::unique_ptr<Device> device = make_cpu_device("auto");
  ModelWeights weights = training.fresh_weights();
  const std::unique_ptr<StepState> state = training.state(weights);
  DeviceStep on_device = training.step_on(*device);
  on_device.upload(weights, state->optimizer);
  const Losses all = on_device.losses(*state, training.batch(0), 1000).means();
  const Losses apart = on_device.losses(*state, training.batch(0), 1).means();
  EXPECT_EQ(all.weight, 256);
  EXPECT_EQ(apart.weight, 256);
  EXPECT_NEAR(all.outcome, apart.outcome, 1e-6);
  EXPECT_NEAR(all.mediator, apart.mediator, 1e-6);
  on_device.begin(*state, training.batch(0), 1, DeviceTraining::settings());
  const StepResult step = on_device.result(*state);
  EXPECT_NEAR(step.losses.outcome, all.outcome, 1e-6);
}

TEST(DeviceStep, SaysWhatItDoesNotTrainYet) {
  const auto reason = [](Precision activations, const auto& change) {
    TrainOptions options;
    change(options);
    return not_yet_on_device(options, activations);
  };
  const auto nothing = [](TrainOptions&) {};
  const auto proxy = [](TrainOptions& of) { of.model.mediator = MediatorMode::proxy; };
  EXPECT_EQ(reason(Precision::fp32, nothing), "");
  EXPECT_EQ(reason(Precision::bf16, nothing), "");
  EXPECT_EQ(reason(Precision::fp32, proxy), "");
  EXPECT_NE(reason(Precision::bf16, proxy), "");
  const auto general = [](TrainOptions& of) { of.model.outcome_head = OutcomeHead::general; };
  EXPECT_EQ(reason(Precision::fp32, general), "");
  EXPECT_EQ(reason(Precision::bf16, general), "");
  EXPECT_NE(reason(Precision::fp32, [](TrainOptions& of) { of.tabular = true; }), "");
  EXPECT_NE(reason(Precision::fp32, [](TrainOptions& of) { of.pcgrad = true; }), "");
  TrainOptions options;
  EXPECT_EQ(refit_not_yet_on_device(options), "");
  options.deterministic = true;
  EXPECT_NE(refit_not_yet_on_device(options), "");
  EXPECT_NE(reason(Precision::fp32, [](TrainOptions& of) { of.discriminator_steps = 2; }), "");
  const auto wide = [&](TrainOptions& of) {
    proxy(of);
    of.model.match_width = 129;
  };
  EXPECT_NE(reason(Precision::fp32, wide), "");
}

TEST(DistinctRows, AreEachThereOnceAndFoundFromEveryUse) {
  constexpr int64_t kRows = 131;  // two words and a bit
  DistinctRows distinct(kRows);
  const std::vector<std::vector<int64_t>> batches = {
      {}, {3}, {130, 0, 130, 130, 0, 63, 64}, {64, 127, 128, 64}, {}};
  for (const std::vector<int64_t>& uses : batches) {
    for (const int64_t padding : {0, 8, 1000}) {
      distinct.clear();
      for (const int64_t use : uses) distinct.add(std::span(&use, 1));
      distinct.find();
      const std::vector<int64_t> found(distinct.rows().begin(), distinct.rows().end());
      EXPECT_EQ(std::set(found.begin(), found.end()), std::set(uses.begin(), uses.end()));
      EXPECT_TRUE(std::ranges::is_sorted(found));
      distinct.pad(padding);
      ASSERT_EQ(distinct.places().size(), uses.size());
      for (size_t use = 0; use < uses.size(); ++use) {
        EXPECT_EQ(distinct.rows()[static_cast<size_t>(distinct.places()[use])], uses[use]);
      }
      const std::set<int64_t> rows(distinct.rows().begin(), distinct.rows().end());
      EXPECT_EQ(rows.size(), distinct.rows().size()) << "a row twice";
      EXPECT_EQ(std::ssize(rows), std::min(std::max(padding, std::ssize(found)), kRows));
      EXPECT_TRUE(rows.empty() || (*rows.begin() >= 0 && *rows.rbegin() < kRows));
      EXPECT_TRUE(std::ranges::equal(found, distinct.rows().first(found.size())));
    }
  }
}

TEST(DistinctRows, OfRanksAreJoinedAscending) {
  const std::vector<std::vector<std::vector<int64_t>>> batches = {
      {{}, {}, {}}, {{5, 3, 5}, {}, {3, 9}}, {{10, 0}, {7, 7}, {}}, {{4}, {4}, {4}}};
  const std::vector<std::vector<int64_t>> joined = {{}, {3, 5, 9}, {0, 7, 10}, {4}};
  for (const int64_t ranks : {1, 3}) {
    ThreadWorld(ranks).run([&](Communicator& world) {
      DistinctRows distinct(11);
      for (size_t batch = 0; batch < batches.size(); ++batch) {
        const std::vector<int64_t>& uses = batches[batch][static_cast<size_t>(world.rank())];
        distinct.clear();
        distinct.add(uses);
        distinct.join(world, "rows");
        distinct.find();
        const auto expect_places = [&](std::span<const int64_t> of) {
          ASSERT_EQ(distinct.places().size(), of.size());
          for (size_t use = 0; use < of.size(); ++use) {
            EXPECT_EQ(distinct.rows()[static_cast<size_t>(distinct.places()[use])], of[use]);
          }
        };
        expect_places(uses);
        if (ranks == 3) {
          EXPECT_TRUE(std::ranges::equal(distinct.rows(), joined[batch]));
        }
        EXPECT_TRUE(std::ranges::is_sorted(distinct.rows()));
        const std::span<const int64_t> some = std::span(uses).first(uses.size() / 2);
        distinct.locate(some);
        expect_places(some);
      }
    });
  }
}

}  // namespace
}  // namespace alm
