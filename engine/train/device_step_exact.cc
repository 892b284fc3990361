// The step of --deterministic: losses and gradients are summed as integers, so that neither the
// order of micro-blocks nor the number of ranks changes a bit (gradient_sum.h). The micro-blocks go
// through the model one by one, and twice: for the largest gradient, which the scale of the
// integers is made of, then for the sums. Memory does not grow with their number; speed was not the
// aim.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/train/device_step.h"
#include "kernels/base/fixed_point.h"

namespace alm {

DeviceStep::Exact::Exact(Device& device)
    : staging(device), largest(device, 3), largest_read(device, 3), reached(device.make_event()) {}

void DeviceStep::wait_for_queue(const char* what) {
  queue_->mark(*exact_->reached);
  ranks_.wait(*exact_->reached, what);
}

// Calls with(gradient) for every micro-block; the losses of all. Waits for each: then what it used
// of memory is free for the next.
template <class With>
LossTotals DeviceStep::for_each_block(Slot& slot, StepState& state,
                                      std::span<const io::Journeys> blocks, const With& with) {
  LossTotals totals;
  for (const io::Journeys& block : blocks) {
    const DeviceBatch batch =
        packer_.pack(state.compute.pool(), std::span(&block, 1), {}, Padding::none,
                     RowsOf::batch_before, state.world, exact_->staging);
    exact_->staging.send(*queue_);
    memory_.reset();
    with(pass_through(batch));
    queue_->download(slot.sums.data(), sums_.data(), sums_.bytes());
    wait_for_queue("micro-block");
    totals.add(slot.sums.data()->losses);
  }
  return totals;
}

void DeviceStep::step_exactly(Slot& slot, StepState& state, std::span<const io::Journeys> blocks,
                              PhaseSpan& phase) {
  if (!exact_) exact_ = std::make_unique<Exact>(device_);
  Exact& exact = *exact_;
  queue_->clear(exact.largest.data(), exact.largest.bytes());
  float* const largest = exact.largest.data();
  LossTotals totals = for_each_block(slot, state, blocks, [&](const Gradient& of) {
    ops_.max_abs(*queue_, {.x = of.dense.span(), .largest = &largest[0]});
    ops_.max_abs(*queue_, {.x = of.cats.span(), .largest = &largest[1]});
    ops_.max_abs(*queue_, {.x = of.items.span(), .largest = &largest[2]});
  });
  if (ranks_.size() > 1) phase.next(Phase::reduce);
  int64_t unused = 0, all_blocks = std::ssize(blocks);
  totals.reduce(state.world, &unused);
  state.world.all_reduce_sum(std::span(&all_blocks, 1), "micro-blocks");
  ranks_.all_reduce_max(*queue_, exact.largest, "gradient scale");
  queue_->download(exact.largest_read.data(), exact.largest.data(), exact.largest.bytes());
  wait_for_queue("gradient scale");
  phase.next(Phase::compute);
  const std::span<const float> found = exact.largest_read.span();  // dense, cats, items
  const float of_dense = found[0], of_rows = std::max(found[1], found[2]);
  const bool finite = totals.broken() == 0 && std::isfinite(of_dense) && std::isfinite(of_rows);

  const int64_t dense = model_.loss_last();
  const int64_t cats = std::ssize(slot.batch.cats.rows) * weights_.cats.width;
  const int64_t items = std::ssize(slot.batch.items.rows) * weights_.items.width;
  if (exact.sums.size() < dense + cats + items) {
    exact.sums = {};
    exact.sums = {device_, dense + cats + items + (cats + items) / 4};
  }
  const DeviceSpan<int64_t> sums = DeviceSpan<int64_t>(exact.sums).part(0, dense + cats + items);
  queue_->clear(sums.data(), sums.bytes());
  const DeviceSpan<int64_t> of[] = {sums.part(0, dense), sums.part(dense, cats),
                                    sums.part(dense + cats, items)};
  const int dense_shift = finite ? fixed_point_shift(of_dense, all_blocks) : 0;
  const int rows_shift = finite ? fixed_point_shift(of_rows, all_blocks) : 0;
  if (finite) {
    for_each_block(slot, state, blocks, [&](const Gradient& from) {
      ops_.quantise(*queue_, {from.dense.span(), dense_shift, of[0].span()});
      ops_.quantise(*queue_, {from.cats.span(), rows_shift, of[1].span()});
      ops_.quantise(*queue_, {from.items.span(), rows_shift, of[2].span()});
    });
  }
  if (ranks_.size() > 1) {
    slot.waits = slot.times.begin(*queue_, Lane::gpu, "sums over ranks");
    ranks_.all_reduce_sum(*queue_, sums, "exact gradient");
    slot.times.end(*queue_, *slot.waits);
  }

  memory_.reset();
  const Gradient gradient{.dense = DeviceSpan<float>(weights_.gradient).part(0, dense),
                          .cats = memory_.device_floats(cats),
                          .items = memory_.device_floats(items)};
  ops_.dequantise(*queue_, {of[0].span(), dense_shift, gradient.dense.span()});
  ops_.dequantise(*queue_, {of[1].span(), rows_shift, gradient.cats.span()});
  ops_.dequantise(*queue_, {of[2].span(), rows_shift, gradient.items.span()});
  Sums& known = *slot.sums.data();
  known = {.losses = totals.sums()};
  if (totals.broken() > 0) known.losses.weight = std::numeric_limits<double>::quiet_NaN();
  // Sums of squares are added to these: the update sees what the integers could not hold.
  for (size_t part = 0; part < found.size(); ++part) {
    if (!std::isfinite(found[part])) {
      known.squares[part] = std::numeric_limits<double>::infinity();
    }
  }
  queue_->upload(sums_.data(), &known, sums_.bytes());
  update(slot, gradient);
}

}  // namespace alm
