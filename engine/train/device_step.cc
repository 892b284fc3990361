#include "engine/train/device_step.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/clock.h"
#include "kernels/base/text.h"

namespace alm {

std::string not_yet_on_device(const TrainOptions& options, int64_t ranks) {
  if (options.tabular) return "--nuisance is tabular";
  if (options.model.proxy_mode()) return "--mediator is proxy";
  if (options.model.general_head()) return "--outcome-head is general";
  if (options.pcgrad) return "--pcgrad is set";
  if (options.deterministic) return "--deterministic is set";
  if (ranks > 1) return format("%lld ranks train", static_cast<long long>(ranks));
  return "";
}

DeviceStep::DeviceStep(const Model& model, Device& device)
    : model_(model),
      ops_(device.ops()),
      queue_(device.make_queue()),
      weights_(model, device),
      memory_(device),
      distinct_cats_(weights_.cats.rows),
      distinct_items_(weights_.items.rows),
      staging_(device),
      sums_(device, 1),
      read_(device, 1) {}

void DeviceStep::make_inputs(std::span<const io::Journeys> blocks) {
  inputs_.clear();
  for (const io::Journeys& block : blocks) {
    inputs_.add({block, 0, block.size()}, model_.stats(), model_.options(), model_.positions());
  }
  distinct_cats_.find(inputs_.cat_rows);
  distinct_items_.find(inputs_.item_rows);
}

// Of the batch before, only the update of the rows may still read the staging memory: it stands
// before this copy in the queue, and the host's side was copied from before the sums came.
ModelInputs DeviceStep::send_inputs() {
  ModelInputs inputs = inputs_.view();
  cats_ = {distinct_cats_.rows(), distinct_cats_.places(), {}};
  items_ = {distinct_items_.rows(), distinct_items_.places(), {}};
  int64_t bytes = 0;
  const auto for_each = [&](const auto& with) {
    for_each_array(inputs, with);
    for (Rows* rows : {&cats_, &items_}) {
      with(rows->rows);
      with(rows->places);
    }
  };
  for_each([&](const auto& array) { bytes += Staging::room(array); });
  staging_.begin(bytes);
  for_each([&](auto& array) { array = staging_.put(array); });
  staging_.send(*queue_);
  return inputs;
}

void DeviceStep::sum_rows(const Pass& pass, Matrix<const float> of_uses, Rows& rows,
                          double* squares) {
  if (of_uses.empty()) return;
  rows.gradient = pass.zero_matrix(std::ssize(rows.rows), of_uses.cols);
  ops_.scatter_rows(*queue_, {.d_out = of_uses, .rows = rows.places, .gradient = rows.gradient});
  ops_.sum_squares(*queue_, {.x = flat(rows.gradient), .sum = squares});
}

// The one wait of a step.
DeviceStep::Sums DeviceStep::read_sums() {
  queue_->download(read_.data(), sums_.data(), sums_.bytes());
  queue_->wait();
  return *read_.data();
}

std::string DeviceStep::first_bad_tensor(const Sums& sums) const {
  if (!std::isfinite(sums.dense_squares)) {
    std::vector<float> gradient(static_cast<size_t>(model_.loss_last()));
    queue_->download(gradient.data(), weights_.gradient.data(),
                     std::ssize(gradient) * int64_t{sizeof(float)});
    queue_->wait();
    const auto bad = std::ranges::find_if(gradient, [](float of) { return !std::isfinite(of); });
    if (bad != gradient.end()) return model_.layout().name_at(bad - gradient.begin());
  }
  if (!std::isfinite(sums.cats_squares)) return "cats";
  return std::isfinite(sums.items_squares) ? "" : "items";
}

void DeviceStep::update(int64_t step, double scale, const OptimizerSettings& settings) {
  const size_t count = static_cast<size_t>(model_.loss_last());
  ops_.adamw(*queue_, {.weights = weights_.dense.span().first(count),
                       .gradient = weights_.gradient.span().first(count),
                       .first_moment = weights_.first_moment.span().first(count),
                       .second_moment = weights_.second_moment.span().first(count),
                       .decay_mask = weights_.decay_mask.span().first(count),
                       .gradient_scale = static_cast<float>(scale),
                       .learning_rate = static_cast<float>(settings.learning_rate),
                       .weight_decay = static_cast<float>(settings.weight_decay),
                       .step = step});
  const auto update_rows = [&](const DeviceWeights::Table& table, const Rows& rows) {
    if (rows.gradient.empty()) return;
    ops_.adagrad_rows(*queue_, {.table = table.view(),
                                .state = table.state.span(),
                                .rows = rows.rows,
                                .gradient = rows.gradient,
                                .gradient_scale = static_cast<float>(scale),
                                .learning_rate = static_cast<float>(settings.row_learning_rate)});
  };
  update_rows(weights_.cats, cats_);
  update_rows(weights_.items, items_);
}

StepResult DeviceStep::take(StepState& state, std::span<const io::Journeys> blocks, int64_t step,
                            const OptimizerSettings& settings, bool stop) {
  Timer timer;
  make_inputs(blocks);
  const ModelInputs inputs = send_inputs();
  memory_.reset();
  queue_->clear(weights_.gradient.data(), weights_.gradient.bytes());
  queue_->clear(sums_.data(), sums_.bytes());
  const Pass pass{*queue_, ops_, memory_, weights_.dense.data(), weights_.gradient.data()};
  Sums* const sums = sums_.data();
  RowGradients of_uses;
  model_.loss(pass, inputs, weights_.view(), sums->losses, &of_uses);
  sum_rows(pass, of_uses.cats, cats_, &sums->cats_squares);
  sum_rows(pass, of_uses.items, items_, &sums->items_squares);
  const size_t learnt = static_cast<size_t>(model_.loss_last());
  ops_.sum_squares(*queue_,
                   {.x = weights_.gradient.span().first(learnt), .sum = &sums->dense_squares});
  const Sums read = read_sums();
  state.phases.compute += timer.restart();

  StepResult result;
  LossTotals totals;
  totals.add(read.losses);
  int64_t stops = stop ? 1 : 0;
  totals.reduce(state.world, &stops);
  result.losses = totals.means();
  result.stop_requested = stops > 0;
  const double scale = result.losses.weight > 0 ? 1 / result.losses.weight : 0;
  result.gradient_norm =
      std::sqrt(read.dense_squares + read.cats_squares + read.items_squares) * scale;
  if (totals.broken() > 0 || !std::isfinite(result.gradient_norm)) {
    result.skipped = true;
    result.bad_tensor = first_bad_tensor(read);
    return result;
  }
  const bool clip = state.clip_norm > 0 && result.gradient_norm > state.clip_norm;
  update(step, clip ? scale * state.clip_norm / result.gradient_norm : scale, settings);
  state.phases.update += timer.restart();
  return result;
}

LossTotals DeviceStep::losses(std::span<const io::Journeys> blocks, int64_t at_once) {
  LossTotals totals;
  for (size_t first = 0, last = 0; first < blocks.size(); first = last) {
    for (int64_t rows = 0; last < blocks.size() && rows < at_once; ++last) {
      rows += blocks[last].size();
    }
    make_inputs(blocks.subspan(first, last - first));
    const ModelInputs inputs = send_inputs();
    memory_.reset();
    queue_->clear(sums_.data(), sums_.bytes());
    const Pass pass{*queue_, ops_, memory_, weights_.dense.data()};
    model_.loss(pass, inputs, weights_.view(), sums_.data()->losses, nullptr);
    totals.add(read_sums().losses);
  }
  return totals;
}

}  // namespace alm
