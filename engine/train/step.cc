// A training step, top to bottom: a batch comes in, its micro-blocks go forward through the model
// and back (once more where a deterministic sum's scale did not fit), gradients are summed over
// threads and ranks, a guard looks at them, the optimiser moves the weights. Two things may be
// added: in proxy mode the discriminator may take steps of its own before, and with PCGrad the
// batch goes back twice, for the losses of the outcome and for those of the mediator, whose
// gradients of the shared trunk are made to agree before they are added.
#include "engine/train/step.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "engine/train/batch_pass.h"

namespace alm {
namespace {

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

// The passes over a batch of a step. Sums of this rank.
LossTotals forward_and_backward(StepState& state, std::span<const io::Journeys> blocks,
                                int64_t step) {
  if (state.refit) {
    return forward_and_backward(state, blocks, Part::second_stage, Objective::all, state.dense,
                                static_cast<uint64_t>(step));
  }
  if (!state.of_mediator) {
    return forward_and_backward(state, blocks, Part::model, Objective::all, state.dense);
  }
  // Both go forward the same way: the losses of the second are those of the step.
  forward_and_backward(state, blocks, Part::model, Objective::outcome, state.dense);
  return forward_and_backward(state, blocks, Part::model, Objective::mediator, *state.of_mediator);
}

// The sizes of a step's gradients over all ranks; deterministic mode only.
struct GradientSizes {
  float dense = 0;
  float rows = 0;
  float of_mediator = 0;
  bool finite() const {
    return std::isfinite(dense) && std::isfinite(rows) && std::isfinite(of_mediator);
  }
};

// COLLECTIVE. What the passes left. False when dense sums are not at their scale, and the passes
// must be made again.
bool measure(StepState& state, GradientSizes* sizes) {
  if (!state.options.deterministic) return true;
  const bool two = state.of_mediator && !state.refit;
  float largest[3] = {state.dense.largest(), std::ranges::max(state.largest_of_rows),
                      two ? state.of_mediator->largest() : 0};
  state.world.all_reduce_max(std::span(largest), "gradient scale");
  *sizes = {.dense = largest[0], .rows = largest[1], .of_mediator = largest[2]};
  if (!sizes->finite()) return true;
  bool fits = state.dense.fits(sizes->dense);
  if (two) fits = state.of_mediator->fits(sizes->of_mediator) && fits;
  return fits;
}

// COLLECTIVE. The gradient of the whole batch, equal on every rank.
void sum_gradients(StepState& state, float largest_of_rows, double* trunk_cosine) {
  state.dense.reduce(state.world, state.compute);
  if (state.of_mediator && !state.refit) {
    state.of_mediator->reduce(state.world, state.compute);
    *trunk_cosine =
        add_without_conflict(state.dense.sum(), state.of_mediator->sum(), state.model.trunk_last());
  }
  if (state.weights.cats.rows > 0) {
    state.cats.reduce(state.cat_uses, state.world, state.compute, largest_of_rows);
  }
  if (state.weights.items.rows > 0) {
    state.items.reduce(state.item_uses, state.world, state.compute, largest_of_rows);
  }
}

// Sum of squares, of pieces in order, which threads share.
double sum_of_squares(StepState& state, std::span<const float> x) {
  constexpr size_t kPiece = 1 << 16;
  state.squares.assign((x.size() + kPiece - 1) / kPiece, 0.0);
  const auto body = [&](int64_t piece, int64_t thread) {
    const size_t first = static_cast<size_t>(piece) * kPiece;
    state.compute.ops().sum_squares(*state.compute.thread(thread).queue,
                                    {.x = x.subspan(first, std::min(kPiece, x.size() - first)),
                                     .sum = &state.squares[static_cast<size_t>(piece)]});
  };
  state.compute.pool().parallel_for(std::ssize(state.squares), std::cref(body));
  return std::accumulate(state.squares.begin(), state.squares.end(), 0.0);
}

double gradient_norm(StepState& state, double scale) {
  double squares = sum_of_squares(state, state.dense.sum());
  for (const RowGradientSum* rows : {&state.cats, &state.items}) {
    squares += sum_of_squares(state, flat(rows->gradient()));
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
    const int64_t found = of != nullptr ? of->first_not_finite() : -1;
    if (found >= 0) first = std::min(first, found);
  }
  state.world.all_reduce_min(std::span(&first, 1), "tensor that is not finite");
  if (first < dense) return state.model.layout().name_at(first);
  return first == dense ? "cats" : first == dense + 1 ? "items" : "";
}

// Passes over a batch in which its rows get a gradient.
int64_t passes(const StepState::Options& options) {
  return options.pcgrad ? 2 : 1;
}

void update(StepState& state, int64_t step, double scale, const OptimizerSettings& settings) {
  const auto update_range = [&](int64_t first, int64_t last, int64_t steps) {
    state.optimizer.update_dense(state.compute, state.weights, state.dense, scale, first, last,
                                 steps, settings);
  };
  if (state.refit) {
    update_range(state.model.refit_first(), state.model.refit_last(), step);
    return;
  }
  update_range(0, std::min(state.model.loss_last(), state.model.discriminator_first()), step);
  update_range(state.model.discriminator_first(), state.model.discriminator_last(),
               step * state.options.discriminator_steps);
  state.optimizer.update_rows(state.compute, state.weights.cats, state.cats, scale, settings);
  state.optimizer.update_rows(state.compute, state.weights.items, state.items, scale, settings);
}

// COLLECTIVE. One of the steps that the discriminator takes alone, on the codes as they are.
// `count` numbers all steps of the discriminator from 1. Nothing moves when a part of the gradient
// is not finite: the step of the model, on the same batch, then says so.
void discriminator_step(StepState& state, std::span<const io::Journeys> blocks, int64_t count,
                        const OptimizerSettings& settings) {
  LossTotals totals;
  float largest = 0;
  do {
    totals = forward_and_backward(state, blocks, Part::discriminator, Objective::all, state.dense);
  } while (!state.dense.settled(state.world, "discriminator's gradient scale", &largest));
  if (!std::isfinite(largest)) return;
  int64_t unused = 0;
  totals.reduce(state.world, &unused);
  if (totals.broken() > 0) return;
  state.dense.reduce(state.world, state.compute);
  const double weight = totals.means().weight;
  const std::span<const float> sum = state.dense.sum();
  if (!(weight > 0) || !std::ranges::all_of(sum, [](float of) { return std::isfinite(of); }))
    return;
  state.optimizer.update_dense(state.compute, state.weights, state.dense, 1 / weight,
                               state.dense.first(), state.dense.last(), count, settings);
}

}  // namespace

StepResult train_step(StepState& state, std::span<const io::Journeys> blocks, int64_t step,
                      const OptimizerSettings& settings, bool stop) {
  StepResult result;

  PhaseSpan phase(state.phases, Phase::compute);
  const int64_t discriminator_steps = state.refit ? 0 : state.options.discriminator_steps;
  for (int64_t alone = 1; alone < discriminator_steps; ++alone) {
    discriminator_step(state, blocks, (step - 1) * discriminator_steps + alone, settings);
  }
  LossTotals totals = forward_and_backward(state, blocks, step);

  phase.next(Phase::reduce);
  GradientSizes sizes;
  while (!measure(state, &sizes)) {
    phase.next(Phase::compute);
    totals = forward_and_backward(state, blocks, step);
    phase.next(Phase::reduce);
  }
  int64_t stops = stop ? 1 : 0;
  totals.reduce(state.world, &stops);
  result.losses = totals.means();
  result.stop_requested = stops > 0;
  const bool finite = sizes.finite();
  if (finite) sum_gradients(state, sizes.rows, &result.trunk_cosine);

  phase.next(Phase::update);
  const double scale = result.losses.weight > 0 ? 1 / result.losses.weight : 0;
  result.gradient_norm =
      finite ? gradient_norm(state, scale) : std::numeric_limits<double>::infinity();
  if (totals.broken() > 0 || !std::isfinite(result.gradient_norm)) {
    result.skipped = true;
    result.bad_tensor = first_bad_tensor(state);
    return result;
  }
  const bool clip = state.clip_norm > 0 && result.gradient_norm > state.clip_norm;
  update(state, step, clip ? scale * state.clip_norm / result.gradient_norm : scale, settings);
  return result;
}

Unit unit_of(int64_t my_blocks, int64_t rows_per_block, int64_t threads, bool whole_blocks) {
  if (whole_blocks) return {};
  return {.parts_of_block = (rows_per_block + kJourneysAtOnce - 1) / kJourneysAtOnce,
          .blocks_at_once = std::clamp<int64_t>(kJourneysAtOnce / rows_per_block, 1,
                                                (my_blocks + threads - 1) / threads)};
}

StepState::StepState(const Model& model_in, Compute& compute_in, Communicator& world_in,
                     ModelWeights& weights_in, int64_t my_blocks, int64_t total_blocks,
                     int64_t rows_per_block, Options options_in)
    : model(model_in),
      compute(compute_in),
      world(world_in, phases),
      weights(weights_in),
      optimizer(model_in),
      options(options_in),
      unit(unit_of(my_blocks, rows_per_block, compute.threads(),
                   whole_blocks(model_in, options_in.deterministic))),
      dense(model_in.layout().size(), compute_in.threads(), total_blocks, options_in.deterministic),
      cats(weights_in.cats.rows, weights_in.cats.width,
           passes(options_in) * total_blocks * rows_per_block *
               std::max<int64_t>(model_in.stats().schema.cat, 1),
           options_in.deterministic),
      items(weights_in.items.rows, weights_in.items.width,
            passes(options_in) * total_blocks * rows_per_block *
                std::max<int64_t>(model_in.stats().longest, 1),
            options_in.deterministic),
      largest_of_rows(static_cast<size_t>(my_blocks)),
      losses(static_cast<size_t>(unit.count(my_blocks))),
      rows(losses.size()) {
  if (options.pcgrad) {
    of_mediator.emplace(model_in.layout().size(), compute.threads(), total_blocks,
                        options.deterministic);
  }
  for (const BlockRows& of : rows) {
    cat_uses.push_back(&of.cats);
    item_uses.push_back(&of.items);
  }
}

}  // namespace alm
