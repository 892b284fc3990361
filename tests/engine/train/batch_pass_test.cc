// The same journeys as one large micro-block, which goes through the model in parts, and as many
// small ones, which go together or, where each has a sum of its own, one by one: the same sums.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/simulate/simulator.h"
#include "engine/train/batch_pass.h"
#include "engine/train/bench_step.h"
#include "kernels/base/rng.h"

namespace alm {
namespace {

constexpr int64_t kJourneys = 150;  // 64, 64, 22 at once

struct Sums {
  LossSums losses;
  std::vector<float> dense;
  std::vector<int64_t> rows;
  std::vector<float> row_gradient;
};

class BatchPass : public ::testing::TestWithParam<Part> {
 protected:
  BatchPass()
      : compute_(make_cpu_device("auto"), 2),
        world_(make_self_communicator()),
        shape_(shape_by_name("reference")),
        data_(make_step_bench_data({.model = options(),
                                    .shape = shape_,
                                    .batch = 256,
                                    .compute = compute_,
                                    .world = *world_},
                                   1)),
        model_(make_model(data_.stats, options(), shape_.max_touches)),
        weights_(model_->fresh_weights(7)) {
    // A head that starts at zero gives no gradient to what is below.
    Rng draw(3, Stream::weights, 0);
    for (float& weight : weights_.dense) weight += static_cast<float>(0.05 * draw.normal());
  }
  static ModelOptions options() { return model_options_by_name("tiny"); }

  Sums sums(int64_t rows_per_block, bool deterministic) {
    const int64_t blocks = (kJourneys + rows_per_block - 1) / rows_per_block;
    std::vector<io::Journeys> batch(static_cast<size_t>(blocks));
    LevelBOptions level;
    level.clusters = shape_.clusters;
    const std::unique_ptr<Simulator> simulator = make_level_b(level, shape_);
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t first = block * rows_per_block;
      simulator->append(first, std::min(rows_per_block, kJourneys - first),
                        batch[static_cast<size_t>(block)]);
    }
    StepState state(*model_, compute_, *world_, weights_, blocks, blocks, rows_per_block,
                    {.deterministic = deterministic});
    LossTotals totals;
    do {
      totals = forward_and_backward(state, batch, GetParam(), Objective::all, state.dense, 5);
    } while (deterministic && !state.dense.fits(state.dense.largest()));
    EXPECT_EQ(totals.broken(), 0);
    Sums result;
    const Losses means = totals.means();
    result.losses.mediator = means.mediator;
    result.losses.outcome = means.outcome;
    result.losses.second_stage = means.second_stage;
    result.losses.propensity = means.propensity;
    result.losses.weight = means.weight;
    state.dense.reduce(*world_, compute_);
    result.dense.assign(state.dense.sum().begin(), state.dense.sum().end());
    state.items.reduce(state.item_uses, *world_, compute_, std::ranges::max(state.largest_of_rows));
    result.rows.assign(state.items.rows().begin(), state.items.rows().end());
    const std::span<const float> gradient = flat(state.items.gradient());
    result.row_gradient.assign(gradient.begin(), gradient.end());
    return result;
  }

  Compute compute_;
  std::unique_ptr<Communicator> world_;
  LogShape shape_;
  StepBenchData data_;
  std::unique_ptr<Model> model_;
  ModelWeights weights_;
};

void expect_close(const std::vector<float>& got, const std::vector<float>& wanted,
                  const char* what) {
  ASSERT_EQ(got.size(), wanted.size()) << what;
  float largest = 0;
  for (const float value : wanted) largest = std::max(largest, std::fabs(value));
  for (size_t at = 0; at < got.size(); ++at) {
    ASSERT_NEAR(got[at], wanted[at], 2e-6f * largest) << what << " " << at;
  }
}

TEST_P(BatchPass, JourneysTogetherOrInPartsGiveTheSameSums) {
  const Sums whole = sums(kJourneys, false);
  EXPECT_EQ(whole.losses.weight, kJourneys);
  EXPECT_GT(std::ranges::max(whole.dense), 0);
  for (const int64_t rows_per_block : {kJourneys, int64_t{64}, int64_t{16}, int64_t{7}}) {
    for (const bool deterministic : {false, true}) {
      SCOPED_TRACE(rows_per_block);
      const Sums got = sums(rows_per_block, deterministic);
      for (const auto loss : {&LossSums::mediator, &LossSums::outcome, &LossSums::second_stage,
                              &LossSums::propensity, &LossSums::weight}) {
        EXPECT_NEAR(got.losses.*loss, whole.losses.*loss, 1e-6 * std::fabs(whole.losses.*loss));
      }
      expect_close(got.dense, whole.dense, "dense");
      EXPECT_EQ(got.rows, whole.rows);
      expect_close(got.row_gradient, whole.row_gradient, "items");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Parts, BatchPass, ::testing::Values(Part::model, Part::second_stage));

}  // namespace
}  // namespace alm
