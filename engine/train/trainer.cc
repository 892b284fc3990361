#include "engine/train/trainer.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>

#include "engine/estimate/arm_estimates.h"
#include "engine/estimate/backdoor_fit.h"
#include "engine/estimate/estimate_memory.h"
#include "engine/estimate/few_steps.h"
#include "engine/train/bootstrap_fits.h"
#include "engine/train/control_runs.h"
#include "engine/train/fit.h"
#include "engine/train/fit_plan.h"
#include "engine/train/run_checkpoint.h"
#include "engine/train/run_dir.h"
#include "engine/train/same_run.h"
#include "io/digest.h"
#include "kernels/base/clock.h"
#include "kernels/base/hash.h"
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

int64_t total(const std::vector<int64_t>& rows) {
  return std::accumulate(rows.begin(), rows.end(), int64_t{0});
}

// The job while it runs.
class Trainer {
 public:
  explicit Trainer(TrainJob job)
      : job_(std::move(job)), store_(job_.run_dir, job_.world), plan_(plan_fits(job_.options)) {}

  TrainResult run() {
    claim_run_dir(job_.run_dir, job_.options.resume, job_.world);
    try {
      return run_claimed();
    } catch (const Stopped& stopped) {
      return this->stopped(stopped.what());
    }
  }

 private:
  TrainResult run_claimed() {
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

  void first_pass_and_bundle() {
    const std::optional<io::CheckpointBlobs> newest =
        job_.options.resume ? store_.load_newest() : std::nullopt;
    if (newest) check_same_run(job_, *newest);
    std::vector<io::UserFilter> training{plan_.statistics};
    for (const PlannedFit& fit : plan_.fits) training.push_back(fit.training);
    FirstPass pass = first_pass(job_.log, job_.options.model, training, plan_.scored,
                                job_.compute.threads(), job_.world);
    report_first_pass(pass);
    check_scored(*job_.log, pass.scored_rows);
    const double scored = static_cast<double>(pass.scored_rows) / static_cast<double>(pass.rows);
    const std::string advice = memory_advice(
        pass.stats.schema, static_cast<int64_t>(scored * static_cast<double>(job_.log->touches())),
        job_.compute.threads(), job_.world.local_size(),
        ::sysconf(_SC_PHYS_PAGES) * ::sysconf(_SC_PAGE_SIZE));
    if (!advice.empty()) log_warning(advice);
    validation_thinning_ = kept_validation(job_.options.validation, pass.rows);
    if (validation_thinning_ < 1) {
      log_info("validation: rows are many, a part of the validation users is enough");
    }
    bundle_.stats = std::make_shared<FeatureStats>(std::move(pass.stats));
    bundle_.options = job_.options.model;
    bundle_.positions = job_.log->options().max_touches;
    bundle_.holdout = job_.options.holdout;
    bundle_.folds = job_.options.folds;
    bundle_.tabular = job_.options.tabular;
    bundle_.tmle = job_.options.tmle;
    bundle_.log_manifest = job_.log->manifest_hash();
    fit_rows_.assign(pass.fit_rows.begin() + 1, pass.fit_rows.end());
    model_ = bundle_.make_model();
    job_.config["log"] = {{"rows", pass.rows},
                          {"touches", job_.log->touches()},
                          {"manifest_hash", job_.log->manifest_hash()},
                          {"bad_rows", pass.report.bad_rows},
                          {"truncated_rows", pass.report.truncated_rows}};
    for (const io::BadKind& kind : pass.report.bad_kinds) {
      job_.config["log"]["bad_row_kinds"][kind.what] = kind.rows;
    }
    metrics_ =
        std::make_unique<MetricsLog>(job_.run_dir + "/metrics.jsonl", job_.world.rank() == 0);
    if (newest) {
      has_checkpoint_ = true;
      resume_from_ = *newest;
      Bundle saved = get_bundle(*newest);
      bundle_.fits = std::move(saved.fits);
      bundle_.backdoor = std::move(saved.backdoor);
      bundle_.main_steps = saved.main_steps;
      bundle_.replicates = std::move(saved.replicates);
      bundle_.controls = std::move(saved.controls);
      newest->header.at("steps_before").get_to(steps_before_);
      metrics_->truncate(newest->header.at("metrics_bytes").get<int64_t>());
      log_info("resuming: " + newest->header.at("where").get<std::string>());
    } else {
      if (job_.options.resume) log_info("resuming: no checkpoint yet, so from the start");
      metrics_->truncate(0);  // of a run that was lost before its first checkpoint
    }
    write_config();
  }

  // COLLECTIVE.
  void write_config() {
    job_.world.together("config.json", [&] {
      if (job_.world.rank() != 0) return;
      io::write_json_atomically(job_.run_dir + "/config.json", job_.config);
    });
  }

  // What rank 0 held in the fit, beside which `alm plan` can be laid.
  void note_memory(const Fit& fit) {
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

  void report_first_pass(const FirstPass& pass) {
    log_info(format("log: %s journeys, %s held out or scored, longest %lld touches",
                    with_commas(pass.rows).c_str(), with_commas(pass.scored_rows).c_str(),
                    static_cast<long long>(pass.stats.longest)));
    if (pass.report.bad_rows > 0) {
      log_warning("skipped " + io::bad_rows_text(pass.report));
    }
    if (pass.report.truncated_rows > 0) {
      log_warning(
          format("%lld journeys were longer than --max-touches: their latest touches were kept",
                 static_cast<long long>(pass.report.truncated_rows)));
    }
  }

  // False when stopped.
  bool run_fits() {
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

  bool run_fit(const PlannedFit& planned, const std::shared_ptr<const io::Log>& log,
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

  size_t wanted_replicates() const { return static_cast<size_t>(job_.options.bootstrap_fits); }

  // False when stopped: the replicates done so far are in the checkpoint, the one begun is not.
  bool run_replicates() {
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

  // A scoring fit once more, for a negative control. False when stopped.
  bool run_control_fit(size_t at, const std::string& name,
                       const std::shared_ptr<const io::Log>& log, const Model& model) {
    PlannedFit planned = plan_.fits[at];
    planned.name = name;
    planned.scores = false;
    return run_fit(planned, log, model, fit_rows_[at], false);
  }

  // COLLECTIVE.
  void save(const Fit* fit) {
    const int64_t step = steps_before_ + (fit != nullptr ? fit->step() : 0);
    io::CheckpointBlobs checkpoint;
    if (job_.world.rank() == 0) {
      checkpoint.header["options"] = options_that_matter(job_);
      checkpoint.header["complete"] = fits_done_;
      checkpoint.header["metrics_bytes"] = metrics_->size();
      checkpoint.header["where"] =
          fit != nullptr ? format("fit %s, step %lld", fit->name().c_str(),
                                  static_cast<long long>(fit->step()))
          : fits_done_   ? std::string("all fits done")
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

  TrainResult stopped(const std::string& where) {
    if (has_checkpoint_) {
      log_info("stopped early with a good checkpoint (" + where +
               "); the same command with --resume goes on");
    } else {
      log_warning("stopped early (" + where +
                  "), before there was a checkpoint: the same command starts anew");
    }
    return {};
  }

  TrainResult finish() {
    int64_t peak = peak_resident_bytes();
    job_.world.all_reduce_max(std::span(&peak, 1), "peak of memory");
    job_.config["memory"]["host_peak"] = peak;
    write_config();
    TrainResult result;
    result.finished = true;
    result.digest = digest_of(bundle_, *model_);
    result.estimates = make_estimates({job_.log, bundle_, job_.compute, job_.world});
    const Device& trains =
        job_.accelerator != nullptr ? *job_.accelerator : job_.of_fits().device();
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

  // COLLECTIVE.
  void write(const Estimates& estimates) {
    job_.world.together("estimates.json", [&] {
      if (job_.world.rank() != 0) return;
      io::write_json_atomically(job_.run_dir + "/estimates.json", estimates.json);
      io::write_json_atomically(job_.run_dir + "/examples.json", estimates.examples);
    });
  }

  TrainJob job_;
  TrainOptions fit_options_;  // of every fit: the options with the batch resolved
  RunCheckpoints store_;
  FitPlan plan_;
  std::unique_ptr<MetricsLog> metrics_;
  std::unique_ptr<Model> model_;
  Bundle bundle_;
  std::vector<std::vector<int64_t>> fit_rows_;  // [planned fits][blocks] training rows
  int64_t steps_before_ = 0;
  bool has_checkpoint_ = false;
  bool fits_done_ = false;  // all that estimates need, negative controls aside
  double validation_thinning_ = 1;
  double deadline_ = 0;
  std::optional<io::CheckpointBlobs> resume_from_;
};

}  // namespace

TrainResult train(TrainJob job) {
  return Trainer(std::move(job)).run();
}

}  // namespace alm
