// A step of the critic against its loss written out in double: groups, weights as rows and as
// columns, gradient by differences, the same bits on any number of ranks.
#include "engine/train/critic_step.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/train/bench_step.h"
#include "kernels/base/rng.h"
#include "tests/engine/estimate/thread_world.h"

namespace alm {
namespace {

constexpr OptimizerSettings kStill{};  // nothing moves

struct Case {
  Case(Communicator& world_in, int64_t batch_in, int64_t threads = 1)
      : world(world_in), batch(batch_in), compute(make_cpu_device("auto"), threads) {
    const StepBenchInputs in{.model = model_options_by_name("tiny"),
                             .shape = shape_by_name("tiny"),
                             .batch = batch,
                             .compute = compute,
                             .world = world};
    data = make_step_bench_data(in, 2);
    model = make_model(data.stats, in.model, in.shape.max_touches);
    weights = model->fresh_weights(3);
    // The journey's side starts at 0, and so would every gradient but its own.
    for (const ParameterLayout::Entry& entry : model->layout().entries()) {
      if (!entry.name.starts_with("critic")) continue;
      Rng draw(5, Stream::test, static_cast<uint64_t>(entry.tensor.offset));
      for (float& value : entry.tensor.vector(weights.dense.data())) {
        value = static_cast<float>(0.3 * draw.normal());
      }
    }
    for (auto& blocks : data.batches) {
      for (io::Journeys& block : blocks) {
        for (int64_t row = 0; row < block.size(); ++row) {
          const int64_t number = block.row[static_cast<size_t>(row)];
          block.weight.push_back(number % 5 == 0 ? 0.0f : 1.0f + static_cast<float>(number % 3));
        }
      }
    }
  }
  StepState state(bool deterministic) {
    return StepState(*model, compute, world, weights, data.my_blocks, data.total_blocks,
                     data.block_rows, {.deterministic = deterministic});
  }
  CriticStep step() {
    return CriticStep(*model, compute.device(),
                      io::lanes_of_rank(data.total_blocks, world.rank(), world.size()),
                      data.total_blocks, data.block_rows);
  }
  std::span<const io::Journeys> blocks(size_t at = 0) const { return data.batches[at]; }

  // Mean loss over the batch by its definition, in groups of `group` journeys. World of one.
  double loss(int64_t group, bool columns_weighted = true) {
    std::vector<std::vector<double>> x, y;
    std::vector<double> s;
    for (const io::Journeys& block : blocks()) {
      Inputs& inputs = compute.thread(0).inputs;
      inputs.fill(block, model->stats(), model->options(), model->positions());
      const Critic::Activations sides =
          model->critic_forward(compute.pass(0, weights.dense.data(), nullptr), inputs, weights);
      for (int64_t row = 0; row < block.size(); ++row) {
        x.emplace_back(sides.x.row(row), sides.x.row(row) + sides.x.cols);
        y.emplace_back(sides.y.row(row), sides.y.row(row) + sides.y.cols);
        s.push_back(double{block.weight[static_cast<size_t>(row)]});
      }
    }
    double total = 0, weight = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      if (s[i] == 0) continue;
      const size_t first = i / static_cast<size_t>(group) * static_cast<size_t>(group);
      double sum = 0, own = 0;
      for (size_t r = first; r < std::min(first + static_cast<size_t>(group), x.size()); ++r) {
        if (s[r] == 0) continue;
        double score = 0;
        for (size_t at = 0; at < x[i].size(); ++at) score += x[i][at] * y[r][at];
        const double term = (columns_weighted ? s[r] : 1) * std::exp(score);
        sum += term;
        if (r == i) own = term;
      }
      total -= s[i] * std::log(own / sum);
      weight += s[i];
    }
    return total / weight;
  }

  Communicator& world;
  int64_t batch;
  Compute compute;
  StepBenchData data;
  std::unique_ptr<Model> model;
  ModelWeights weights;
};

TEST(CriticStep, LossIsThatOfItsGroupsWithWeightsAsRowsAndAsColumns) {
  const std::unique_ptr<Communicator> world = make_self_communicator();
  for (const auto& [batch, group] : {std::pair<int64_t, int64_t>{128, 128}, {4096, 2048}}) {
    Case of(*world, batch);
    StepState state = of.state(false);
    const double found = of.step().take(state, of.blocks(), 1, kStill);
    EXPECT_NEAR(found, of.loss(group), 1e-4) << batch;
    // Left out of the columns, the weights are missed: of one group what was kept of a kind of
    // journey would pass for how often there are such.
    EXPECT_GT(std::fabs(found - of.loss(group, false)), 1e-2) << batch;
    if (batch > group) {
      EXPECT_GT(std::fabs(found - of.loss(batch)), 1e-2);
    }
  }
}

class CriticGradient : public testing::TestWithParam<bool> {};

// Deterministic: the first step, whose sum must be made twice.
TEST_P(CriticGradient, IsTheSlopeOfTheLossInItsTensorsAndMovesNoOther) {
  const std::unique_ptr<Communicator> world = make_self_communicator();
  Case of(*world, 128, 2);
  StepState state = of.state(GetParam());
  of.step().take(state, of.blocks(), 1, kStill);
  double weight = 0;
  for (const io::Journeys& block : of.blocks()) {
    for (const float s : block.weight) weight += double{s};
  }
  for (const ParameterLayout::Entry& entry : of.model->layout().entries()) {
    const int64_t first = entry.tensor.offset;
    if (!entry.name.starts_with("critic")) {
      EXPECT_TRUE(first + entry.tensor.size() <= state.dense.first() || first >= state.dense.last())
          << entry.name;
      continue;
    }
    const std::span<const float> gradient = state.dense.sum().subspan(
        static_cast<size_t>(first - state.dense.first()), static_cast<size_t>(entry.tensor.size()));
    double norm = 0;
    for (const float value : gradient) norm += double{value} * double{value};
    norm = std::sqrt(norm) / weight;
    EXPECT_GT(norm, 1e-4) << entry.name;
    const std::span<float> values = entry.tensor.vector(of.weights.dense.data());
    const std::vector<float> start(values.begin(), values.end());
    double side[2];
    constexpr double kStep = 2e-3;
    for (const int sign : {1, -1}) {
      for (size_t at = 0; at < values.size(); ++at) {
        values[at] = static_cast<float>(double{start[at]} +
                                        sign * kStep * double{gradient[at]} / weight / norm);
      }
      side[sign < 0] = of.loss(of.batch);
    }
    std::ranges::copy(start, values.begin());
    EXPECT_NEAR((side[0] - side[1]) / (2 * kStep), norm, 1e-3 + 0.01 * norm) << entry.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Deterministic, CriticGradient, testing::Bool());

// The pass that a deterministic sum needs twice takes no more memory than others.
TEST(CriticStep, TakesNoMemoryForASumThatIsMadeTwice) {
  const std::unique_ptr<Communicator> world = make_self_communicator();
  Case of(*world, 128);
  CriticStep critic = of.step();
  const auto first_step = [&] {
    StepState state = of.state(true);
    critic.take(state, of.blocks(), 1, kStill);
  };
  {
    StepState fast = of.state(false);
    for (int64_t step = 1; step <= 2; ++step) critic.take(fast, of.blocks(), step, kStill);
  }
  const int64_t settled = critic.bytes();
  first_step();
  first_step();
  EXPECT_EQ(critic.bytes(), settled);
}

TEST(CriticStep, GivesTheSameBitsOnAnyNumberOfRanks) {
  std::vector<std::vector<float>> results;
  for (const int64_t ranks : {1, 2, 3, 4}) {
    std::vector<std::vector<float>> of_rank(static_cast<size_t>(ranks));
    ThreadWorld(ranks).run([&](Communicator& world) {
      Case of(world, 128);
      StepState state = of.state(true);
      CriticStep critic = of.step();
      for (int64_t step = 1; step <= 3; ++step) {
        const double loss = critic.take(state, of.blocks(static_cast<size_t>(step) % 2), step,
                                        {.learning_rate = 0.01});
        EXPECT_TRUE(std::isfinite(loss));
      }
      of_rank[static_cast<size_t>(world.rank())] = of.weights.dense;
    });
    for (const std::vector<float>& of : of_rank) results.push_back(of);
  }
  for (const std::vector<float>& of : results) EXPECT_EQ(of, results.front());
}

TEST(CriticStep, StandsStillWhereTheLossIsNotFinite) {
  const std::unique_ptr<Communicator> world = make_self_communicator();
  Case of(*world, 128);
  StepState state = of.state(false);
  of.weights.dense[static_cast<size_t>(of.model->critic()->first())] = NAN;
  const std::vector<float> before = of.weights.dense;
  EXPECT_TRUE(std::isnan(of.step().take(state, of.blocks(), 1, {.learning_rate = 0.01})));
  for (size_t at = 1; at < before.size(); ++at) {
    if (!std::isnan(before[at])) {
      ASSERT_EQ(of.weights.dense[at], before[at]);
    }
  }
}

}  // namespace
}  // namespace alm
