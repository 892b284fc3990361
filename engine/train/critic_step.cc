#include "engine/train/critic_step.h"

#include <algorithm>
#include <cmath>

namespace alm {

CriticStep::CriticStep(const Model& model, Device& device, io::LaneRange lanes, int64_t total_lanes,
                       int64_t lane_rows)
    : lanes_(lanes),
      total_lanes_(total_lanes),
      lane_rows_(lane_rows),
      group_lanes_(std::clamp<int64_t>(kCriticGroup / lane_rows, 1, total_lanes)),
      width_(model.options().critic_width),
      sides_(static_cast<size_t>(total_lanes * lane_rows * (2 * width_ + 1))),
      first_group_(lanes.first / group_lanes_) {
  const size_t rows = static_cast<size_t>(group_lanes_ * lane_rows);
  const size_t values = rows * static_cast<size_t>(width_);
  blocks_.reserve(static_cast<size_t>(lanes.last - lanes.first));
  for (int64_t lane = lanes.first; lane < lanes.last; ++lane) {
    blocks_.emplace_back(device).d_sides.resize(static_cast<size_t>(lane_rows * 2 * width_));
  }
  const int64_t end = lanes.last > lanes.first ? (lanes.last - 1) / group_lanes_ + 1 : first_group_;
  groups_.resize(static_cast<size_t>(end - first_group_));
  for (Group& group : groups_) {
    group.row.reserve(rows);
    group.positive.reserve(rows);
    for (auto* of : {&group.x, &group.y, &group.d_x, &group.d_y}) of->resize(values);
    for (auto* of : {&group.weight, &group.minus_log_weight}) of->reserve(rows);
  }
}

int64_t CriticStep::bytes() const {
  const auto of = []<class T>(const std::vector<T>& numbers) {
    return static_cast<int64_t>(numbers.capacity() * sizeof(T));
  };
  int64_t bytes = of(sides_);
  for (const Block& block : blocks_) bytes += block.memory.bytes() + of(block.d_sides);
  for (const Group& group : groups_) {
    bytes += of(group.row) + of(group.positive) + of(group.x) + of(group.y) + of(group.d_x) +
             of(group.d_y) + of(group.weight) + of(group.minus_log_weight);
  }
  return bytes;
}

int64_t CriticStep::bytes(const Model& model, int64_t batch, int64_t lane_rows, int64_t blocks,
                          int64_t numbers) {
  const int64_t width = model.options().critic_width;
  const int64_t group = std::clamp<int64_t>(kCriticGroup / lane_rows, 1, batch / lane_rows);
  const int64_t groups = (blocks + group - 1) / group;
  const int64_t sides = batch * (2 * width + 1);
  const int64_t of_blocks = blocks * (numbers + lane_rows * 2 * width);
  const int64_t of_groups = groups * group * lane_rows * (4 * width + 2);
  return (sides + of_blocks + of_groups) * int64_t{sizeof(float)} +
         groups * group * lane_rows * 2 * int64_t{sizeof(int64_t)};
}

double CriticStep::take(StepState& state, std::span<const io::Journeys> blocks, int64_t step,
                        const OptimizerSettings& settings) {
  std::ranges::fill(sides_, 0.0f);
  forward(state, blocks);
  // Every number has one rank that gives it, the others add 0: no rounding.
  state.world.all_reduce_sum(std::span(sides_), "sides of the critic");
  double weight = 0;
  for (size_t row = 0; row < static_cast<size_t>(total_lanes_ * lane_rows_); ++row) {
    weight +=
        double{sides_[row * static_cast<size_t>(2 * width_ + 1) + static_cast<size_t>(2 * width_)]};
  }
  const auto score = [&](int64_t group, int64_t thread) { score_group(state, group, thread); };
  state.compute.pool().parallel_for(std::ssize(groups_), std::cref(score));
  FixedSum sums[2];  // loss, groups whose loss is not finite
  for (int64_t at = 0; at < std::ssize(groups_); ++at) {
    if ((first_group_ + at) * group_lanes_ < lanes_.first) continue;  // counted by another rank
    const double loss = groups_[static_cast<size_t>(at)].loss;
    std::isfinite(loss) ? sums[0].add(loss) : sums[1].add(1);
  }
  state.world.all_reduce_sum(std::span<FixedSum>(sums), "loss of the critic");
  if (sums[1].value() > 0 || !(weight > 0)) return NAN;

  float largest = 0;
  backward(state);
  while (!state.dense.settled(state.world, "critic's gradient scale", &largest)) {
    forward(state, blocks);  // the memory that backward() took begins there
    backward(state);
  }
  if (!std::isfinite(largest)) return NAN;
  state.dense.reduce(state.world, state.compute);
  const std::span<const float> sum = state.dense.sum();
  if (!std::ranges::all_of(sum, [](float of) { return std::isfinite(of); })) return NAN;
  state.optimizer.update_dense(state.compute, state.weights, state.dense, 1 / weight,
                               state.dense.first(), state.dense.last(), step, settings);
  return sums[0].value() / weight;
}

void CriticStep::forward(StepState& state, std::span<const io::Journeys> blocks) {
  const auto body = [&](int64_t at, int64_t thread) {
    Block& block = blocks_[static_cast<size_t>(at)];
    block.memory.reset();
    const Model& model = state.model;
    block.inputs.fill(blocks[static_cast<size_t>(at)], model.stats(), model.options(),
                      model.positions());
    if (block.inputs.journeys == 0) return;
    const Pass pass{*state.compute.thread(thread).queue, state.compute.ops(), block.memory,
                    state.weights.dense.data()};
    block.activations = model.critic_forward(pass, block.inputs, state.weights);
    const int64_t stride = 2 * width_ + 1;
    float* to = &sides_[static_cast<size_t>((lanes_.first + at) * lane_rows_ * stride)];
    for (int64_t row = 0; row < block.inputs.journeys; ++row, to += stride) {
      std::copy_n(block.activations.x.row(row), width_, to);
      std::copy_n(block.activations.y.row(row), width_, to + width_);
      to[2 * width_] = block.inputs.weight[static_cast<size_t>(row)];
    }
  };
  state.compute.pool().parallel_for(std::ssize(blocks_), std::cref(body));
}

// Other ranks of the same group do the same sums and keep other rows of the result.
void CriticStep::score_group(StepState& state, int64_t at, int64_t thread) {
  Group& group = groups_[static_cast<size_t>(at)];
  const int64_t stride = 2 * width_ + 1;
  const int64_t first_lane = (first_group_ + at) * group_lanes_;
  const int64_t last_lane = std::min(first_lane + group_lanes_, total_lanes_);
  for (auto* of : {&group.row, &group.positive}) of->clear();
  for (auto* of : {&group.weight, &group.minus_log_weight}) of->clear();
  for (int64_t row = first_lane * lane_rows_; row < last_lane * lane_rows_; ++row) {
    const float* const from = &sides_[static_cast<size_t>(row * stride)];
    const float weight = from[2 * width_];
    if (!(weight > 0)) continue;
    const size_t to = group.row.size() * static_cast<size_t>(width_);
    std::copy_n(from, width_, &group.x[to]);
    std::copy_n(from + width_, width_, &group.y[to]);
    group.positive.push_back(std::ssize(group.row));
    group.row.push_back(row);
    group.weight.push_back(weight);
    group.minus_log_weight.push_back(-std::log(weight));
  }
  const int64_t rows = std::ssize(group.row);
  const int64_t whole[2] = {0, rows};
  group.loss = 0;
  const auto matrix = [&](std::vector<float>& of) {
    return Matrix<float>(of.data(), rows, width_);
  };
  state.compute.ops().infonce(*state.compute.thread(thread).queue,
                              {.rows = {whole},
                               .columns = {whole},
                               .x = matrix(group.x),
                               .y = matrix(group.y),
                               .positive = group.positive,
                               .weight = group.weight,
                               .log_frequency = group.minus_log_weight,
                               .row_ids = {},
                               .column_ids = {},
                               .d_x = matrix(group.d_x),
                               .d_y = matrix(group.d_y),
                               .sum = &group.loss});
  for (int64_t index = 0; index < rows; ++index) {
    const int64_t lane = group.row[static_cast<size_t>(index)] / lane_rows_ - lanes_.first;
    if (lane < 0 || lane >= std::ssize(blocks_)) continue;
    const int64_t row = group.row[static_cast<size_t>(index)] % lane_rows_;
    float* const to =
        &blocks_[static_cast<size_t>(lane)].d_sides[static_cast<size_t>(row * 2 * width_)];
    std::copy_n(&group.d_x[static_cast<size_t>(index * width_)], width_, to);
    std::copy_n(&group.d_y[static_cast<size_t>(index * width_)], width_, to + width_);
  }
}

void CriticStep::backward(StepState& state) {
  state.dense.begin(state.model.critic()->first(), state.model.critic()->last());
  const auto body = [&](int64_t at, int64_t thread) {
    Block& block = blocks_[static_cast<size_t>(at)];
    const int64_t rows = block.inputs.journeys;
    if (rows == 0) return;
    const Pass pass{*state.compute.thread(thread).queue, state.compute.ops(), block.memory,
                    state.weights.dense.data(), state.dense.arena(thread)};
    const Matrix<float> d_x = pass.zero_matrix(rows, width_);
    const Matrix<float> d_y = pass.zero_matrix(rows, width_);
    for (int64_t row = 0; row < rows; ++row) {
      if (!(block.inputs.weight[static_cast<size_t>(row)] > 0)) continue;
      const float* const from = &block.d_sides[static_cast<size_t>(row * 2 * width_)];
      std::copy_n(from, width_, d_x.row(row));
      std::copy_n(from + width_, width_, d_y.row(row));
    }
    state.model.critic()->backward(pass, block.inputs, block.activations, d_x, d_y);
    if (state.options.deterministic) state.dense.add(thread, pass.queue, pass.ops);
  };
  state.compute.pool().parallel_for(std::ssize(blocks_), std::cref(body));
}

}  // namespace alm
