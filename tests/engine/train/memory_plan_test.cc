// A plan beside what a run then asks operator new for.
#include "engine/train/memory_plan.h"

#include <cmath>
#include <cstdio>
#include <map>

#include "engine/simulate/simulator.h"
#include "engine/train/largest_batch.h"
#include "engine/train/metrics_log.h"
#include "tests/engine/train/counted_memory.h"
#include "tests/engine/train/memory_run.h"

namespace alm {
namespace {

TEST(MostTouches, HoldsWhatRandomJourneysHaveAndNoMoreThanAllCan) {
  // Half of the journeys have 16 touches, half none: the widest that a mean of 8 allows.
  const TouchCounts counts{8, 16};
  EXPECT_EQ(most_touches(1, counts), 16);
  for (const int64_t journeys : {64, 1024, 65536}) {
    uint64_t state = 1;
    int64_t most = 0;
    for (int64_t draw = 0; draw < 200; ++draw) {
      int64_t touches = 0;
      for (int64_t journey = 0; journey < journeys; ++journey) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        touches += 16 * static_cast<int64_t>(state >> 63);
      }
      most = std::max(most, touches);
    }
    EXPECT_LE(most, most_touches(journeys, counts));
    EXPECT_LE(most_touches(journeys, counts), 16 * journeys);
  }
  EXPECT_LT(most_touches(65536, counts), 8.3 * 65536);
  EXPECT_EQ(most_touches(1000, {1, 1}), 1000);
}

class MemoryPlanTest : public MemoryRun {
 protected:
  MemoryPlanTest() {
    shape_.clusters = 20;
    shape_.items = 3000;
    LevelBOptions level;
    level.clusters = shape_.clusters;
    simulator_ = make_level_b(level, shape_);
    simulator_->append(0, 9000, rows_);
    options_.batch = 256;
    options_.epochs = 1;
    options_.refit_epochs = 1;
    options_.holdout = 0.4;
    options_.model.cat_rows = options_.model.item_rows = 1 << 17;
  }
  MemoryPlan plan() {
    const MemoryLog log(simulator_->schema(), rows_);
    survey_ = survey_log(log, options_, plan_fits(options_), compute_.pool());
    model_ = make_model(survey_.stats, options_.model, log.options().max_touches);
    return plan_memory(
        {log, survey_, options_, *model_, compute_.device(), nullptr, 1, compute_.threads()});
  }

  LogShape shape_ = shape_by_name("reference");
  std::unique_ptr<Simulator> simulator_;
  io::Journeys rows_;
  TrainOptions options_;
  LogSurvey survey_;
  std::unique_ptr<Model> model_;
};

TEST_F(MemoryPlanTest, IsWhatARunOnTwoThreadsAsksFor) {
  const MemoryPlan plan = this->plan();
  EXPECT_EQ(plan.fits, 3);
  const int64_t before = counted_memory::held;
  counted_memory::peak = before;
  trained(simulator_->schema(), rows_, options_, "run");
  const int64_t taken = counted_memory::peak - before;
  EXPECT_NEAR(static_cast<double>(plan.peak), static_cast<double>(taken),
              0.01 * static_cast<double>(taken));
  std::printf("planned %lld, taken %lld bytes\n", static_cast<long long>(plan.peak),
              static_cast<long long>(taken));
}

// Their fits come when those of the run are all held, and the last of them is in a checkpoint.
TEST_F(MemoryPlanTest, CountsTheFitsOfNegativeControls) {
  options_.model = model_options_by_name("tiny");
  options_.model.cat_rows = options_.model.item_rows = 1 << 20;
  const int64_t without = plan().peak;
  options_.controls = {Control::shuffled_treatment};
  const MemoryPlan plan = this->plan();
  EXPECT_GT(plan.peak, without);
  const int64_t before = counted_memory::held;
  counted_memory::peak = before;
  trained(simulator_->schema(), rows_, options_, "run");
  const int64_t log = rows_.bytes();  // in memory here, in files else
  const int64_t taken = counted_memory::peak - before - log;
  EXPECT_NEAR(static_cast<double>(plan.peak), static_cast<double>(taken),
              0.01 * static_cast<double>(taken));
  std::printf("planned %lld, taken %lld bytes, %lld without controls\n",
              static_cast<long long>(plan.peak), static_cast<long long>(taken),
              static_cast<long long>(without));
}

// By what metrics.jsonl says of each fit, and how many there were of a name.
class StepsOfAPlan : public MemoryPlanTest {
 protected:
  StepsOfAPlan() {
    options_.model = model_options_by_name("tiny");
    options_.model.cat_rows = options_.model.item_rows = 64;
    options_.patience = 100;
    // Of no more blocks than a survey reads, so that it counts exactly, and with enough held out
    // for fits on the halves.
    rows_ = {};
    simulator_->append(0, 4000, rows_);
    options_.holdout = 0.9;
    options_.batch = 64;
  }
  void expect_steps_of_a_run(const std::vector<FitSteps>& planned) {
    trained(simulator_->schema(), rows_, options_, "run");
    std::map<std::string, int64_t> steps;  // of a fit
    for (const io::Json& line : read_metrics(run_dir("run") + "/metrics.jsonl")) {
      int64_t& last = steps[line["fit"].get<std::string>()];
      last = std::max(last, line["step"].get<int64_t>());
    }
    std::map<std::string, FitSteps> taken;  // "shuffled_mediator.fold1" is one of shuffled_mediator
    for (const auto& [fit, of_fit] : steps) {
      FitSteps& of_name = taken[fit.substr(0, fit.find('.'))];
      ++of_name.fits;
      of_name.steps += of_fit;
    }
    for (const FitSteps& of : planned) {
      if (of.name == "bootstrap") continue;  // no line is written of a replicate
      EXPECT_EQ(of.fits, taken[of.name].fits) << of.name;
      EXPECT_EQ(of.steps, taken[of.name].steps) << of.name;
    }
    EXPECT_EQ(planned.size(), taken.size() + (options_.bootstrap_fits > 0 ? 1 : 0));
  }
};

TEST_F(StepsOfAPlan, AreThoseOfAllFitsThatARunMakes) {
  options_.bootstrap_fits = 2;
  options_.controls = {Control::shuffled_mediator};
  const std::vector<FitSteps> planned = plan().fit_steps;
  ASSERT_EQ(planned.size(), 5u);  // main, two halves
  EXPECT_EQ(planned[3].name, "bootstrap");
  EXPECT_EQ(planned[3].fits, 2);
  EXPECT_EQ(planned[3].steps, 2 * planned[0].steps);
  expect_steps_of_a_run(planned);
}

TEST_F(StepsOfAPlan, AreThoseOfAllFolds) {
  options_.folds = 2;
  options_.controls = {Control::shuffled_treatment};
  expect_steps_of_a_run(plan().fit_steps);
}

TEST_F(StepsOfAPlan, AreThoseOfASweepInProxyMode) {
  options_.model.mediator = MediatorMode::proxy;
  options_.controls = {Control::dropped_proxy, Control::adversary_weight};
  expect_steps_of_a_run(plan().fit_steps);
}

TEST_F(MemoryPlanTest, OfAHostIsRankZeroAndTheOthers) {
  const MemoryPlan plan = this->plan();
  EXPECT_EQ(bytes_of_host(plan, 1), plan.peak);
  EXPECT_EQ(bytes_of_host(plan, 3), plan.peak + 2 * plan.peak_of_others);
  EXPECT_GE(plan.peak_of_others, plan.host.total());
  EXPECT_GT(plan.peak, plan.peak_of_others) << "rank 0 writes checkpoints";
}

TEST_F(MemoryPlanTest, LargestBatchFitsAndTheNextDoesNot) {
  options_.model = model_options_by_name("tiny");
  const MemoryPlan small = plan();
  const MemoryLog log(simulator_->schema(), rows_);
  for (const double share : {1.1, 1.5}) {
    const PlanInputs in{log, survey_, options_, *model_, compute_.device(), nullptr, 1, 2};
    const auto memory = static_cast<int64_t>(share * static_cast<double>(small.peak));
    const int64_t batch = largest_fitting_batch(in, memory);
    ASSERT_GE(batch, 256);
    TrainOptions other = options_;
    const PlanInputs again{log, survey_, other, *model_, compute_.device(), nullptr, 1, 2};
    other.batch = batch;
    EXPECT_LE(bounded_bytes(plan_memory(again), again), memory);
    if (batch + 16 > survey_.fit_rows[0]) continue;
    other.batch = batch + 16;
    EXPECT_GT(bounded_bytes(plan_memory(again), again), memory);
  }
  const PlanInputs in{log, survey_, options_, *model_, compute_.device(), nullptr, 1, 2};
  EXPECT_EQ(largest_fitting_batch(in, 1000), 0);
}

}  // namespace
}  // namespace alm
