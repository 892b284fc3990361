// What a step takes of its device's memory: by taking one on a device without.
#include <algorithm>

#include "engine/model/inputs_shape.h"
#include "engine/train/device_step.h"
#include "engine/train/pass_memory.h"

namespace alm {
namespace {

// Distinct rows of both tables that a batch uses at most; padding uses one row more.
BatchSizes with_rows(PassSize of, PassSize uses, const Model& model, const DeviceWeights& weights) {
  return {.journeys = of.journeys,
          .touches = of.touches,
          .cat_rows = std::min(weights.cats.rows, uses.journeys * model.stats().schema.cat + 1),
          .item_rows = std::min(weights.items.rows, uses.touches + 1)};
}

}  // namespace

// Queues what a step queues and launches nothing: the device has no memory. The numbers that the
// workspace hands out. `pass`: what goes through the model at once; `step`: whose rows are updated;
// `refit`: a step of the second stage.
int64_t DeviceStep::rehearse(const BatchSizes& step, const BatchSizes& pass, bool exact,
                             bool refit) {
  const std::unique_ptr<DeviceWithoutMemory> space = device_.without_memory();
  const InputsShape shape(*space, pass.journeys, pass.touches, model_.stats(), model_.options(),
                          pass.pairs);
  constexpr int64_t kLeast = 64;  // room for the settings
  const InputsShape of_rows(*space, std::max({step.cat_rows, step.item_rows, kLeast}), kLeast,
                            model_.stats(), model_.options());
  Slot& slot = slots_.front();
  slot.batch = {.inputs = shape.inputs(),
                .known = {},
                .cats = {of_rows.any<int64_t>(step.cat_rows), shape.inputs().cat_rows},
                .items = {of_rows.any<int64_t>(step.item_rows), shape.inputs().item_rows},
                .settings = of_rows.any<StepSettings>(1).data(),
                .refit = refit};
  memory_.reset();
  Gradient gradient = pass_through(slot.batch);
  int64_t numbers = memory_.handed_out();
  if (exact) {
    for (const std::span<float> of :
         {gradient.dense.span(), gradient.cats.span(), gradient.items.span()}) {
      ops_.max_abs(*queue_, {.x = of, .largest = exact_->largest.data()});
    }
    memory_.reset();
    gradient.cats = memory_.device_floats(step.cat_rows * weights_.cats.width);
    gradient.items = memory_.device_floats(step.item_rows * weights_.items.width);
    numbers = std::max(numbers, memory_.handed_out());
  }
  update(slot, gradient);
  memory_.reset();
  return numbers;
}

void DeviceStep::reserve(const LargestBatch& largest, bool deterministic, bool refit) {
  BatchSizes step = padded(with_rows(largest.mine, largest.all, model_, weights_),
                           padding(deterministic), model_);
  step.cat_rows = std::min(step.cat_rows, weights_.cats.rows);
  step.item_rows = std::min(step.item_rows, weights_.items.rows);
  BatchSizes pass = step;
  if (deterministic) {
    pass.journeys = largest.block.journeys;
    pass.touches = largest.block.touches;
    exact_ = std::make_unique<Exact>(device_);
    exact_->sums = {device_, model_.loss_last() + step.cat_rows * weights_.cats.width +
                                 step.item_rows * weights_.items.width};
  }
  BatchSizes of_refit = {.journeys = largest.mine.journeys, .touches = largest.mine.touches};
  if (model_.refit_reads_pairs()) {
    of_refit.pairs = RemovalPairs::most(of_refit.journeys, of_refit.touches, kAbsentInTraining);
  }
  of_refit = padded(of_refit, padding(false), model_);
  const std::unique_ptr<DeviceWithoutMemory> nowhere = device_.without_memory();
  const std::unique_ptr<DeviceCommunicator> alone = make_self_device_communicator();
  DeviceStep rehearsal(model_, *nowhere, *alone, false);
  if (deterministic) rehearsal.exact_ = std::make_unique<Exact>(*nowhere);
  memory_.reserve(std::max({rehearsal.rehearse(step, pass, deterministic, false),
                            refit ? rehearsal.rehearse(of_refit, of_refit, false, true) : 0,
                            pass_numbers(model_, device_, largest.validations, false)}));
  queue_->scratch(nowhere->scratch_wanted());

  const auto room = [&](const BatchSizes& of) {
    const InputsShape shape(*nowhere, of.journeys, of.touches, model_.stats(), model_.options(),
                            of.pairs);
    return staging_room(shape.inputs(), of.cat_rows, of.item_rows);
  };
  const int64_t of_step = std::max(room(step), refit ? room(of_refit) : 0);
  // Validation goes by the first slot.
  slots_.front().staging.reserve(std::max(
      of_step, room(with_rows(largest.validations, largest.validations, model_, weights_))));
  slots_.back().staging.reserve(of_step);
  if (exact_) exact_->staging.reserve(room(pass));
}

MemoryUse DeviceStep::memory() const {
  MemoryUse use;
  for (const DeviceWeights::Table* table : {&weights_.cats, &weights_.items}) {
    use.tables += table->weights.bytes();
    use.optimiser += table->state.bytes();
  }
  use.weights = weights_.dense.bytes();
  use.optimiser +=
      weights_.first_moment.bytes() + weights_.second_moment.bytes() + weights_.decay_mask.bytes();
  use.gradients = weights_.gradient.bytes() + sums_.bytes();
  use.activations = memory_.bytes() + queue_->scratch_bytes();
  for (const Slot& slot : slots_) use.batches += slot.staging.bytes();
  if (exact_) {
    use.gradients += exact_->largest.bytes() + exact_->sums.bytes();
    use.batches += exact_->staging.bytes();
  }
  return use;
}

}  // namespace alm
