// Steps of the critic (engine/model/critic.h), taken beside those of the second stage on the same
// batch. Its loss is over fixed groups of min(2048, batch) journeys, never across batches
// (contract 5): consecutive micro-blocks of the batch, whichever ranks they are on.
//
//   L = sum_i s_i -log( s_i exp(s(x_i, T_i)) / sum_r s_r exp(s(x_i, T_r)) ), r over i's group,
//
// with journey weights s: what was sampled on the outcome must count as if it were not
// (method 3.3), as a row and as a column.
#pragma once

#include <span>
#include <vector>

#include "engine/train/step.h"
#include "io/sample_plan.h"

namespace alm {

inline constexpr int64_t kCriticGroup = 2048;

// A fit's. All memory is taken at once, but for what the first batches show to be needed.
class CriticStep {
 public:
  // `lanes`: this rank's of the batch's `total_lanes` micro-blocks of `lane_rows` journeys each.
  CriticStep(const Model& model, Device& device, io::LaneRange lanes, int64_t total_lanes,
             int64_t lane_rows);

  // Room for so many numbers of each micro-block's activations at once.
  void reserve(int64_t numbers) {
    for (Block& block : blocks_) block.memory.reserve(numbers);
  }
  // That it holds, but for inputs; and will hold, with so many numbers reserved and `blocks`
  // micro-blocks of a rank.
  int64_t bytes() const;
  static int64_t bytes(const Model& model, int64_t batch, int64_t lane_rows, int64_t blocks,
                       int64_t numbers);

  // COLLECTIVE. `step` counts from 1. Returns the mean loss; NaN, and nothing moves, when it or its
  // gradient is not finite, or no journey has a weight.
  double take(StepState& state, std::span<const io::Journeys> blocks, int64_t step,
              const OptimizerSettings& settings);

 private:
  struct Block {
    explicit Block(Device& device) : memory(device) {}
    Workspace memory;
    Inputs inputs;
    Critic::Activations activations;
    std::vector<float> d_sides;  // [lane_rows, 2 width] d(loss) / d(x, y)
  };
  // The journeys of a group that have a weight, closed up.
  struct Group {
    std::vector<int64_t> row;       // of the batch
    std::vector<int64_t> positive;  // itself
    std::vector<float> x, y, d_x, d_y, weight, minus_log_weight;
    double loss = 0;
  };
  void forward(StepState& state, std::span<const io::Journeys> blocks);
  void score_group(StepState& state, int64_t group, int64_t thread);
  void backward(StepState& state);

  io::LaneRange lanes_;
  int64_t total_lanes_;
  int64_t lane_rows_;
  int64_t group_lanes_;
  int64_t width_;
  std::vector<float> sides_;  // [batch, 2 width + 1] x, y, weight; of all ranks once summed
  std::vector<Block> blocks_;
  std::vector<Group> groups_;  // those with journeys of this rank
  int64_t first_group_;
};

}  // namespace alm
