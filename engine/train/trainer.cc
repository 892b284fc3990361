// The main job from claiming its directory to its estimates, and its checkpoints.
#include "engine/train/trainer.h"

#include <sys/resource.h>

#include "engine/estimate/arm_estimates.h"
#include "engine/estimate/backdoor_fit.h"
#include "engine/train/control_runs.h"
#include "engine/train/run_dir.h"
#include "engine/train/same_run.h"
#include "engine/train/training_job.h"
#include "io/digest.h"
#include "kernels/base/clock.h"
#include "kernels/base/log.h"
#include "kernels/base/stop_flag.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

// `parameters sha256` of what was learned: weights, or the counts of --nuisance tabular. Of several
// folds the digest of their digests, one after the other.
std::string digest_of(const Bundle& bundle, const Model& model) {
  std::string all;
  for (int64_t fold = 0; fold < bundle.folds; ++fold) {
    if (bundle.tabular) {
      io::Sha256 counts;
      counts.update(std::as_bytes(std::span(bundle.tabular_counts[static_cast<size_t>(fold)])));
      all += counts.hex();
    } else {
      all += weights_digest(model, bundle.fits.at(bundle.scoring_fit(fold)));
    }
  }
  if (bundle.folds == 1) return all;
  io::Sha256 digest;
  digest.update(std::as_bytes(std::span(all)));
  return digest.hex();
}

// The most memory that this process has held so far.
int64_t peak_resident_bytes() {
  rusage use{};
  ::getrusage(RUSAGE_SELF, &use);
  return int64_t{use.ru_maxrss} * 1024;
}

}  // namespace

TrainResult Trainer::run() {
  claim_run_dir(job_.run_dir, job_.options.resume, job_.world);
  try {
    return run_claimed();
  } catch (const Stopped& stopped) {
    return this->stopped(stopped.what());
  }
}

TrainResult Trainer::run_claimed() {
  if (job_.options.max_minutes > 0) deadline_ = now_seconds() + 60 * job_.options.max_minutes;
  first_pass_and_bundle();
  if (job_.options.tabular) {
    bundle_.tabular_counts.clear();
    for (const io::UserFilter& users : plan_.scoring_users()) {
      bundle_.tabular_counts.push_back(
          count_nuisances(job_.log, users, job_.compute, job_.world, "counting"));
    }
  } else if (!run_fits()) {
    return stopped("training");
  }
  if (bundle_.backdoor.empty()) {
    for (const io::UserFilter& users : plan_.scoring_users()) {
      bundle_.backdoor.push_back(
          fit_backdoor(job_.log, *bundle_.stats, users, job_.compute, job_.world));
    }
  }
  fits_done_ = bundle_.replicates.size() >= wanted_replicates();
  save(nullptr);
  if (!run_replicates()) return stopped("bootstrap fits");
  return finish();
}

void Trainer::save(const Fit* fit) {
  const int64_t step = steps_before_ + (fit != nullptr ? fit->step() : 0);
  io::CheckpointBlobs checkpoint;
  if (job_.world.rank() == 0) {
    checkpoint.header["options"] = options_that_matter(job_);
    checkpoint.header["complete"] = fits_done_;
    checkpoint.header["metrics_bytes"] = metrics_->size();
    checkpoint.header["where"] =
        fit != nullptr
            ? format("fit %s, step %lld", fit->name().c_str(), static_cast<long long>(fit->step()))
        : fits_done_ ? std::string("all fits done")
        : bundle_.replicates.empty()
            ? format("%zu fits done", bundle_.fits.size())
            : format("%zu bootstrap replicates done", bundle_.replicates.size());
    put_bundle(bundle_, checkpoint);
    if (fit != nullptr) fit->save(checkpoint);
    checkpoint.header["step"] = step;
    checkpoint.header["steps_before"] = steps_before_;
  }
  store_.save(step, checkpoint);
  has_checkpoint_ = true;
}

TrainResult Trainer::stopped(const std::string& where) {
  if (has_checkpoint_) {
    log_info("stopped early with a good checkpoint (" + where +
             "); the same command with --resume goes on");
  } else {
    log_warning("stopped early (" + where +
                "), before there was a checkpoint: the same command starts anew");
  }
  return {};
}

TrainResult Trainer::finish() {
  int64_t peak = peak_resident_bytes();
  job_.world.all_reduce_max(std::span(&peak, 1), "peak of memory");
  job_.config["memory"]["host_peak"] = peak;
  write_config();
  TrainResult result;
  result.finished = true;
  result.digest = digest_of(bundle_, *model_);
  result.estimates = make_estimates({job_.log, bundle_, job_.compute, job_.world});
  const Device& trains = job_.accelerator != nullptr ? *job_.accelerator : job_.of_fits().device();
  if (&trains != &job_.compute.device() && job_.world.rank() == 0) {
    result.estimates.json["device"] =
        trains.describe() + ", estimates on " + job_.compute.device().describe();
  }
  write(result.estimates);
  if (job_.options.controls.empty()) return result;
  const bool done = run_controls(
      {job_, plan_, bundle_, result.estimates.json,
       [&](size_t at, const std::string& name, const std::shared_ptr<const io::Log>& log,
           const Model& model) { return run_control_fit(at, name, log, model); },
       [&] { save(nullptr); }});
  if (!done) return stopped("negative controls");
  if (job_.world.rank() == 0) {
    put_controls(bundle_.controls, true, result.estimates.json["identification"]);
  }
  write(result.estimates);
  return result;
}

void Trainer::write(const Estimates& estimates) {
  job_.world.together("estimates.json", [&] {
    if (job_.world.rank() != 0) return;
    io::write_json_atomically(job_.run_dir + "/estimates.json", estimates.json);
    io::write_json_atomically(job_.run_dir + "/examples.json", estimates.examples);
  });
}

TrainResult train(TrainJob job) {
  return Trainer(std::move(job)).run();
}

}  // namespace alm
