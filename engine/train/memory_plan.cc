#include "engine/train/memory_plan.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "engine/estimate/estimate_memory.h"
#include "engine/train/control_runs.h"
#include "engine/train/critic_step.h"
#include "engine/train/device_step.h"
#include "engine/train/pass_memory.h"
#include "engine/train/step.h"
#include "kernels/device_without_memory.h"

namespace alm {
namespace {

constexpr int64_t kFloat = sizeof(float);
constexpr int64_t kId = sizeof(int64_t);

// Bytes of one set of weights, by kind.
MemoryUse set_of_weights(const Model& model) {
  const ModelWeights shape = model.empty_weights();
  MemoryUse use;
  use.weights = model.layout().size() * kFloat;
  for (const RowTable* table : {&shape.cats, &shape.items}) {
    use.tables += table->rows * table->width * kFloat;
    use.optimiser += table->rows * kFloat;
  }
  return use;
}

// Of a fit of the plan. One batch for all fits: that of the first.
PlannedSteps steps_of(const PlanInputs& in, size_t fit) {
  const int64_t rows = in.survey.fit_rows[fit];
  PlannedSteps steps;
  steps.batch = resolved_batch(in.options.batch, in.survey.fit_rows.front());
  const int64_t lanes = steps.batch / micro_block_rows(steps.batch);
  steps.steps_per_epoch = io::SamplePlan({{rows}, 1, steps.batch, lanes}).steps_per_epoch();
  steps.epochs = resolved_epochs(in.options.epochs, steps.steps_per_epoch);
  const bool refits = in.model.refit_last() > in.model.refit_first();
  steps.refit = refits ? in.options.refit_epochs * steps.steps_per_epoch : 0;
  return steps;
}

// The fits of `made`, then the scoring ones again for bootstrap and controls.
std::vector<FitSteps> fit_steps_of(const PlanInputs& in, const FitPlan& plan,
                                   const std::vector<size_t>& made) {
  std::vector<FitSteps> all;
  FitSteps scoring;
  for (const size_t at : made) {
    const PlannedFit& fit = plan.fits[at];
    all.push_back({fit.name, 1, steps_of(in, at).total()});
    if (!fit.scores) continue;
    ++scoring.fits;
    scoring.steps += all.back().steps;
  }
  const auto add_again = [&](const char* name, int64_t times) {
    if (times > 0) all.push_back({name, times * scoring.fits, times * scoring.steps});
  };
  add_again("bootstrap", in.options.bootstrap_fits);
  for (const Control control : in.options.controls) {
    add_again(control_name(control), control_repeats(control, in.options.model, in.log.schema()));
  }
  return all;
}

// Fits of the control that makes most: their weights are kept until it is done.
int64_t most_control_fits(const PlanInputs& in, int64_t scoring) {
  int64_t most = 0;
  for (const Control control : in.options.controls) {
    most = std::max(most, scoring * control_repeats(control, in.options.model, in.log.schema()));
  }
  return most;
}

// Of RowGradientSum and the uses that it sums, of one table. `uses` of a rank's batch, `unit_uses`
// of what a thread takes at a time.
int64_t row_gradients(const PlanInputs& in, const RowTable& table, int64_t uses, int64_t unit_uses,
                      int64_t units) {
  if (table.rows == 0) return 0;
  const int64_t unit =
      unit_uses * kId +
      static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(unit_uses * table.width))) * kFloat;
  const int64_t number = in.options.deterministic ? int64_t{sizeof(int64_t)} : kFloat;
  const int64_t distinct = std::min(uses, table.rows);
  // Of all ranks' rows once they have met, if there are several.
  const int64_t summed = std::max(uses, in.ranks > 1 ? in.ranks * distinct : 0);
  const int64_t use_bytes = 2 * kId;  // a row and where its gradient lies
  int64_t bytes = RowGradientSum::places_bytes(table.rows) + in.threads * summed * use_bytes +
                  summed * (kId + table.width * number);
  if (in.options.deterministic) bytes += summed * table.width * kFloat;
  if (in.ranks > 1) bytes += in.ranks * distinct * (kId + table.width * number);
  return bytes + units * unit;
}

// Readers ahead, validation rows, and what goes to the accelerator.
int64_t batches_of(const PlanInputs& in, const LargestBatch& largest, int64_t lanes,
                   int64_t* readers) {
  const io::Log& log = in.log;
  const int64_t blocks = std::ssize(log.blocks());
  const double block_rows = static_cast<double>(log.rows()) / static_cast<double>(blocks);
  const bool all_blocks = blocks <= 2 * lanes;
  const double held = static_cast<double>(std::min(blocks, 2 * lanes));
  constexpr double kStepsAhead = 3;
  const double rows = held * block_rows + kStepsAhead * static_cast<double>(largest.mine.journeys);
  const int64_t chunks =
      log.most_chunk_bytes(all_blocks ? 0 : lanes, model_columns(in.options.model));
  *readers =
      std::llround(rows * in.survey.journey_bytes + held * block_rows * static_cast<double>(kId)) +
      std::min(chunks,
               static_cast<int64_t>(static_cast<double>(log.rows()) * in.survey.journey_bytes));
  const double validation = static_cast<double>(in.survey.validation_rows) *
                            kept_validation(in.options.validation, log.rows());
  const double of_rank = static_cast<double>(in.ranks);
  const double pieces = std::max(static_cast<double>(blocks),
                                 validation / static_cast<double>(largest.validation.journeys));
  return *readers + std::llround((validation * in.survey.journey_bytes +
                                  pieces * double{sizeof(io::Journeys)}) /
                                 of_rank);
}

}  // namespace

MemoryPlan plan_memory(const PlanInputs& in) {
  const Model& model = in.model;
  const TrainOptions& options = in.options;
  MemoryPlan plan;
  plan.main = steps_of(in, 0);
  const FitPlan fit_plan = plan_fits(options);
  const std::vector<size_t> made = fits_made(fit_plan, in.survey.fit_rows);
  plan.fits = std::ssize(made);
  plan.fit_steps = fit_steps_of(in, fit_plan, made);
  const int64_t batch = plan.main.batch;
  const int64_t block_rows = micro_block_rows(batch);
  const TouchCounts counts = touch_counts(in.log, in.survey.stats->longest);
  const LargestBatch largest =
      largest_batch(model, counts, batch, in.ranks, in.threads, options.deterministic);
  const int64_t my_blocks = largest.mine.journeys / block_rows;
  const int64_t dense = model.layout().size();

  // Weights that are learned, the best so far, and those of fits done before.
  const MemoryUse set = set_of_weights(model);
  const int64_t scoring = std::ranges::count_if(fit_plan.fits, &PlannedFit::scores);
  const int64_t of_control = most_control_fits(in, scoring);
  const int64_t saved = plan.fits - 1 + of_control;  // in checkpoints, beside the last fit's own
  int64_t done = saved;
  // The scoring fits of one replicate, or of one repeat of a control, are held once more for their
  // estimates.
  if (of_control > 0) done += scoring - 1;
  if (options.bootstrap_fits > 0) done = std::max(done, plan.fits + scoring - 1);
  MemoryUse& host = plan.host;
  for (int64_t one = 0; one < done + 2; ++one) host += set;
  host.optimiser += 3 * dense * kFloat;  // two moments, and which weights decay
  host.gradients =
      (options.pcgrad ? 2 : 1) * DenseGradientSum::bytes(dense, in.threads, options.deterministic);
  if (in.trains == nullptr) {
    const Unit unit = unit_of(my_blocks, block_rows, in.threads,
                              StepState::whole_blocks(model, options.deterministic));
    const int64_t units = unit.count(my_blocks);
    const ModelWeights shape = model.empty_weights();
    const int64_t cats = model.stats().schema.cat;
    const auto mean_touches = [&](int64_t journeys) {
      return std::llround(static_cast<double>(journeys) * counts.mean);
    };
    const int64_t rows = largest.mine.journeys;
    host.gradients +=
        row_gradients(in, shape.cats, rows * cats, rows * cats / units, units) +
        row_gradients(in, shape.items, mean_touches(rows), mean_touches(rows / units), units);
  }
  host.activations = in.threads * fit_numbers(model, in.computes, largest) * kFloat;
  if (model.critic() != nullptr) {
    host.activations += CriticStep::bytes(model, batch, block_rows, my_blocks,
                                          critic_numbers(model, in.computes, largest.block));
  }
  int64_t readers = 0;
  host.batches = batches_of(in, largest, my_blocks, &readers);

  if (in.trains != nullptr) {
    const std::unique_ptr<DeviceWithoutMemory> space = in.trains->without_memory();
    const std::unique_ptr<DeviceCommunicator> alone = make_self_device_communicator();
    DeviceStep step(model, *space, *alone, false);
    const bool refits = plan.main.refit > 0 && refit_not_yet_on_device(options).empty();
    step.reserve(largest, options.deterministic, refits);
    plan.device = step.memory();
    host.batches += plan.device.batches;  // page-locked
  }

  const int64_t with_state = set.total();
  plan.checkpoint = plan.fits * with_state;
  plan.checkpoint_in_fit = (saved + 2) * with_state + 2 * dense * kFloat;
  const bool within = options.checkpoint_every > 0;
  plan.checkpoint_copy = within ? plan.checkpoint_in_fit : (saved + 1) * with_state;
  const double touches = static_cast<double>(in.survey.scored_rows) * counts.mean;
  plan.estimates = estimate_bytes(model.stats().schema, std::llround(touches), in.threads);
  const int64_t held = plan.fits + (of_control > 0 ? of_control + scoring : 0);
  plan.peak_of_others = std::max(host.total(), held * with_state + plan.estimates);
  plan.peak =
      std::max(plan.peak_of_others, host.total() - (within ? 0 : readers) + plan.checkpoint_copy);
  return plan;
}

int64_t bounded_bytes(const MemoryPlan& plan, const PlanInputs& in) {
  return in.trains != nullptr ? plan.device.total() : plan.peak;
}

int64_t largest_fitting_batch(const PlanInputs& in, int64_t memory) {
  constexpr int64_t kSmallUnit = 16, kLargeUnit = 256, kLargeFrom = 8192;
  const int64_t rows = std::max(in.survey.fit_rows.front(), in.options.batch);
  const auto fits = [&](int64_t batch) {
    if (batch / micro_block_rows(batch) < in.ranks) return false;
    TrainOptions options = in.options;
    options.batch = batch;
    PlanInputs of{in.log,      in.survey, options,  in.model,
                  in.computes, in.trains, in.ranks, in.threads};
    return bounded_bytes(plan_memory(of), of) <= memory;
  };
  // The largest multiple of `unit` in [first, last] that fits, where `first` does.
  const auto search = [&](int64_t first, int64_t last, int64_t unit) {
    int64_t low = first / unit, high = last / unit;
    while (low < high) {
      const int64_t middle = (low + high + 1) / 2;
      fits(middle * unit) ? low = middle : high = middle - 1;
    }
    return low * unit;
  };
  const int64_t least =
      std::max<int64_t>(in.ranks > kSmallUnit ? in.ranks * kLargeUnit : 0, kLargeFrom);
  if (rows >= least && fits(least)) return search(least, rows, kLargeUnit);
  if (in.ranks > kSmallUnit || rows < kSmallUnit || !fits(kSmallUnit)) return 0;
  return search(kSmallUnit, std::min(rows, kLargeFrom - kSmallUnit), kSmallUnit);
}

}  // namespace alm
