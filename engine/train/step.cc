// A training step, top to bottom: a batch comes in, its micro-blocks go forward through the model
// and back, gradients are summed over threads and ranks, a guard looks at them, the optimiser moves
// the weights.
#include "engine/train/step.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/base/clock.h"

namespace alm {
namespace {

// Forward, losses, backward of this rank's micro-blocks, one thread a micro-block.
LossTotals forward_and_backward(StepState& state, std::span<const io::Journeys> blocks) {
  state.dense.clear(state.compute);
  const auto body = [&](int64_t block, int64_t thread) {
    const size_t at = static_cast<size_t>(block);
    Inputs& inputs = state.compute.thread(thread).inputs;
    inputs.fill(blocks[at], state.model.stats(), state.model.options(), state.model.positions());
    float* const gradient = state.dense.slot(state.deterministic ? block : thread);
    const Pass pass = state.compute.pass(thread, state.weights.dense.data(), gradient);
    state.block_losses[at] = {};
    state.block_rows[at].clear();
    if (state.refit) {
      state.model.refit_loss(pass, inputs, state.weights, state.block_losses[at]);
    } else {
      state.model.loss(pass, inputs, state.weights, state.block_losses[at], &state.block_rows[at]);
    }
  };
  state.compute.pool().parallel_for(static_cast<int64_t>(blocks.size()), std::cref(body));
  LossTotals totals;
  for (const LossSums& block : state.block_losses) totals.add(block);
  return totals;
}

// The gradient of the whole batch, equal on every rank. False when some part of it is not finite.
bool sum_gradients(StepState& state, Queue& queue) {
  const Ops& ops = state.compute.ops();
  float largest[2] = {0, 0};
  if (state.deterministic) {
    largest[0] = state.dense.largest(state.compute);
    largest[1] = std::max(state.cats.largest(state.cat_uses, queue, ops),
                          state.items.largest(state.item_uses, queue, ops));
    state.world.all_reduce_max(std::span(largest), "gradient scale");
    if (!std::isfinite(largest[0]) || !std::isfinite(largest[1])) return false;
  }
  state.dense.reduce(state.world, state.compute, largest[0]);
  if (state.weights.cats.rows > 0) {
    state.cats.reduce(state.cat_uses, state.world, queue, ops, largest[1]);
  }
  if (state.weights.items.rows > 0) {
    state.items.reduce(state.item_uses, state.world, queue, ops, largest[1]);
  }
  return true;
}

double gradient_norm(StepState& state, Queue& queue, double scale) {
  const Ops& ops = state.compute.ops();
  double squares = 0;
  ops.sum_squares(queue, {.x = state.dense.sum(), .sum = &squares});
  for (const RowGradientSum* rows : {&state.cats, &state.items}) {
    const Matrix<const float> gradient = rows->gradient();
    ops.sum_squares(queue,
                    {.x = {gradient.data, static_cast<size_t>(gradient.rows * gradient.cols)},
                     .sum = &squares});
  }
  return std::sqrt(squares) * scale;
}

// COLLECTIVE. The first tensor of the layout, else the row table, whose gradient is not finite on
// any rank; empty when all are. Before or after the sum over ranks.
std::string first_bad_tensor(StepState& state) {
  const auto bad = [](float value) { return !std::isfinite(value); };
  const int64_t dense = state.model.layout().size();
  int64_t first = dense + 2;  // arena offset, then cats, then items
  for (const auto& [uses, place] :
       {std::pair(&state.item_uses, dense + 1), std::pair(&state.cat_uses, dense)}) {
    for (const RowUses* use : *uses) {
      if (std::any_of(use->gradient.begin(), use->gradient.end(), bad)) first = place;
    }
  }
  for (int64_t slot = 0; slot < state.dense.slots(); ++slot) {
    const float* const begin = state.dense.slot(slot);
    const float* const found = std::find_if(begin, begin + std::min(first, dense), bad);
    if (found != begin + std::min(first, dense)) first = found - begin;
  }
  state.world.all_reduce_min(std::span(&first, 1), "tensor that is not finite");
  if (first < dense) return state.model.layout().name_at(first);
  return first == dense ? "cats" : first == dense + 1 ? "items" : "";
}

void update(StepState& state, Queue& queue, int64_t step, double scale,
            const OptimizerSettings& settings) {
  const Ops& ops = state.compute.ops();
  const int64_t first = state.refit ? state.model.refit_first() : 0;
  const int64_t last = state.refit ? state.model.refit_last() : state.model.layout().size();
  state.optimizer.update_dense(state.compute, state.weights, state.dense.sum(), scale, first, last,
                               step, settings);
  if (state.refit) return;
  state.optimizer.update_rows(queue, ops, state.weights.cats, state.cats, scale, settings);
  state.optimizer.update_rows(queue, ops, state.weights.items, state.items, scale, settings);
}

}  // namespace

StepResult train_step(StepState& state, std::span<const io::Journeys> blocks, int64_t step,
                      const OptimizerSettings& settings, bool stop) {
  Queue& queue = *state.compute.thread(0).queue;
  StepResult result;

  Timer timer;
  LossTotals totals = forward_and_backward(state, blocks);
  state.phases.compute += timer.restart();

  int64_t stops = stop ? 1 : 0;
  totals.reduce(state.world, &stops);
  result.losses = totals.means();
  result.stop_requested = stops > 0;
  const bool finite = sum_gradients(state, queue);
  state.phases.reduce += timer.restart();

  const double scale = result.losses.weight > 0 ? 1 / result.losses.weight : 0;
  result.gradient_norm =
      finite ? gradient_norm(state, queue, scale) : std::numeric_limits<double>::infinity();
  if (totals.broken() > 0 || !std::isfinite(result.gradient_norm)) {
    result.skipped = true;
    result.bad_tensor = first_bad_tensor(state);
    return result;
  }
  const bool clip = state.clip_norm > 0 && result.gradient_norm > state.clip_norm;
  update(state, queue, step, clip ? scale * state.clip_norm / result.gradient_norm : scale,
         settings);
  state.phases.update += timer.restart();
  return result;
}

StepState::StepState(const Model& model_in, Compute& compute_in, Communicator& world_in,
                     ModelWeights& weights_in, int64_t my_blocks, int64_t total_blocks,
                     int64_t rows_per_block, bool deterministic_in)
    : model(model_in),
      compute(compute_in),
      world(world_in),
      weights(weights_in),
      optimizer(model_in),
      deterministic(deterministic_in),
      dense(model_in.layout().size(), deterministic_in ? my_blocks : compute_in.threads(),
            total_blocks, deterministic_in),
      cats(weights_in.cats.width,
           total_blocks * rows_per_block * std::max<int64_t>(model_in.stats().schema.cat, 1),
           deterministic_in),
      items(weights_in.items.width,
            total_blocks * rows_per_block * std::max<int64_t>(model_in.stats().longest, 1),
            deterministic_in),
      block_losses(static_cast<size_t>(my_blocks)),
      block_rows(static_cast<size_t>(my_blocks)) {
  for (const BlockRows& rows : block_rows) {
    cat_uses.push_back(&rows.cats);
    item_uses.push_back(&rows.items);
  }
}

}  // namespace alm
