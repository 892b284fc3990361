#include "engine/train/device_step.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/train/batch_pass.h"
#include "kernels/base/clock.h"
#include "kernels/base/text.h"
#include "kernels/gpu.h"

namespace alm {

std::string not_yet_on_device(const TrainOptions& options, Precision activations) {
  if (options.tabular) return "--nuisance is tabular";
  if (options.pcgrad) return "--pcgrad is set";
  if (options.model.proxy_mode() && activations == Precision::bf16) {
    return "--mediator is proxy and --precision is bf16";
  }
  if (options.model.proxy_mode() && options.model.match_width > kWidestInfoNceOfGpus) {
    return "--match-width is above " + std::to_string(kWidestInfoNceOfGpus);
  }
  if (options.discriminator_steps > 1) return "--discriminator-steps is above 1";
  return "";
}

DeviceStep::Slot::Slot(Device& device)
    : staging(device),
      sums(device, 1),
      copied(device.make_event()),
      done(device.make_event()),
      times(device) {}

DeviceStep::DeviceStep(const Model& model, Device& device, DeviceCommunicator& ranks, bool graphs)
    : model_(model),
      device_(device),
      ops_(device.ops()),
      ranks_(ranks),
      gradient_cuts_(model.gradient_cuts()),
      graphs_(graphs && !model.options().proxy_mode()),
      weights_(model, device, ranks.memory(device)),
      memory_(device),
      packer_(model),
      sums_(device, 1),
      slots_{Slot(device), Slot(device)},
      made_(device.make_event()),
      summed_(device.make_event()),
      origin_(device.make_event_with_time()),
      queue_(device.make_queue()),
      copies_(device.make_queue()),
      wire_(device.make_queue()) {
  queue_->mark(*origin_);
  queue_->wait();
  origin_seconds_ = now_seconds();
}

DeviceStep::Slot& DeviceStep::slot_of(int64_t number) {
  return slots_[static_cast<size_t>(number % std::ssize(slots_))];
}

void DeviceStep::begin_times(Slot& slot, const Timeline* timeline) {
  slot.times.clear();
  slot.waits.reset();
  slot.shown_as = timeline != nullptr && timeline->records() ? timeline->step() : -1;
}

// The slot's memory, on both sides, is free: the host has waited for the step that had it last.
void DeviceStep::send(Slot& slot, StepState& state, std::span<const io::Journeys> blocks,
                      const StepSettings& settings, Padding padding, RowsOf rows,
                      std::optional<uint64_t> refit) {
  slot.batch = packer_.pack(state.compute.pool(), blocks, settings, padding, rows, state.world,
                            slot.staging, refit);
  if (model_.options().proxy_mode() && rows == RowsOf::all_ranks) {
    int64_t unused = 0;
    slot.batch.known.reduce(state.world, &unused);
  }
  timed(slot, *copies_, Lane::gpu_copies, "copy", [&] { slot.staging.send(*copies_); });
  copies_->mark(*slot.copied);
  queue_->wait_for(*slot.copied);
}

// Empty where no rank uses a row: alike on all.
DeviceSpan<float> DeviceStep::sum_rows(const DeviceWeights::Table& table,
                                       Matrix<const float> of_uses, const DeviceBatch::Rows& rows) {
  const int64_t count = std::ssize(rows.rows);
  const DeviceSpan<float> sums = memory_.device_floats(count * table.width);
  queue_->clear(sums.data(), sums.bytes());
  if (of_uses.empty()) return sums;
  ops_.scatter_rows(
      *queue_,
      {.d_out = of_uses, .rows = rows.places, .gradient = {sums.data(), count, table.width}});
  return sums;
}

DeviceSpan<float> DeviceStep::learnt(const DeviceArray<float>& arena,
                                     const DeviceBatch& batch) const {
  const auto [first, last] = learnt_range(model_, batch.refit ? Part::second_stage : Part::model);
  return DeviceSpan<float>(arena).part(first, last - first);
}

// Losses and gradient of this rank.
DeviceStep::Gradient DeviceStep::pass_through(const DeviceBatch& batch,
                                              const std::function<void(int64_t)>* complete) {
  if (batch.refit) return pass_of_refit(batch);
  queue_->clear(weights_.gradient.data(), weights_.gradient.bytes());
  queue_->clear(sums_.data(), sums_.bytes());
  Pass pass{*queue_, ops_, memory_, weights_.dense.data(), weights_.gradient.data()};
  pass.reversal = reversal_;
  pass.complete = complete;
  RowGradients of_uses;
  model_.loss(pass, batch.inputs, weights_.view(), sums_.data()->losses, &of_uses);
  return {.dense = learnt(weights_.gradient, batch),
          .cats = sum_rows(weights_.cats, of_uses.cats, batch.cats),
          .items = sum_rows(weights_.items, of_uses.items, batch.items)};
}

DeviceStep::Gradient DeviceStep::own_gradient(Slot& slot,
                                              const std::function<void(int64_t)>* complete) {
  const Range range("forward and backward");
  std::optional<Gradient> gradient;
  timed_part(slot, "forward and backward", [&] { gradient = pass_through(slot.batch, complete); });
  return *gradient;
}

// Of losses and gradient over all ranks, which are the same on each.
void DeviceStep::update(Slot& slot, const Gradient& gradient) {
  Sums* const sums = sums_.data();
  ops_.sum_squares(*queue_, {.x = gradient.dense.span(), .sum = &sums->squares[0]});
  ops_.sum_squares(*queue_, {.x = gradient.cats.span(), .sum = &sums->squares[1]});
  ops_.sum_squares(*queue_, {.x = gradient.items.span(), .sum = &sums->squares[2]});
  ops_.gradient_scale(*queue_, {.losses = &sums->losses,
                                .squares = sums->squares,
                                .settings = slot.batch.settings,
                                .scale = &sums->scale});
  const auto part = [&](const DeviceArray<float>& of) { return learnt(of, slot.batch).span(); };
  ops_.adamw(*queue_, {.weights = part(weights_.dense),
                       .gradient = gradient.dense.span(),
                       .first_moment = part(weights_.first_moment),
                       .second_moment = part(weights_.second_moment),
                       .decay_mask = part(weights_.decay_mask),
                       .gradient_scale = &sums->scale,
                       .settings = slot.batch.settings});
  const auto update_rows = [&](const DeviceWeights::Table& table, const DeviceBatch::Rows& rows,
                               DeviceSpan<float> of_rows) {
    if (of_rows.size() == 0) return;
    ops_.adagrad_rows(*queue_, {.table = table.view(),
                                .state = table.state.span(),
                                .rows = rows.rows,
                                .gradient = {of_rows.data(), std::ssize(rows.rows), table.width},
                                .gradient_scale = &sums->scale,
                                .settings = slot.batch.settings});
  };
  update_rows(weights_.cats, slot.batch.cats, gradient.cats);
  update_rows(weights_.items, slot.batch.items, gradient.items);
  queue_->download(slot.sums.data(), sums_.data(), sums_.bytes());
}

void DeviceStep::queue_step(Slot& slot) {
  const Gradient gradient = ranks_.size() > 1 ? summed_gradient(slot) : own_gradient(slot);
  const Range range("update");
  timed_part(slot, "update", [&] { update(slot, gradient); });
}

// Of a step's batch.
Padding DeviceStep::padding(bool deterministic) const {
  return deterministic || model_.options().proxy_mode() ? Padding::none : Padding::shared_sizes;
}

void DeviceStep::begin(StepState& state, std::span<const io::Journeys> blocks, int64_t step,
                       const OptimizerSettings& settings) {
  ALM_CHECK(unread() <= kUnread);
  PhaseSpan phase(state.phases, Phase::pack);
  Slot& slot = slot_of(begun_);
  reversal_ = state.reversal;
  begin_times(slot, state.phases.timeline);
  const StepSettings of_step = step_settings(step, settings, state.clip_norm);
  if (state.options.deterministic) {
    ALM_CHECK(!state.refit);
    send(slot, state, blocks, of_step, padding(true), RowsOf::all_ranks);
    phase.next(Phase::compute);
    step_exactly(slot, state, blocks, phase);
  } else {
    const RowsOf learning = ranks_.size() > 1 ? RowsOf::all_ranks : RowsOf::batch;
    std::optional<uint64_t> draw;  // of the second stage
    if (state.refit) draw = static_cast<uint64_t>(step);
    send(slot, state, blocks, of_step, padding(false), draw ? RowsOf::none : learning, draw);
    phase.next(Phase::compute, "queue");
    run(slot);
  }
  queue_->mark(*slot.done);
  ++begun_;
}

// Of the seconds that the host waited for the slot's step, those in which the device too did
// nothing but wait for other ranks are the reduce phase.
void DeviceStep::note_times(const Slot& slot, Phases& phases, double began, double waited) {
  const double alone = slot.waits ? std::min(waited, slot.times.seconds(*slot.waits)) : 0;
  phases.add(Phase::reduce, alone);
  phases.add(Phase::compute, waited - alone);
  if (slot.shown_as < 0) return;
  phases.timeline->add(Lane::host, "wait for the GPU", began, began + waited);
  slot.times.show(*phases.timeline, slot.shown_as, *origin_, origin_seconds_);
}

StepResult DeviceStep::result(StepState& state) {
  ALM_CHECK(unread() > 0);
  const Slot& slot = slot_of(read_);
  {
    const Range range("wait for the GPU");
    const double began = now_seconds();
    ranks_.wait(*slot.done, "step");
    note_times(slot, state.phases, began, now_seconds() - began);
  }
  ++read_;
  const Sums& sums = *slot.sums.data();
  StepResult result;
  LossTotals totals;
  totals.add(sums.losses);
  totals.add(slot.batch.known);
  result.losses = totals.means();
  if (totals.broken() > 0) {  // one sum for all: what it was without the bad journeys is not known
    for (double* of : {&result.losses.mediator, &result.losses.outcome, &result.losses.second_stage,
                       &result.losses.propensity, &result.losses.law, &result.losses.proxy,
                       &result.losses.adversary, &result.losses.contrastive}) {
      *of = std::numeric_limits<double>::quiet_NaN();
    }
  }
  const double scale = result.losses.weight > 0 ? 1 / result.losses.weight : 0;
  result.gradient_norm = std::sqrt(sums.squares[0] + sums.squares[1] + sums.squares[2]) * scale;
  result.skipped = std::isnan(sums.scale);
  if (result.skipped && unread() == 0) result.bad_tensor = first_bad_tensor(slot);
  return result;
}

std::string DeviceStep::first_bad_tensor(const Slot& slot) const {
  const Sums& sums = *slot.sums.data();
  if (!std::isfinite(sums.squares[0])) {
    const DeviceSpan<float> on_device = learnt(weights_.gradient, slot.batch);
    std::vector<float> gradient(static_cast<size_t>(on_device.size()));
    queue_->download(gradient.data(), on_device.data(), on_device.bytes());
    queue_->wait();
    const auto bad = std::ranges::find_if(gradient, [](float of) { return !std::isfinite(of); });
    const int64_t first = on_device.data() - weights_.gradient.data();
    return bad != gradient.end() ? model_.layout().name_at(first + (bad - gradient.begin()))
                                 : "of the dense weights";
  }
  if (!std::isfinite(sums.squares[1])) return "cats";
  return std::isfinite(sums.squares[2]) ? "" : "items";
}

LossTotals DeviceStep::losses(StepState& state, std::span<const io::Journeys> blocks,
                              int64_t at_once) {
  ALM_CHECK(unread() == 0);
  LossTotals totals;
  Slot& slot = slots_.front();
  begin_times(slot, nullptr);
  for (size_t first = 0, last = 0; first < blocks.size(); first = last) {
    for (int64_t rows = 0; last < blocks.size() && rows < at_once; ++last) {
      rows += blocks[last].size();
    }
    send(slot, state, blocks.subspan(first, last - first), {}, Padding::none, RowsOf::batch);
    memory_.reset();
    queue_->clear(sums_.data(), sums_.bytes());
    const Pass pass{*queue_, ops_, memory_, weights_.dense.data()};
    model_.loss(pass, slot.batch.inputs, weights_.view(), sums_.data()->losses, nullptr);
    queue_->download(slot.sums.data(), sums_.data(), sums_.bytes());
    queue_->mark(*slot.done);
    ranks_.wait(*slot.done, "validation");
    totals.add(slot.sums.data()->losses);
    totals.add(slot.batch.known);
  }
  return totals;
}

}  // namespace alm
