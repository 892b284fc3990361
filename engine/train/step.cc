// A training step, top to bottom: a batch comes in, its micro-blocks go forward through the model
// and back, gradients are summed over threads and ranks, a guard looks at them, the optimiser moves
// the weights. Two things may be added: in proxy mode the discriminator may take steps of its own
// before, and with PCGrad the batch goes back twice, for the losses of the outcome and for those of
// the mediator, whose gradients of the shared trunk are made to agree before they are added.
#include "engine/train/step.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/base/clock.h"

namespace alm {
namespace {

// Which part of the model learns in a pass over the batch.
enum class Part { model, second_stage, discriminator };

// Forward, losses, backward of this rank's micro-blocks, one thread a micro-block. The dense
// gradient goes to `into`. `draw`: of what a pass samples.
LossTotals forward_and_backward(StepState& state, std::span<const io::Journeys> blocks, Part part,
                                Objective objective, DenseGradientSum& into, uint64_t draw = 0) {
  into.clear(state.compute);
  const auto body = [&](int64_t block, int64_t thread) {
    const size_t at = static_cast<size_t>(block);
    Inputs& inputs = state.compute.thread(thread).inputs;
    inputs.fill(blocks[at], state.model.stats(), state.model.options(), state.model.positions());
    float* const gradient = into.slot(state.options.deterministic ? block : thread);
    Pass pass = state.compute.pass(thread, state.weights.dense.data(), gradient);
    pass.objective = objective;
    pass.reversal = state.reversal;
    state.block_losses[at] = {};
    if (objective != Objective::mediator) state.block_rows[at].clear();
    if (part == Part::second_stage) {
      inputs.fill_removal(state.model.stats().schema.clusters, kAbsentInTraining, draw, true);
      state.model.refit_loss(pass, inputs, state.weights, state.block_losses[at]);
    } else if (part == Part::discriminator) {
      state.model.discriminator_loss(pass, inputs, state.weights, state.block_losses[at]);
    } else {
      state.model.loss(pass, inputs, state.weights, state.block_losses[at], &state.block_rows[at]);
    }
  };
  state.compute.pool().parallel_for(static_cast<int64_t>(blocks.size()), std::cref(body));
  LossTotals totals;
  for (const LossSums& block : state.block_losses) totals.add(block);
  return totals;
}

// COLLECTIVE. What PCGrad asks for (Yu et al. 2020): where the outcome's and the mediator's
// gradients of the trunk oppose each other, each loses its part along the other. Then, and outside
// the trunk, they are added; row tables had theirs added already. Both are sums over all ranks, the
// same on each, so the dot products need no further talk and the result keeps its bits. Returns the
// cosine of the two, NaN where one is zero.
double add_without_conflict(std::span<float> outcome, std::span<const float> mediator,
                            int64_t trunk) {
  double product = 0, outcome_squares = 0, mediator_squares = 0;
  for (size_t at = 0; at < static_cast<size_t>(trunk); ++at) {
    product += double{outcome[at]} * double{mediator[at]};
    outcome_squares += double{outcome[at]} * double{outcome[at]};
    mediator_squares += double{mediator[at]} * double{mediator[at]};
  }
  const bool conflict = product < 0 && outcome_squares > 0 && mediator_squares > 0;
  const float of_outcome = conflict ? static_cast<float>(1 - product / outcome_squares) : 1.0f;
  const float of_mediator = conflict ? static_cast<float>(1 - product / mediator_squares) : 1.0f;
  for (size_t at = 0; at < outcome.size(); ++at) {
    const bool shared = at < static_cast<size_t>(trunk);
    outcome[at] =
        (shared ? of_outcome : 1.0f) * outcome[at] + (shared ? of_mediator : 1.0f) * mediator[at];
  }
  return product / std::sqrt(outcome_squares * mediator_squares);
}

// COLLECTIVE. The gradient of the whole batch, equal on every rank. False when some part of it is
// not finite.
bool sum_gradients(StepState& state, Queue& queue, double* trunk_cosine) {
  const Ops& ops = state.compute.ops();
  float largest[3] = {0, 0, 0};
  if (state.options.deterministic) {
    largest[0] = state.dense.largest(state.compute);
    largest[1] = std::max(state.cats.largest(state.cat_uses, queue, ops),
                          state.items.largest(state.item_uses, queue, ops));
    if (state.of_mediator) largest[2] = state.of_mediator->largest(state.compute);
    state.world.all_reduce_max(std::span(largest), "gradient scale");
    if (!std::all_of(largest, largest + 3, [](float of) { return std::isfinite(of); }))
      return false;
  }
  state.dense.reduce(state.world, state.compute, largest[0]);
  if (state.of_mediator && !state.refit) {
    state.of_mediator->reduce(state.world, state.compute, largest[2]);
    *trunk_cosine =
        add_without_conflict(state.dense.sum(), state.of_mediator->sum(), state.model.trunk_last());
  }
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
  for (DenseGradientSum* of : {&state.dense, state.of_mediator ? &*state.of_mediator : nullptr}) {
    for (int64_t slot = 0; of != nullptr && slot < of->slots(); ++slot) {
      const float* const begin = of->slot(slot);
      const float* const found = std::find_if(begin, begin + std::min(first, dense), bad);
      if (found != begin + std::min(first, dense)) first = found - begin;
    }
  }
  state.world.all_reduce_min(std::span(&first, 1), "tensor that is not finite");
  if (first < dense) return state.model.layout().name_at(first);
  return first == dense ? "cats" : first == dense + 1 ? "items" : "";
}

// Passes over a batch in which its rows get a gradient.
int64_t passes(const StepState::Options& options) {
  return options.pcgrad ? 2 : 1;
}

void update(StepState& state, Queue& queue, int64_t step, double scale,
            const OptimizerSettings& settings) {
  const Ops& ops = state.compute.ops();
  const auto update_range = [&](int64_t first, int64_t last, int64_t steps) {
    state.optimizer.update_dense(state.compute, state.weights, state.dense.sum(), scale, first,
                                 last, steps, settings);
  };
  if (state.refit) {
    update_range(state.model.refit_first(), state.model.refit_last(), step);
    return;
  }
  update_range(0, state.model.discriminator_first(), step);
  update_range(state.model.discriminator_first(), state.model.discriminator_last(),
               step * state.options.discriminator_steps);
  state.optimizer.update_rows(queue, ops, state.weights.cats, state.cats, scale, settings);
  state.optimizer.update_rows(queue, ops, state.weights.items, state.items, scale, settings);
}

// COLLECTIVE. One of the steps that the discriminator takes alone, on the codes as they are.
// `count` numbers all steps of the discriminator from 1. Nothing moves when a part of the gradient
// is not finite: the step of the model, on the same batch, then says so.
void discriminator_step(StepState& state, std::span<const io::Journeys> blocks, int64_t count,
                        const OptimizerSettings& settings) {
  LossTotals totals =
      forward_and_backward(state, blocks, Part::discriminator, Objective::all, state.dense);
  int64_t unused = 0;
  totals.reduce(state.world, &unused);
  float largest = 0;
  if (state.options.deterministic) {
    largest = state.dense.largest(state.compute);
    state.world.all_reduce_max(std::span(&largest, 1), "discriminator's gradient scale");
  }
  if (totals.broken() > 0 || !std::isfinite(largest)) return;
  state.dense.reduce(state.world, state.compute, largest);
  const double weight = totals.means().weight;
  const int64_t first = state.model.discriminator_first();
  const int64_t last = state.model.discriminator_last();
  const std::span<const float> mine =
      state.dense.sum().subspan(static_cast<size_t>(first), static_cast<size_t>(last - first));
  if (!(weight > 0) || !std::ranges::all_of(mine, [](float of) { return std::isfinite(of); }))
    return;
  state.optimizer.update_dense(state.compute, state.weights, state.dense.sum(), 1 / weight, first,
                               last, count, settings);
}

}  // namespace

StepResult train_step(StepState& state, std::span<const io::Journeys> blocks, int64_t step,
                      const OptimizerSettings& settings, bool stop) {
  Queue& queue = *state.compute.thread(0).queue;
  StepResult result;

  Timer timer;
  const int64_t discriminator_steps = state.refit ? 0 : state.options.discriminator_steps;
  for (int64_t alone = 1; alone < discriminator_steps; ++alone) {
    discriminator_step(state, blocks, (step - 1) * discriminator_steps + alone, settings);
  }
  LossTotals totals;
  if (state.refit) {
    totals = forward_and_backward(state, blocks, Part::second_stage, Objective::all, state.dense,
                                  static_cast<uint64_t>(step));
  } else if (state.of_mediator) {
    // Both go forward the same way: the losses of the second are those of the step.
    forward_and_backward(state, blocks, Part::model, Objective::outcome, state.dense);
    totals =
        forward_and_backward(state, blocks, Part::model, Objective::mediator, *state.of_mediator);
  } else {
    totals = forward_and_backward(state, blocks, Part::model, Objective::all, state.dense);
  }
  state.phases.compute += timer.restart();

  int64_t stops = stop ? 1 : 0;
  totals.reduce(state.world, &stops);
  result.losses = totals.means();
  result.stop_requested = stops > 0;
  const bool finite = sum_gradients(state, queue, &result.trunk_cosine);
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
                     int64_t rows_per_block, Options options_in)
    : model(model_in),
      compute(compute_in),
      world(world_in),
      weights(weights_in),
      optimizer(model_in),
      options(options_in),
      dense(model_in.layout().size(), options_in.deterministic ? my_blocks : compute_in.threads(),
            total_blocks, options_in.deterministic),
      cats(weights_in.cats.width,
           passes(options_in) * total_blocks * rows_per_block *
               std::max<int64_t>(model_in.stats().schema.cat, 1),
           options_in.deterministic),
      items(weights_in.items.width,
            passes(options_in) * total_blocks * rows_per_block *
                std::max<int64_t>(model_in.stats().longest, 1),
            options_in.deterministic),
      block_losses(static_cast<size_t>(my_blocks)),
      block_rows(static_cast<size_t>(my_blocks)) {
  if (options.pcgrad) {
    of_mediator.emplace(model_in.layout().size(), dense.slots(), total_blocks,
                        options.deterministic);
  }
  for (const BlockRows& rows : block_rows) {
    cat_uses.push_back(&rows.cats);
    item_uses.push_back(&rows.items);
  }
}

}  // namespace alm
