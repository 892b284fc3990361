// The fits of a training job, its bootstrap replicates and the fits of its negative controls.
#include <algorithm>
#include <numeric>

#include "engine/estimate/few_steps.h"
#include "engine/train/bootstrap_fits.h"
#include "engine/train/run_dir.h"
#include "engine/train/training_job.h"
#include "kernels/base/log.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

int64_t total(const std::vector<int64_t>& rows) {
  return std::accumulate(rows.begin(), rows.end(), int64_t{0});
}

}  // namespace

bool Trainer::run_fits() {
  // One batch for all fits: a half's own would have fewer micro-blocks than there may be ranks.
  fit_options_ = job_.options;
  fit_options_.batch = resolved_batch(job_.options.batch, total(fit_rows_[0]));
  std::vector<int64_t> rows;
  for (const std::vector<int64_t>& of_fit : fit_rows_) rows.push_back(total(of_fit));
  for (const size_t at : fits_made(plan_, rows)) {
    if (!run_fit(plan_.fits[at], job_.log, *model_, fit_rows_[at], at == 0)) return false;
  }
  return true;
}

bool Trainer::run_fit(const PlannedFit& planned, const std::shared_ptr<const io::Log>& log,
                      const Model& model, const std::vector<int64_t>& training_rows, bool first) {
  const std::string& name = planned.name;
  if (bundle_.fits.count(name) > 0) return true;  // resumed past it
  std::optional<Timeline> timeline;
  if (first && !job_.options.timeline.empty()) {
    timeline.emplace(job_.options.timeline, job_.options.timeline_steps, job_.world);
  }
  Fit fit({.name = name,
           .log = log,
           .model = model,
           .options = fit_options_,
           .compute = job_.of_fits(),
           .world = job_.world,
           .metrics = *metrics_,
           .training = planned.training,
           .validation = thinned(planned.validation, validation_thinning_),
           .training_rows = training_rows,
           .seed = planned.seed,
           .with_critic = planned.scores,
           .deadline = deadline_,
           .accelerator = job_.accelerator,
           .accelerators = job_.accelerators,
           .timeline = timeline ? &*timeline : nullptr});
  if (resume_from_ && resume_from_->header.contains("fit") &&
      resume_from_->header["fit"]["name"] == name) {
    fit.load(*resume_from_);
  } else if (name == kMainFit && !job_.init.empty()) {
    job_.world.together(
        "--init", [&] { fit.start_from(newest_bundle(job_.init, "--init", false), kMainFit); });
  }
  resume_from_.reset();
  if (first) {
    log_info(format("batch %lld, %lld epochs of %lld steps, %lld dense parameters",
                    static_cast<long long>(fit.batch()), static_cast<long long>(fit.epochs()),
                    static_cast<long long>(fit.steps_per_epoch()),
                    static_cast<long long>(model_->layout().size())));
    const std::string not_yet = refit_not_yet_on_device(job_.options);
    if (job_.accelerator != nullptr && model.refit_last() > model.refit_first() &&
        !not_yet.empty()) {
      log_info("steps of the second stage are taken on the CPU: " + not_yet);
    }
  }
  const int64_t steps = fit.epochs() * fit.steps_per_epoch();
  fit_options_.warmup_steps = fit.warmup_of(job_.options.warmup_steps);
  if (first && steps < kFewSteps) {
    log_warning(
        format("%lld steps are few to train a network: use a larger log, more --epochs, a "
               "smaller --batch, or for arm logs --nuisance tabular",
               static_cast<long long>(steps)));
  }
  const bool done = fit.run([&] { save(&fit); });
  if (!done) save(&fit);
  if (timeline) timeline->end();
  if (!done) return false;
  if (first) note_memory(fit);
  if (planned.scores && job_.init.empty()) {
    const int64_t least = bundle_.main_steps;
    const int64_t taken = fit.training_steps();
    bundle_.main_steps = least < 0 ? taken : std::min(least, taken);
  }
  bundle_.fits[name] = fit.take_weights();
  steps_before_ += fit.step();
  save(nullptr);
  return true;
}

void Trainer::note_memory(const Fit& fit) {
  const MemoryUse host = fit.memory();
  job_.config["memory"]["host"] = to_json(host);
  std::string text =
      "memory of a rank after its first fit: " + human_bytes(static_cast<double>(host.total())) +
      " of the host";
  if (job_.accelerator != nullptr) {
    const MemoryUse device = fit.memory_of_accelerator();
    job_.config["memory"]["device"] = to_json(device);
    text += ", " + human_bytes(static_cast<double>(device.total())) + " of the GPU";
  }
  log_info(text);
}

bool Trainer::run_replicates() {
  if (bundle_.replicates.size() > wanted_replicates()) {  // of a run resumed with fewer
    bundle_.replicates.resize(wanted_replicates());
  }
  if (bundle_.replicates.size() == wanted_replicates()) return true;
  const BootstrapInputs inputs{job_,      fit_options_.batch,   bundle_,  *model_,
                               fit_rows_, validation_thinning_, deadline_};
  Progress bar("bootstrap", job_.options.bootstrap_fits, "replicates");
  while (bundle_.replicates.size() < wanted_replicates()) {
    const int64_t replicate = static_cast<int64_t>(bundle_.replicates.size());
    std::optional<std::vector<double>> effects = bootstrap_replicate(inputs, replicate);
    if (!effects) return false;
    bundle_.replicates.push_back(std::move(*effects));
    ++steps_before_;  // a checkpoint of its own
    fits_done_ = bundle_.replicates.size() == wanted_replicates();
    save(nullptr);
    bar.update(replicate + 1);
  }
  return true;
}

bool Trainer::run_control_fit(size_t at, const std::string& name,
                              const std::shared_ptr<const io::Log>& log, const Model& model) {
  PlannedFit planned = plan_.fits[at];
  planned.name = name;
  planned.scores = false;
  return run_fit(planned, log, model, fit_rows_[at], false);
}

}  // namespace alm
