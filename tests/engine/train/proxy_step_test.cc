// Steps of proxy mode and of PCGrad: the same gradient on any number of ranks, the discriminator's
// steps of its own, conflicting gradients.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "engine/train/bench_step.h"
#include "engine/train/step.h"
#include "kernels/base/rng.h"
#include "tests/engine/estimate/thread_world.h"
#include "tests/reference/reference_ops.h"

namespace alm {
namespace {

ModelOptions proxy_options() {
  ModelOptions options = model_options_by_name("tiny");
  options.mediator = MediatorMode::proxy;
  return options;
}

// A fit of one rank on a few fixed batches of level B journeys.
struct Training {
  Training(Communicator& world, const ModelOptions& options, StepState::Options step_options)
      : compute(make_cpu_device("auto"), 1),
        data(make_step_bench_data({.model = options,
                                   .shape = shape_by_name("tiny"),
                                   .batch = 512,
                                   .compute = compute,
                                   .world = world},
                                  4)) {
    model = make_model(data.stats, options, 16);
    weights = model->fresh_weights(7);
    state = std::make_unique<StepState>(*model, compute, world, weights, data.my_blocks,
                                        data.total_blocks, data.block_rows, step_options);
  }
  StepResult step(int64_t number, double learning_rate) {
    return train_step(*state, data.batches[static_cast<size_t>(number % 4)], number,
                      {learning_rate, 0, 0}, false);
  }
  std::span<const float> part(int64_t first, int64_t last) const {
    return std::span(weights.dense)
        .subspan(static_cast<size_t>(first), static_cast<size_t>(last - first));
  }

  Compute compute;
  StepBenchData data;
  std::unique_ptr<Model> model;
  ModelWeights weights;
  std::unique_ptr<StepState> state;
};

// Runs body on `ranks` ranks and gives what rank 0 returned.
template <class Body>
std::vector<float> on_ranks(int64_t ranks, const Body& body) {
  std::vector<float> result;
  ThreadWorld world(ranks);
  world.run([&](Communicator& comm) {
    std::vector<float> mine = body(comm);
    if (comm.rank() == 0) result = std::move(mine);
  });
  return result;
}

TEST(ProxyStep, GradientsOfAllLossesAreTheSameOnAnyRanks) {
  ModelOptions contrastive = proxy_options();
  contrastive.w_outcome = contrastive.w_proxy = contrastive.w_second = 0;
  contrastive.w_contrastive = 1;
  ModelOptions all = proxy_options();
  all.proxy_input = ProxyInput::all;
  for (const ModelOptions& options : {contrastive, all}) {
    for (const bool deterministic : {true, false}) {
      std::map<int64_t, std::vector<float>> by_ranks;
      for (int64_t ranks = 1; ranks <= 4; ++ranks) {
        by_ranks[ranks] = on_ranks(ranks, [&](Communicator& comm) {
          Training training(comm, options, {.deterministic = deterministic, .pcgrad = true});
          training.state->reversal = 0.3f;
          EXPECT_FALSE(training.step(1, 0).skipped);
          // The discriminator learns whatever the weights are: beside it the contrastive loss is
          // small.
          const int64_t size = options.w_outcome == 0 ? training.model->discriminator_first()
                                                      : training.model->layout().size();
          const std::span<float> sum = training.state->dense.sum().first(static_cast<size_t>(size));
          return std::vector<float>(sum.begin(), sum.end());
        });
      }
      // Sums of 16 micro-blocks in another order, in fp32: each addition may be off by 2^-24 of
      // what was summed so far.
      const float room = options.w_outcome == 0 ? 1e-6f : 2 * 16 * 0x1p-24f;
      const std::vector<float>& one = by_ranks[1];
      float largest = 0;
      for (const float value : one) largest = std::max(largest, std::fabs(value));
      EXPECT_GT(largest, 0.1f);
      for (const auto& [ranks, sum] : by_ranks) {
        for (size_t at = 0; at < one.size(); ++at) {
          if (deterministic) {
            ASSERT_EQ(sum[at], one[at]) << ranks << " ranks, " << at;
          } else {
            ASSERT_NEAR(sum[at], one[at], room * largest) << ranks << " ranks, " << at;
          }
        }
      }
    }
  }
}

// The op over fixed groups: whoever computes a group, all together give the reference's gradients.
TEST(ProxyStep, InfoNceOverRanksEqualsTheReference) {
  const std::vector<int64_t> row_begin = {0, 9, 9, 30, 41, 50, 53};
  const std::vector<int64_t> column_begin = {0, 31, 40, 97, 120, 161, 180};
  constexpr int64_t kWidth = 32;
  reference::Arguments wanted;
  Rng random(5, Stream::test, 1);
  const auto fill = [&](const char* name, int64_t rows, int64_t cols, auto draw) {
    reference::Array& array = wanted.arrays[name] = {rows, cols, {}};
    for (int64_t at = 0; at < rows * cols; ++at) {
      array.values.push_back(static_cast<float>(draw(at)));
    }
  };
  const int64_t r = row_begin.back(), c = column_begin.back();
  const size_t groups = row_begin.size() - 1;
  fill("rows", std::ssize(row_begin), 1, [&](int64_t at) { return row_begin[size_t(at)]; });
  fill("columns", std::ssize(row_begin), 1, [&](int64_t at) { return column_begin[size_t(at)]; });
  fill("x", r, kWidth, [&](int64_t) { return random.normal(); });
  fill("y", c, kWidth, [&](int64_t) { return random.normal(); });
  fill("weight", r, 1, [&](int64_t) { return 0.5 + random.uniform(); });
  fill("log_frequency", c, 1, [&](int64_t) { return -5 * random.uniform(); });
  fill("row_ids", r, 1, [&](int64_t) { return double(random.below(9)) - 1; });
  fill("column_ids", c, 1, [&](int64_t) { return double(random.below(9)) - 1; });
  std::vector<int64_t> positive;
  for (size_t g = 0; g < groups; ++g) {
    for (int64_t row = row_begin[g]; row < row_begin[g + 1]; ++row) {
      positive.push_back(column_begin[g] + row % (column_begin[g + 1] - column_begin[g]));
    }
  }
  fill("positive", r, 1, [&](int64_t at) { return positive[size_t(at)]; });
  fill("sum", 1, 1, [](int64_t) { return 0; });
  fill("d_x", r, kWidth, [](int64_t) { return 0; });
  fill("d_y", c, kWidth, [](int64_t) { return 0; });
  wanted.scalars = {{"temperature", 0.07f}, {"scale", 0.1f}, {"normalise", 1}};
  const auto as = [&](const char* name, auto type) {
    std::vector<decltype(type)> values;
    for (const double value : wanted[name].values) values.push_back(decltype(type)(value));
    return values;
  };
  const std::vector<float> x = as("x", 0.0f), y = as("y", 0.0f), weight = as("weight", 0.0f),
                           frequency = as("log_frequency", 0.0f);
  const std::vector<int64_t> row_ids = as("row_ids", int64_t{}),
                             column_ids = as("column_ids", int64_t{});
  reference::run("infonce", wanted);

  for (int64_t ranks = 1; ranks <= 4; ++ranks) {
    const std::vector<float> got = on_ranks(ranks, [&](Communicator& comm) {
      const std::unique_ptr<Device> device = make_cpu_device("auto");
      const std::unique_ptr<Queue> queue = device->make_queue();
      std::vector<float> gradient(static_cast<size_t>((r + c) * kWidth));
      for (size_t g = static_cast<size_t>(comm.rank()); g < groups;
           g += static_cast<size_t>(ranks)) {
        const int64_t first_row = row_begin[g], rows = row_begin[g + 1] - first_row;
        const int64_t first = column_begin[g], columns = column_begin[g + 1] - first;
        const int64_t row_group[] = {0, rows}, column_group[] = {0, columns};
        std::vector<int64_t> own;
        for (int64_t row = 0; row < rows; ++row) {
          own.push_back(positive[static_cast<size_t>(first_row + row)] - first);
        }
        const auto piece = [](const auto& of, int64_t begin, int64_t count) {
          return std::span(of).subspan(static_cast<size_t>(begin), static_cast<size_t>(count));
        };
        device->ops().infonce(*queue,
                              {.rows = {row_group},
                               .columns = {column_group},
                               .x = {x.data() + first_row * kWidth, rows, kWidth},
                               .y = {y.data() + first * kWidth, columns, kWidth},
                               .positive = own,
                               .weight = piece(weight, first_row, rows),
                               .log_frequency = piece(frequency, first, columns),
                               .row_ids = {row_ids.data() + first_row, rows, 1},
                               .column_ids = {column_ids.data() + first, columns, 1},
                               .temperature = 0.07f,
                               .scale = 0.1f,
                               .normalise = true,
                               .d_x = {gradient.data() + first_row * kWidth, rows, kWidth},
                               .d_y = {gradient.data() + (r + first) * kWidth, columns, kWidth}});
      }
      comm.all_reduce_sum(std::span(gradient), "gradients");
      return gradient;
    });
    for (size_t at = 0; at < got.size(); ++at) {
      const size_t of_y = static_cast<size_t>(r * kWidth);
      const double expected =
          at < of_y ? wanted["d_x"].values[at] : wanted["d_y"].values[at - of_y];
      ASSERT_NEAR(got[at], expected, 1e-6) << ranks << " ranks";
    }
  }
}

TEST(ProxyStep, TheDiscriminatorLearnsUnheardAndItsOwnStepsMoveNothingElse) {
  const std::unique_ptr<Communicator> world = make_self_communicator();
  Training one(*world, proxy_options(), {.deterministic = true});
  Training five(*world, proxy_options(), {.deterministic = true, .discriminator_steps = 5});
  const int64_t first = one.model->discriminator_first();
  const int64_t last = one.model->discriminator_last();
  // Adam's first steps move every weight that has a gradient by the learning rate.
  const auto moved = [&](Training& training) {
    const std::vector<float> start(training.part(first, last).begin(),
                                   training.part(first, last).end());
    training.step(1, 1e-5);
    double most = 0;
    for (size_t at = 0; at < start.size(); ++at) {
      most = std::max(most, std::fabs(double{training.part(first, last)[at]} - start[at]));
    }
    return most;
  };
  EXPECT_NEAR(moved(one), 1e-5, 1e-7);
  EXPECT_NEAR(moved(five), 5e-5, 1e-6);
  double loss[2] = {0, 0};
  double start = 0;
  for (int64_t step = 2; step <= 40; ++step) {
    loss[0] = one.step(step, 1e-3).losses.adversary;
    loss[1] = five.step(step, 1e-3).losses.adversary;
    if (step == 2) start = loss[0];
  }
  EXPECT_TRUE(std::ranges::equal(one.part(0, first), five.part(0, first)));
  EXPECT_FALSE(std::ranges::equal(one.part(first, last), five.part(first, last)));
  EXPECT_LT(loss[0], start - 0.01);
  EXPECT_LT(loss[1], loss[0]);
}

TEST(ProxyStep, TheReversalReachesTheCodeAndNotTheDiscriminator) {
  const std::unique_ptr<Communicator> world = make_self_communicator();
  Training unheard(*world, proxy_options(), {.deterministic = true});
  Training heard(*world, proxy_options(), {.deterministic = true});
  heard.state->reversal = 0.5f;
  unheard.step(1, 1e-3);
  heard.step(1, 1e-3);
  const int64_t first = unheard.model->discriminator_first();
  const int64_t last = unheard.model->discriminator_last();
  EXPECT_TRUE(std::ranges::equal(unheard.part(first, last), heard.part(first, last)));
  // The output of a discriminator that starts at zero says nothing to the code in the first step.
  unheard.step(2, 1e-3);
  heard.step(2, 1e-3);
  EXPECT_FALSE(std::ranges::equal(unheard.part(0, first), heard.part(0, first)));
}

// g_a - (g_a . g_b / |g_b|^2) g_b and the same the other way round, where they conflict.
TEST(PcGrad, GradientsOfTheTrunkLoseWhatOpposesTheOther) {
  const std::unique_ptr<Communicator> world = make_self_communicator();
  int64_t conflicts = 0, agreements = 0;
  for (const bool proxy : {false, true}) {
    const ModelOptions options = proxy ? proxy_options() : model_options_by_name("tiny");
    Training pcgrad(*world, options, {.deterministic = true, .pcgrad = true});
    Training plain(*world, options, {.deterministic = true});
    const size_t trunk = static_cast<size_t>(pcgrad.model->trunk_last());
    for (int64_t step = 1; step <= 30; ++step) {
      std::vector<double> of[2];
      for (const Objective objective : {Objective::outcome, Objective::mediator}) {
        std::vector<float> gradient(pcgrad.weights.dense.size());
        for (const io::Journeys& block : pcgrad.data.batches[static_cast<size_t>(step % 4)]) {
          Inputs& inputs = pcgrad.compute.thread(0).inputs;
          inputs.fill(block, pcgrad.model->stats(), options, pcgrad.model->positions());
          Pass pass = pcgrad.compute.pass(0, pcgrad.weights.dense.data(), gradient.data());
          pass.objective = objective;
          LossSums sums;
          RowGradients rows;
          pcgrad.model->loss(pass, inputs, pcgrad.weights, sums, &rows);
        }
        of[objective == Objective::mediator].assign(gradient.begin(), gradient.end());
      }
      double product = 0, squares[2] = {0, 0};
      for (size_t at = 0; at < trunk; ++at) {
        product += of[0][at] * of[1][at];
        squares[0] += of[0][at] * of[0][at];
        squares[1] += of[1][at] * of[1][at];
      }
      const bool conflict = product < 0;
      const StepResult result = pcgrad.step(step, 3e-3);
      const double cosine = product / std::sqrt(squares[0] * squares[1]);
      // Heads that start at zero send the encoders nothing in the first step.
      EXPECT_EQ(std::isnan(result.trunk_cosine), squares[0] == 0 || squares[1] == 0);
      if (std::isnan(result.trunk_cosine)) continue;
      EXPECT_NEAR(result.trunk_cosine, cosine, 1e-4);
      if (std::fabs(cosine) < 1e-3) continue;  // fp32 sums may see either sign
      conflicts += conflict;
      agreements += !conflict;
      for (size_t at = 0; at < of[0].size(); ++at) {
        const bool shared = conflict && at < trunk;
        const double a = of[0][at] - (shared ? product / squares[1] * of[1][at] : 0);
        const double b = of[1][at] - (shared ? product / squares[0] * of[0][at] : 0);
        const double room = 1e-5 * std::sqrt(squares[0] + squares[1]);
        ASSERT_NEAR(pcgrad.state->dense.sum()[at], a + b, room) << "step " << step << ", " << at;
      }
    }
    EXPECT_TRUE(std::isnan(plain.step(1, 0).trunk_cosine));
  }
  EXPECT_GT(conflicts, 3);
  EXPECT_GT(agreements, 3);
}

}  // namespace
}  // namespace alm
