#include "engine/train/fit.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>

#include "engine/model/scan.h"
#include "engine/train/schedule.h"
#include "kernels/base/clock.h"
#include "kernels/base/log.h"
#include "kernels/base/stop_flag.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

constexpr int64_t kValidateEvery = 250;
constexpr int64_t kSkipsAllowed = 10;  // in a row

}  // namespace

Fit::Fit(FitInputs inputs) : in_(std::move(inputs)) {
  int64_t rows = 0;
  for (const int64_t block : in_.training_rows) rows += block;
  if (rows == 0) throw UserError("fit '" + in_.name + "' has no training rows: use a larger log");
  batch_ = resolved_batch(in_.options.batch, rows);
  const int64_t block_rows = micro_block_rows(batch_);
  const int64_t lanes = batch_ / block_rows;
  lanes_ = io::lanes_of_rank(lanes, in_.world.rank(), in_.world.size());
  plan_ = std::make_shared<io::SamplePlan>(
      io::SamplePlanInput{in_.training_rows, in_.seed, batch_, lanes});
  steps_per_epoch_ = plan_->steps_per_epoch();
  epochs_ = resolved_epochs(in_.options.epochs, steps_per_epoch_);
  weights_ = in_.model.fresh_weights(in_.seed);
  best_ = weights_;
  state_ = std::make_unique<StepState>(
      in_.model, in_.compute, in_.world, weights_, lanes_.last - lanes_.first, lanes, block_rows,
      StepState::Options{in_.options.deterministic, in_.options.pcgrad,
                         in_.options.discriminator_steps});
  state_->clip_norm = in_.options.clip_norm;
  state_->phases.timeline = in_.timeline;
  if (in_.with_critic && in_.model.critic() != nullptr) {
    critic_ =
        std::make_unique<CriticStep>(in_.model, in_.compute.device(), lanes_, lanes, block_rows);
  }
  if (in_.accelerator != nullptr) {
    on_device_ = std::make_unique<DeviceStep>(in_.model, *in_.accelerator, *in_.accelerators,
                                              in_.options.graph);
    on_device_->upload(weights_, state_->optimizer);
  }
  reserve();
  read_validation_rows();
}

Fit::~Fit() = default;

void Fit::read_validation_rows() {
  scan_blocks(in_.log, in_.compute.threads(), in_.world, in_.validation,
              model_columns(in_.model.options()), "",
              [&](int64_t, const std::vector<io::Journeys>& batches) {
                for (const io::Journeys& journeys : batches) {
                  if (journeys.size() > 0) validation_blocks_.push_back(journeys);
                }
              });
}

// COLLECTIVE.
bool Fit::any_rank(bool flag) {
  int64_t set = flag ? 1 : 0;
  state_->world.all_reduce_sum(std::span(&set, 1), "stop flag");
  return set > 0;
}

LossTotals Fit::validation_totals() {
  // Block by block, sums do not depend on which blocks are whose.
  const int64_t at_once =
      in_.options.deterministic ? 1 : (lanes_.last - lanes_.first) * micro_block_rows(batch_);
  if (on_device_) return on_device_->losses(*state_, validation_blocks_, at_once);
  std::vector<LossSums> sums(validation_blocks_.size());
  in_.compute.pool().parallel_for(
      static_cast<int64_t>(validation_blocks_.size()), [&](int64_t block, int64_t thread) {
        Inputs& inputs = in_.compute.thread(thread).inputs;
        inputs.fill(validation_blocks_[static_cast<size_t>(block)], in_.model.stats(),
                    in_.model.options(), in_.model.positions());
        const Pass pass = in_.compute.pass(thread, weights_.dense.data(), nullptr);
        LossSums& of_block = sums[static_cast<size_t>(block)];
        in_.model.loss(pass, inputs, weights_, of_block, nullptr);
        if (in_.model.options().proxy_mode()) inputs.proxy.add_known(of_block);
      });
  LossTotals totals;
  for (const LossSums& block : sums) totals.add(block);
  return totals;
}

Losses Fit::validate() {
  LossTotals totals = validation_totals();
  int64_t unused = 0;
  totals.reduce(in_.world, &unused);
  Losses losses = totals.means();
  // A block left out would make the rest look good: such weights are never the best.
  if (totals.broken() > 0) losses.outcome = std::numeric_limits<double>::infinity();
  return losses;
}

bool Fit::patience_over(const Losses& validation) {
  if (!(validation.weight > 0)) {  // no validation rows: the last weights are the best known
    fetch();
    best_ = weights_;
    return false;
  }
  if (validation.watched() < progress_.best_loss) {
    fetch();
    progress_.best_loss = validation.watched();
    progress_.best_step = progress_.step;
    progress_.bad_validations = 0;
    best_ = weights_;
    return false;
  }
  return ++progress_.bad_validations >= in_.options.patience;
}

int64_t Fit::warmup_of_adversary(int64_t steps) const {
  return std::llround(in_.options.adversary_warmup * static_cast<double>(steps));
}

int64_t Fit::refit_steps() const {
  const bool has = in_.model.refit_last() > in_.model.refit_first();
  return has ? in_.options.refit_epochs * steps_per_epoch_ : 0;
}

int64_t Fit::phase_end() const {
  return refitting() ? progress_.refit_start + refit_steps() : epochs_ * steps_per_epoch_;
}

bool Fit::refits_on_device() const {
  return on_device_ && refit_steps() > 0 && refit_not_yet_on_device(in_.options).empty();
}

void Fit::leave_device() {
  if (on_device_) of_accelerator_ = on_device_->memory();
  on_device_.reset();
}

void Fit::begin_refit() {
  if (progress_.bad_validations > 0 && progress_.best_step < 0) {
    throw UserError(in_.name +
                    " fit: no validation had a finite loss, so nothing usable was learned: "
                    "lower --learning-rate, or look for extreme values with alm inspect");
  }
  weights_ = best_;
  state_->optimizer.reset_moments();
  progress_.refit_start = progress_.step;
  refits_on_device() ? on_device_->upload(weights_, state_->optimizer) : leave_device();
}

bool Fit::run(const std::function<void()>& checkpoint) {
  if (in_.timeline != nullptr) in_.timeline->follow(progress_.step);
  while (true) {
    const End end = run_phase(checkpoint);
    if (end == End::stopped) return false;
    if (refitting()) {
      fetch();
      leave_device();
      return true;
    }
    begin_refit();
  }
}

Fit::End Fit::run_phase(const std::function<void()>& checkpoint) {
  const bool refit = refitting();
  state_->refit = refit;
  const int64_t first = refit ? progress_.refit_start : 0;
  const int64_t total = phase_end() - first;
  if (progress_.step >= phase_end()) return End::phase;

  // The refit draws from epochs after the last of the training phase.
  const int64_t drawn = progress_.step - first;
  io::TrainStream::Options options;
  options.lanes = lanes_;
  options.first_epoch = (refit ? epochs_ : 0) + drawn / steps_per_epoch_;
  options.first_step = drawn % steps_per_epoch_;
  options.columns = model_columns(in_.model.options());
  options.filter = in_.training;
  options.threads = std::max<int64_t>(1, in_.compute.threads() / 2);
  io::TrainStream stream(in_.log, plan_, options);

  const std::string title = in_.name + (refit ? " second stage" : " fit");
  std::optional<Progress> bar;
  if (!in_.quiet) bar.emplace(title, total, "steps");
  Timer report_timer;
  int64_t report_samples = 0;
  int64_t skips = 0;
  StepResult result;
  int64_t known = progress_.step;  // steps whose results are
  const auto note = [&](StepResult of_next) {
    result = std::move(of_next);
    ++known;
    skips = result.skipped ? skips + 1 : 0;
    progress_.skipped += result.skipped;
    if (skips >= kSkipsAllowed) {
      in_.world.barrier("end of updates");  // on every rank: others may be at their last sum yet
      throw UserError(format(
          "%s: %lld updates in a row had a loss or gradient that is not finite (step %lld, first "
          "in %s): lower --learning-rate, or look for extreme values in the log",
          title.c_str(), static_cast<long long>(skips), static_cast<long long>(known),
          result.bad_tensor.empty() ? "the loss" : ("tensor " + result.bad_tensor).c_str()));
    }
    char losses[64];
    std::snprintf(losses, sizeof losses, refit ? "loss %.5f" : "loss M %.4f Y %.4f",
                  refit ? result.losses.second_stage : result.losses.mediator,
                  result.losses.outcome);
    if (bar) bar->update(known - first, losses);
  };
  while (progress_.step < phase_end()) {
    const int64_t step = progress_.step - first;  // within the phase, from 0
    const double peak = refit ? in_.options.refit_learning_rate : in_.options.learning_rate;
    const double decline = learning_rate_at(step, total, 1.0, in_.options.warmup_steps);
    const OptimizerSettings settings{peak * decline, in_.options.row_learning_rate * decline,
                                     refit ? 0 : in_.options.weight_decay};
    lambda_ = refit ? 0 : reversal_at(step, total, warmup_of_adversary(total));
    state_->reversal = static_cast<float>(lambda_ * in_.model.options().w_adversary);
    const bool late = in_.deadline > 0 && now_seconds() > in_.deadline;
    const std::span<const io::Journeys> blocks = [&] {
      const PhaseSpan phase(state_->phases, Phase::wait);
      return stream.next();
    }();
    const bool stop = stop_requested() || late;
    const bool last = progress_.step + 1 == phase_end();
    const bool due =
        !refit && (last || (step + 1) % std::min(steps_per_epoch_, kValidateEvery) == 0);
    const bool reported = due || last || (step + 1) % in_.options.report_every == 0;
    const int64_t every = in_.options.checkpoint_every;
    const bool kept = every > 0 && (progress_.step + 1) % every == 0 && !last;
    bool stopping = stop;
    if (on_device_) {
      {
        const PhaseSpan phase(state_->phases, Phase::reduce);
        stopping = any_rank(stop);
      }
      on_device_->begin(*state_, blocks, step + 1, settings);
      // The result of a step can wait until the next is begun, but where something hangs on it. A
      // step after one that was skipped may be the last that is allowed.
      const bool shown = in_.timeline != nullptr && in_.timeline->last_step();
      const bool wanted = reported || kept || stopping || skips > 0 || shown;
      while (on_device_->unread() > (wanted ? 0 : DeviceStep::kUnread)) {
        note(on_device_->result(*state_));
      }
    } else {
      note(train_step(*state_, blocks, step + 1, settings, stop));
      stopping = result.stop_requested;
    }
    critic_loss_ = NAN;
    if (refit && critic_) {
      const PhaseSpan phase(state_->phases, Phase::critic);
      critic_loss_ = critic_->take(*state_, blocks, step + 1, settings);
    }
    ++progress_.step;
    report_samples += batch_;

    Losses validation;
    bool over = false;
    if (due) {
      const PhaseSpan phase(state_->phases, Phase::validation);
      validation = validate();
      over = patience_over(validation);
    }
    if (reported) {
      report(result, due ? &validation : nullptr, report_timer.restart(), report_samples);
      report_samples = 0;
    }
    if (kept && !over && !stopping) {
      const PhaseSpan phase(state_->phases, Phase::checkpoint);
      fetch();
      checkpoint();
    }
    if (in_.timeline != nullptr) in_.timeline->end_step();
    if (over) {
      if (in_.quiet) return End::phase;
      log_info(format("%s: no gain in %lld validations; back to the best, step %lld", title.c_str(),
                      static_cast<long long>(in_.options.patience),
                      static_cast<long long>(progress_.best_step)));
      return End::phase;
    }
    if (stopping) {
      fetch();
      return End::stopped;
    }
  }
  return End::phase;
}

void Fit::report(const StepResult& result, const Losses* validation, double rate_seconds,
                 int64_t rate_samples) {
  const Phases& phases = state_->phases;
  const double total = std::max(phases.total(), 1e-9);
  const bool proxy = in_.model.options().proxy_mode();
  const int64_t step = progress_.step - (refitting() ? progress_.refit_start : 0);
  const int64_t total_steps = phase_end() - (refitting() ? progress_.refit_start : 0);
  // The rate that the step just taken used, as run_phase() worked it out.
  const double decline = learning_rate_at(step - 1, total_steps, 1.0, in_.options.warmup_steps);
  io::Json line{{"fit", in_.name},
                {"phase", refitting() ? "second_stage" : "train"},
                {"step", progress_.step},
                {"epoch", static_cast<double>(step) / static_cast<double>(steps_per_epoch_)},
                {"samples", progress_.step * batch_},
                {"losses", to_json(result.losses, proxy)}};
  if (validation != nullptr) {
    line["validation"] = to_json(*validation, proxy);
    line["validation_loss"] = io::number(validation->watched());
  }
  if (refitting() && critic_) line["critic_loss"] = io::number(critic_loss_);
  line["gradient_norm"] = io::number(result.gradient_norm);
  line["skipped"] = progress_.skipped;
  line["samples_per_s"] =
      io::number(static_cast<double>(rate_samples) / std::max(rate_seconds, 1e-9));
  line["loader_wait"] = phases.seconds(Phase::wait) / total;
  // A GPU's sums over ranks go on beside other work: those that do not are its reduce phase.
  line["comm_share"] = phases.seconds(on_device_ ? Phase::reduce : Phase::ranks) / total;
  for (size_t phase = 0; phase < kStepPhases; ++phase) {
    const double seconds = phases.seconds(static_cast<Phase>(phase));
    if (seconds > 0) line["phase_shares"][kPhaseNames[phase]] = seconds / total;
  }
  line["lr"] =
      (refitting() ? in_.options.refit_learning_rate : in_.options.learning_rate) * decline;
  line["lambda"] = lambda_;
  if (in_.options.pcgrad && !refitting()) line["trunk_cosine"] = io::number(result.trunk_cosine);
  in_.metrics.write(line);
  state_->phases.restart();
}

}  // namespace alm
