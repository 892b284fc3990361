// Nothing is allocated in the steady state of training: the program's operator new is counted on
// the threads that train. Journeys have one length each, so that every micro-block is the largest.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <functional>

#include "engine/simulate/log_files.h"
#include "engine/train/bench_step.h"
#include "engine/train/fit.h"
#include "tests/engine/train/counted_memory.h"

namespace alm {
namespace {

// Runs body(thread) once on every thread of the pool: none ends before all have begun.
void on_every_thread(ThreadPool& pool, const std::function<void(int64_t thread)>& body) {
  std::atomic<int64_t> arrived{0};
  const auto item = [&](int64_t, int64_t thread) {
    ++arrived;
    while (arrived < pool.threads()) std::this_thread::yield();
    body(thread);
  };
  pool.parallel_for(pool.threads(), std::cref(item));
}

// Counts on this thread and on those of the pool while it lives.
class Watch {
 public:
  explicit Watch(ThreadPool& pool) : pool_(pool) { mark(true); }
  ~Watch() { mark(false); }

 private:
  void mark(bool watched) {
    on_every_thread(pool_, [&](int64_t) { counted_memory::this_thread = watched; });
  }

  ThreadPool& pool_;
};

// Shows every thread as much as goes through the model at once, in every kind of pass: which of
// them takes which part of a step is chance, and one that was idle in the first steps would size
// its memory later.
void show_to_all_threads(const io::Journeys& block, const Model& model, Compute& compute) {
  const ModelWeights weights = model.fresh_weights(1);
  on_every_thread(compute.pool(), [&](int64_t thread) {
    std::vector<float> gradient(weights.dense.size());
    Inputs& inputs = compute.thread(thread).inputs;
    if (model.options().proxy_mode()) {
      inputs.fill(block, model.stats(), model.options(), model.positions());
    } else {
      inputs.clear();
      for (int64_t rows = 0; rows < kJourneysAtOnce; rows += block.size()) {
        inputs.add({block, 0, block.size()}, model.stats(), model.options(), model.positions());
      }
    }
    for (int64_t time = 0; time < 3; ++time) {
      LossSums sums{};
      RowGradients rows;
      const Pass pass = compute.pass(thread, weights.dense.data(), gradient.data());
      model.loss(pass, inputs, weights, sums, &rows);
      if (model.refit_last() > model.refit_first()) {
        inputs.fill_removal(model.stats(), kAbsentInTraining, 1, true);
        model.refit_loss(pass, inputs, weights, sums);
      }
      if (model.discriminator_last() > model.discriminator_first()) {
        model.discriminator_loss(pass, inputs, weights, sums);
      }
    }
  });
}

// Journeys of exactly `touches` touches, with or without items and context ids.
LogShape even_shape(int64_t touches, bool rows) {
  LogShape shape = shape_by_name(rows ? "reference" : "tiny");
  shape.max_touches = touches;
  shape.extra_touches = 200;
  return shape;
}

TEST(AllocationWatch, CountsEveryThreadOfThePoolAndNoneAfterwards) {
  ThreadPool pool(2);
  const auto allocate = [](int64_t, int64_t) { ::operator delete(::operator new(8)); };
  const int64_t before = counted_memory::allocations;
  {
    const Watch watch(pool);
    pool.parallel_for(10, std::cref(allocate));
  }
  const int64_t counted_in_watch = counted_memory::allocations - before;
  EXPECT_EQ(counted_in_watch, 10);
  pool.parallel_for(10, std::cref(allocate));
  EXPECT_EQ(counted_memory::allocations - before, 10);
}

struct Case {
  int64_t threads;
  bool deterministic;
  bool rows;
  bool proxy = false;  // proxy mode, with PCGrad and steps of the discriminator's own
  bool general = false;

  ModelOptions model() const {
    ModelOptions options = model_options_by_name("tiny");
    if (general) options.outcome_head = OutcomeHead::general;
    if (!proxy) return options;
    options.mediator = MediatorMode::proxy;
    options.proxy_input = ProxyInput::all;
    return options;
  }
  StepState::Options step() const {
    return {.deterministic = deterministic, .pcgrad = proxy, .discriminator_steps = proxy ? 2 : 1};
  }
};

class Allocation : public testing::TestWithParam<Case> {};

TEST_P(Allocation, StepsAllocateNothing) {
  const Case& of = GetParam();
  Compute compute(make_cpu_device("auto"), of.threads);
  const std::unique_ptr<Communicator> world = make_self_communicator();
  const StepBenchInputs in{.model = of.model(),
                           .shape = even_shape(5, of.rows),
                           .batch = 512,
                           .compute = compute,
                           .world = *world};
  const StepBenchData data = make_step_bench_data(in, 4);
  const std::unique_ptr<Model> model = make_model(data.stats, in.model, in.shape.max_touches);
  show_to_all_threads(data.batches[0][0], *model, compute);
  ModelWeights weights = model->fresh_weights(1);
  StepState state(*model, compute, *world, weights, data.my_blocks, data.total_blocks,
                  data.block_rows, of.step());
  // With more threads it is chance which of them scores the one group, with scratch of its own.
  std::optional<CriticStep> critic;
  if (model->critic() != nullptr && of.threads == 1) {
    critic.emplace(*model, compute.device(), io::LaneRange{0, data.my_blocks}, data.total_blocks,
                   data.block_rows);
  }
  for (const bool refit : {false, true}) {
    if (refit && model->refit_last() == model->refit_first()) continue;
    state.refit = refit;
    int64_t before = 0;
    const Watch watch(compute.pool());
    for (int64_t step = 1; step <= 40; ++step) {
      if (step == 21) before = counted_memory::allocations;
      const StepResult result =
          train_step(state, data.batches[static_cast<size_t>(step % 4)], step, {1e-3, 1e-2}, false);
      EXPECT_FALSE(result.skipped);
      if (!refit || !critic) continue;
      const auto& batch = data.batches[static_cast<size_t>(step % 4)];
      EXPECT_TRUE(std::isfinite(critic->take(state, batch, step, {1e-3, 1e-2})));
    }
    const int64_t counted_in_steps = counted_memory::allocations - before;
    EXPECT_EQ(counted_in_steps, 0) << (refit ? "second stage" : "training");
  }
}

// The whole loop of a fit: batches of a log, the step, the line for people. Reading threads and the
// steps that validate or write metrics are left out.
TEST_P(Allocation, StepsOfAFitAllocateNothing) {
  const Case& of = GetParam();
  Compute compute(make_cpu_device("auto"), of.threads);
  const std::unique_ptr<Communicator> world = make_self_communicator();
  const std::string directory =
      testing::TempDir() + format("/alm_allocation_%lld%d%d%d%d",
                                  static_cast<long long>(of.threads), of.deterministic, of.rows,
                                  of.proxy, of.general);
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  const LogShape shape = even_shape(3, of.rows);
  LevelBOptions level;
  level.clusters = 20;
  LogFilesPlan plan;
  plan.directory = directory;
  plan.rows = 2000;
  plan.rows_per_file = 2000;
  const std::unique_ptr<Simulator> simulator = make_level_b(level, shape);
  write_log_files(*simulator, plan, 0, 1, compute.pool(), [](int64_t) {});
  const std::shared_ptr<const io::Log> log = io::Log::open({directory}, {});

  TrainOptions options;
  options.batch = 32;
  options.epochs = 1;
  options.refit_epochs = 0;
  options.deterministic = of.deterministic;
  options.checkpoint_every = 1;
  options.model = of.model();
  options.pcgrad = of.step().pcgrad;
  options.discriminator_steps = of.step().discriminator_steps;
  const io::UserFilter everyone = [](uint64_t) { return true; };
  const auto nobody = [](uint64_t) { return false; };
  const FirstPass pass = first_pass(log, options.model, std::span(&everyone, 1), nobody, 1, *world);
  const std::unique_ptr<Model> model = make_model(std::make_shared<FeatureStats>(pass.stats),
                                                  options.model, log->options().max_touches);
  io::Journeys block;
  simulator->append(0, micro_block_rows(options.batch), block);
  show_to_all_threads(block, *model, compute);
  MetricsLog metrics(directory + "/metrics.jsonl", false);
  Fit fit({.name = "main",
           .log = log,
           .model = *model,
           .options = options,
           .compute = compute,
           .world = *world,
           .metrics = metrics,
           .training = everyone,
           .validation = nobody,
           .training_rows = pass.fit_rows[0]});
  ASSERT_GT(fit.steps_per_epoch(), 45);
  int64_t at_20 = -1;
  int64_t at_40 = -1;
  {
    const Watch watch(compute.pool());
    fit.run([&] {
      if (fit.step() == 20) at_20 = counted_memory::allocations;
      if (fit.step() == 40) at_40 = counted_memory::allocations;
    });
  }
  ASSERT_GE(at_20, 0);
  EXPECT_EQ(at_40 - at_20, 0);
  std::filesystem::remove_all(directory);
}

INSTANTIATE_TEST_SUITE_P(
    Modes, Allocation,
    testing::Values(Case{1, false, false}, Case{1, false, true}, Case{2, false, false},
                    Case{2, false, true}, Case{1, true, true}, Case{2, true, true},
                    Case{1, false, true, true}, Case{2, true, true, true},
                    Case{1, false, true, false, true}, Case{2, true, true, false, true}),
    [](const auto& of) {
      return format("%s%s%s%s%s", of.param.threads == 1 ? "OneThread" : "TwoThreads",
                    of.param.deterministic ? "Deterministic" : "",
                    of.param.rows ? "ItemsAndIds" : "", of.param.proxy ? "ProxyMode" : "",
                    of.param.general ? "GeneralHead" : "");
    });

}  // namespace
}  // namespace alm
