#include "engine/train/bootstrap_fits.h"

#include "engine/estimate/arm_estimates.h"
#include "engine/estimate/bootstrap.h"
#include "engine/estimate/effect_replicates.h"
#include "engine/train/fit.h"
#include "engine/train/fit_plan.h"
#include "io/weighted_log.h"
#include "kernels/base/hash.h"

namespace alm {

uint64_t replicate_seed(uint64_t seed, int64_t replicate) {
  return hash(seed, Salt::bootstrap, static_cast<uint64_t>(replicate) + 1);
}

std::optional<std::vector<double>> bootstrap_replicate(const BootstrapInputs& inputs,
                                                       int64_t replicate) {
  const TrainJob& job = inputs.job;
  TrainOptions options = job.options;
  options.batch = inputs.batch;
  options.seed = replicate_seed(job.options.seed, replicate);
  const std::shared_ptr<const io::Log> log = io::weigh_users(
      job.log,
      [seed = options.seed](uint64_t user) { return static_cast<float>(user_weight(user, seed)); });
  const FitPlan plan = plan_fits(options);

  Bundle fitted;
  fitted.stats = inputs.bundle.stats;
  fitted.options = inputs.bundle.options;
  fitted.positions = inputs.bundle.positions;
  fitted.holdout = inputs.bundle.holdout;
  fitted.folds = inputs.bundle.folds;
  fitted.tabular = inputs.bundle.tabular;
  fitted.log_manifest = inputs.bundle.log_manifest;
  if (options.tabular) {
    for (const io::UserFilter& users : plan.scoring_users()) {
      fitted.tabular_counts.push_back(count_nuisances(log, users, job.compute, job.world, ""));
    }
    return replicate_effects({log, fitted, job.compute, job.world});
  }
  MetricsLog unwritten("", false);
  for (size_t at = 0; at < plan.fits.size(); ++at) {
    const PlannedFit& planned = plan.fits[at];
    if (!planned.scores) continue;
    Fit fit({.name = planned.name,
             .log = log,
             .model = inputs.model,
             .options = options,
             .compute = job.of_fits(),
             .world = job.world,
             .metrics = unwritten,
             .training = planned.training,
             .validation = thinned(planned.validation, inputs.validation_thinning),
             .training_rows = inputs.fit_rows[at],
             .seed = planned.seed,
             .deadline = inputs.deadline,
             .quiet = true,
             .accelerator = job.accelerator,
             .accelerators = job.accelerators});
    options.warmup_steps = fit.warmup_of(job.options.warmup_steps);
    if (!fit.run([] {})) return std::nullopt;
    fitted.fits[planned.name] = fit.take_weights();
  }
  return replicate_effects({log, fitted, job.compute, job.world});
}

}  // namespace alm
