#include "engine/train/batch_pass.h"

#include <algorithm>
#include <functional>

namespace alm {
namespace {

// Largest absolute value among the gradients of a micro-block's rows.
float largest_of(const BlockRows& rows, Queue& queue, const Ops& ops) {
  float largest = 0;
  for (const RowUses* uses : {&rows.cats, &rows.items}) {
    ops.max_abs(queue, {.x = uses->gradient, .largest = &largest});
  }
  return largest;
}

}  // namespace

std::pair<int64_t, int64_t> learnt_range(const Model& model, Part part) {
  if (part == Part::second_stage) return {model.refit_first(), model.refit_last()};
  if (part == Part::discriminator) {
    return {model.discriminator_first(), model.discriminator_last()};
  }
  return {0, model.loss_last()};
}

LossTotals forward_and_backward(StepState& state, std::span<const io::Journeys> blocks, Part part,
                                Objective objective, DenseGradientSum& into, uint64_t draw) {
  const auto [first, last] = learnt_range(state.model, part);
  into.begin(first, last);
  const Model& model = state.model;
  const bool deterministic = state.options.deterministic;
  const auto body = [&](int64_t unit, int64_t thread) {
    const size_t at = static_cast<size_t>(unit);
    LossSums& losses = state.losses[at];
    BlockRows& rows = state.rows[at];
    losses = {};
    if (objective != Objective::mediator) rows.clear();
    float* const gradient = into.arena(thread);
    Inputs& inputs = state.compute.thread(thread).inputs;
    const auto add = [&](const io::Journeys& of, int64_t from, int64_t to) {
      inputs.add({of, from, to}, model.stats(), model.options(), model.positions());
    };
    const auto through_the_model = [&] {
      Pass pass = state.compute.pass(thread, state.weights.dense.data(), gradient);
      pass.objective = objective;
      pass.reversal = state.reversal;
      if (part == Part::second_stage) {
        if (model.refit_reads_pairs()) {
          inputs.fill_removal(model.stats(), kAbsentInTraining, draw, true);
        }
        model.refit_loss(pass, inputs, state.weights, losses);
      } else if (part == Part::discriminator) {
        model.discriminator_loss(pass, inputs, state.weights, losses);
      } else {
        RowGradients of_uses;
        model.loss(pass, inputs, state.weights, losses, &of_uses);
        rows.append(inputs, of_uses);
      }
      if (model.options().proxy_mode()) inputs.proxy.add_known(losses);
    };
    const io::Journeys& block = blocks[at / static_cast<size_t>(state.unit.parts_of_block)];
    if (state.unit.blocks_at_once > 1) {
      const int64_t begin = unit * state.unit.blocks_at_once;
      const int64_t end = std::min(begin + state.unit.blocks_at_once, std::ssize(blocks));
      inputs.clear();
      for (int64_t of = begin; of < end; ++of) {
        add(blocks[static_cast<size_t>(of)], 0, blocks[static_cast<size_t>(of)].size());
      }
      through_the_model();
    } else if (model.options().proxy_mode()) {
      inputs.fill(block, model.stats(), model.options(), model.positions());
      through_the_model();
    } else {
      const int64_t begin = unit % state.unit.parts_of_block * kJourneysAtOnce;
      const int64_t end = state.unit.parts_of_block == 1 ? block.size() : begin + kJourneysAtOnce;
      for (int64_t from = begin; from < std::min(end, block.size()); from += kJourneysAtOnce) {
        inputs.clear();
        add(block, from, std::min(from + kJourneysAtOnce, block.size()));
        through_the_model();
      }
    }
    if (!deterministic) return;
    Queue& queue = *state.compute.thread(thread).queue;
    into.add(thread, queue, state.compute.ops());
    state.largest_of_rows[at] = largest_of(rows, queue, state.compute.ops());
  };
  state.compute.pool().parallel_for(std::ssize(state.losses), std::cref(body));
  LossTotals totals;
  for (const LossSums& unit : state.losses) totals.add(unit);
  return totals;
}

}  // namespace alm
