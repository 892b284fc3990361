#include "engine/train/device_step.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/base/clock.h"
#include "kernels/base/text.h"

namespace alm {

// More sizes than a training meets, but for the odd batch.
constexpr size_t kRecordings = 32;

std::string not_yet_on_device(const TrainOptions& options, Precision activations) {
  if (options.tabular) return "--nuisance is tabular";
  if (options.model.general_head()) return "--outcome-head is general";
  if (options.pcgrad) return "--pcgrad is set";
  if (options.model.proxy_mode() && activations == Precision::bf16) {
    return "--mediator is proxy and --precision is bf16";
  }
  if (options.discriminator_steps > 1) return "--discriminator-steps is above 1";
  return "";
}

DeviceStep::Slot::Slot(Device& device)
    : staging(device), sums(device, 1), copied(device.make_event()), done(device.make_event()) {}

DeviceStep::DeviceStep(const Model& model, Device& device, DeviceCommunicator& ranks, bool graphs)
    : model_(model),
      device_(device),
      ops_(device.ops()),
      ranks_(ranks),
      graphs_(graphs && ranks.size() == 1 && !model.options().proxy_mode()),
      weights_(model, device),
      memory_(device),
      packer_(model),
      sums_(device, 1),
      slots_{Slot(device), Slot(device)},
      queue_(device.make_queue()),
      copies_(device.make_queue()) {}

DeviceStep::Slot& DeviceStep::slot_of(int64_t number) {
  return slots_[static_cast<size_t>(number % std::ssize(slots_))];
}

// The slot's memory, on both sides, is free: the host has waited for the step that had it last.
void DeviceStep::send(Slot& slot, StepState& state, std::span<const io::Journeys> blocks,
                      const StepSettings& settings, Padding padding, RowsOf rows) {
  slot.batch = packer_.pack(state.compute.pool(), blocks, settings, padding, rows, state.world,
                            slot.staging);
  slot.known = {};
  slot.known.add(slot.batch.known);
  if (model_.options().proxy_mode() && rows == RowsOf::all_ranks) {
    int64_t unused = 0;
    slot.known.reduce(state.world, &unused);
  }
  slot.staging.send(*copies_);
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

// Losses and gradient of this rank.
DeviceStep::Gradient DeviceStep::pass_through(const DeviceBatch& batch) {
  queue_->clear(weights_.gradient.data(), weights_.gradient.bytes());
  queue_->clear(sums_.data(), sums_.bytes());
  Pass pass{*queue_, ops_, memory_, weights_.dense.data(), weights_.gradient.data()};
  pass.reversal = reversal_;
  RowGradients of_uses;
  model_.loss(pass, batch.inputs, weights_.view(), sums_.data()->losses, &of_uses);
  return {.dense = DeviceSpan<float>(weights_.gradient).part(0, model_.loss_last()),
          .cats = sum_rows(weights_.cats, of_uses.cats, batch.cats),
          .items = sum_rows(weights_.items, of_uses.items, batch.items)};
}

// COLLECTIVE, in one order on all ranks.
void DeviceStep::sum_over_ranks(const Gradient& gradient) {
  constexpr int64_t kLosses = sizeof(LossSums) / sizeof(double);
  ranks_.all_reduce_sum(*queue_, DeviceSpan<double>::first_of(sums_, kLosses), "losses");
  for (int64_t first = 0; first < gradient.dense.size(); first += gradient_bucket) {
    const int64_t count = std::min(gradient_bucket, gradient.dense.size() - first);
    ranks_.all_reduce_sum(*queue_, gradient.dense.part(first, count), "dense gradient");
  }
  ranks_.all_reduce_sum(*queue_, gradient.cats, "gradient of cats");
  ranks_.all_reduce_sum(*queue_, gradient.items, "gradient of items");
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
  const size_t count = static_cast<size_t>(gradient.dense.size());
  ops_.adamw(*queue_, {.weights = weights_.dense.span().first(count),
                       .gradient = gradient.dense.span(),
                       .first_moment = weights_.first_moment.span().first(count),
                       .second_moment = weights_.second_moment.span().first(count),
                       .decay_mask = weights_.decay_mask.span().first(count),
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
  const Gradient gradient = pass_through(slot.batch);
  sum_over_ranks(gradient);
  update(slot, gradient);
}

DeviceStep::Situation DeviceStep::situation(const Slot& slot) {
  return {.journeys = slot.batch.inputs.journeys,
          .touches = slot.batch.inputs.touches,
          .cat_rows = std::ssize(slot.batch.cats.rows),
          .item_rows = std::ssize(slot.batch.items.rows),
          .memory = memory_.address(),
          .scratch = queue_->scratch(0),
          .staging = slot.staging.address()};
}

// A step of sizes not met before, or after memory has moved, is queued op by op, for it may ask for
// memory; one that went through without is recorded at its next turn, and from then on launched.
void DeviceStep::run(Slot& slot) {
  memory_.reset();
  const auto step = [&] { queue_step(slot); };
  if (!graphs_) return step();
  const Situation before = situation(slot);
  auto recording = std::ranges::find(slot.recordings, before, &Recording::situation);
  if (recording != slot.recordings.end()) {
    if (!recording->graph) recording->graph = queue_->record(step);
    if (recording->graph) return queue_->launch(*recording->graph);
  }
  step();
  if (recording != slot.recordings.end() || !(situation(slot) == before)) return;
  if (slot.recordings.size() == kRecordings) slot.recordings.erase(slot.recordings.begin());
  slot.recordings.push_back({before, nullptr});
}

void DeviceStep::begin(StepState& state, std::span<const io::Journeys> blocks, int64_t step,
                       const OptimizerSettings& settings) {
  ALM_CHECK(unread() <= kUnread);
  Timer timer;
  Slot& slot = slot_of(begun_);
  reversal_ = state.reversal;
  const StepSettings of_step = step_settings(step, settings, state.clip_norm);
  if (state.options.deterministic) {
    send(slot, state, blocks, of_step, Padding::none, RowsOf::all_ranks);
    step_exactly(slot, state, blocks);
  } else {
    send(slot, state, blocks, of_step,
         model_.options().proxy_mode() ? Padding::none : Padding::shared_sizes,
         ranks_.size() > 1 ? RowsOf::all_ranks : RowsOf::batch);
    run(slot);
  }
  queue_->mark(*slot.done);
  ++begun_;
  state.phases.compute += timer.seconds();
}

StepResult DeviceStep::result(StepState& state) {
  ALM_CHECK(unread() > 0);
  Timer timer;
  const Slot& slot = slot_of(read_);
  ranks_.wait(*slot.done, "step");
  ++read_;
  const Sums& sums = *slot.sums.data();
  StepResult result;
  LossTotals totals;
  totals.add(sums.losses);
  totals.add(slot.known.sums());
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
  if (result.skipped && unread() == 0) result.bad_tensor = first_bad_tensor(sums);
  state.phases.compute += timer.seconds();
  return result;
}

std::string DeviceStep::first_bad_tensor(const Sums& sums) const {
  if (!std::isfinite(sums.squares[0])) {
    std::vector<float> gradient(static_cast<size_t>(model_.loss_last()));
    queue_->download(gradient.data(), weights_.gradient.data(),
                     std::ssize(gradient) * int64_t{sizeof(float)});
    queue_->wait();
    const auto bad = std::ranges::find_if(gradient, [](float of) { return !std::isfinite(of); });
    return bad != gradient.end() ? model_.layout().name_at(bad - gradient.begin())
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
    queue_->wait();
    totals.add(slot.sums.data()->losses);
    totals.add(slot.known.sums());
  }
  return totals;
}

}  // namespace alm
