#include "engine/train/trainer.h"

#include <unistd.h>

#include <algorithm>
#include <numeric>

#include "engine/estimate/arm_estimates.h"
#include "engine/estimate/backdoor_fit.h"
#include "engine/estimate/estimate_memory.h"
#include "engine/estimate/few_steps.h"
#include "engine/train/fit.h"
#include "engine/train/run_checkpoint.h"
#include "engine/train/run_dir.h"
#include "io/digest.h"
#include "kernels/base/clock.h"
#include "kernels/base/hash.h"
#include "kernels/base/log.h"
#include "kernels/base/stop_flag.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

// Validation rows are kept in memory: more than this many tell the loss no better.
constexpr double kValidationRows = 200'000;

// Who is used for what. Pure functions of the user's hash.
struct Splits {
  double holdout;
  double validation;

  bool scored(uint64_t user) const { return holdout <= 0 || in_holdout(user, holdout); }
  bool fitted(uint64_t user) const { return holdout <= 0 || !in_holdout(user, holdout); }
  bool validating(uint64_t user) const { return in_validation(user, validation); }
};

struct FitUsers {
  io::UserFilter training;
  io::UserFilter validation;
};

FitUsers main_users(const Splits& splits) {
  return {[splits](uint64_t user) { return splits.fitted(user) && !splits.validating(user); },
          [splits](uint64_t user) { return splits.fitted(user) && splits.validating(user); }};
}
FitUsers half_users(const Splits& splits, int half) {
  const auto in_half = [splits, half](uint64_t user) {
    return splits.scored(user) && half_of(user) == half;
  };
  return {[=](uint64_t user) { return in_half(user) && !splits.validating(user); },
          [=](uint64_t user) { return in_half(user) && splits.validating(user); }};
}

// The tabular counterpart of weights_digest(): the counts are all that was learned.
std::string counts_digest(const std::vector<int64_t>& counts) {
  io::Sha256 digest;
  digest.update(std::as_bytes(std::span(counts)));
  return digest.hex();
}

int64_t total(const std::vector<int64_t>& rows) {
  return std::accumulate(rows.begin(), rows.end(), int64_t{0});
}

// The job while it runs.
class Trainer {
 public:
  explicit Trainer(TrainJob job)
      : job_(std::move(job)),
        store_(job_.run_dir, job_.world),
        splits_{job_.options.holdout, job_.options.validation} {}

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
      bundle_.tabular_counts = count_nuisances(
          job_.log, [&](uint64_t user) { return splits_.fitted(user); }, job_.compute, job_.world);
    } else {
      // One batch for all fits: a half's own would have fewer micro-blocks than there may be ranks.
      fit_options_ = job_.options;
      fit_options_.batch = resolved_batch(job_.options.batch, total(fit_rows_[0]));
      if (!run_fit(kMainFit, main_users(splits_), fit_rows_[0], job_.options.seed) ||
          !run_halves()) {
        return stopped("training");
      }
    }
    if (bundle_.backdoor.empty()) {
      FittedBackdoor fitted = fit_backdoor(
          job_.log, *bundle_.stats, [&](uint64_t user) { return splits_.fitted(user); },
          job_.compute, job_.world);
      bundle_.backdoor = std::move(fitted.coefficients);
      bundle_.backdoor_own = std::move(fitted.own);
    }
    save(nullptr, true);
    return finish();
  }

  void first_pass_and_bundle() {
    const std::optional<io::CheckpointBlobs> newest =
        job_.options.resume ? store_.load_newest() : std::nullopt;
    if (newest) check_same_run(*newest);
    const io::UserFilter training[] = {main_users(splits_).training,
                                       half_users(splits_, 0).training,
                                       half_users(splits_, 1).training};
    FirstPass pass = first_pass(
        job_.log, job_.options.model, training, [&](uint64_t user) { return splits_.scored(user); },
        job_.compute.threads(), job_.world);
    report_first_pass(pass);
    if (pass.scored_rows == 0) throw UserError(kNobodyScored);
    const double scored = static_cast<double>(pass.scored_rows) / static_cast<double>(pass.rows);
    const std::string advice = memory_advice(
        pass.stats.schema, static_cast<int64_t>(scored * static_cast<double>(job_.log->touches())),
        job_.compute.threads(), job_.world.local_size(),
        ::sysconf(_SC_PHYS_PAGES) * ::sysconf(_SC_PAGE_SIZE));
    if (!advice.empty()) log_warning(advice);
    const double expected = job_.options.validation * static_cast<double>(pass.rows);
    if (expected > kValidationRows) {
      log_info("validation: rows are many, a part of the validation users is enough");
      validation_thinning_ = kValidationRows / expected;
    }
    bundle_.stats = std::make_shared<FeatureStats>(std::move(pass.stats));
    bundle_.options = job_.options.model;
    bundle_.positions = job_.log->options().max_touches;
    bundle_.holdout = job_.options.holdout;
    bundle_.tabular = job_.options.tabular;
    bundle_.log_manifest = job_.log->manifest_hash();
    fit_rows_ = std::move(pass.fit_rows);
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
      bundle_.backdoor_own = std::move(saved.backdoor_own);
      bundle_.main_steps = saved.main_steps;
      newest->header.at("steps_before").get_to(steps_before_);
      metrics_->truncate(newest->header.at("metrics_bytes").get<int64_t>());
      log_info("resuming: " + newest->header.at("where").get<std::string>());
    } else {
      metrics_->truncate(0);  // of a run that was lost before its first checkpoint
    }
    job_.world.together("config.json", [&] {
      if (job_.world.rank() != 0) return;
      io::write_json_atomically(job_.run_dir + "/config.json", job_.config);
    });
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

  // The fits on the halves serve grouped_auuc alone: with too few users in one of them there are
  // none, and grouped_auuc says so.
  bool run_halves() {
    if (std::min(total(fit_rows_[1]), total(fit_rows_[2])) < kHalfRows) return true;
    for (int half = 0; half < 2; ++half) {
      const uint64_t seed = hash(job_.options.seed, Salt::half, static_cast<uint64_t>(half) + 1);
      const std::vector<int64_t>& rows = fit_rows_[static_cast<size_t>(half) + 1];
      if (!run_fit(half_fit(half), half_users(splits_, half), rows, seed)) return false;
    }
    return true;
  }

  bool run_fit(const std::string& name, FitUsers users, const std::vector<int64_t>& training_rows,
               uint64_t seed) {
    if (bundle_.fits.count(name) > 0) return true;  // resumed past it
    const bool main = name == kMainFit;
    if (validation_thinning_ < 1) {
      users.validation = [inner = users.validation, share = validation_thinning_](uint64_t user) {
        return inner(user) && unit(hash(user, Salt::validation, 1)) < share;
      };
    }
    Fit fit({.name = name,
             .log = job_.log,
             .model = *model_,
             .options = fit_options_,
             .compute = job_.compute,
             .world = job_.world,
             .metrics = *metrics_,
             .training = users.training,
             .validation = users.validation,
             .training_rows = training_rows,
             .seed = seed,
             .deadline = deadline_});
    if (resume_from_ && resume_from_->header.contains("fit") &&
        resume_from_->header["fit"]["name"] == name) {
      fit.load(*resume_from_);
    } else if (main && !job_.init.empty()) {
      job_.world.together(
          "--init", [&] { fit.start_from(newest_bundle(job_.init, "--init", false), kMainFit); });
    }
    resume_from_.reset();
    if (main) {
      log_info(format("batch %lld, %lld epochs of %lld steps, %lld dense parameters",
                      static_cast<long long>(fit.batch()), static_cast<long long>(fit.epochs()),
                      static_cast<long long>(fit.steps_per_epoch()),
                      static_cast<long long>(model_->layout().size())));
    }
    // A short run must not end inside its warm-up.
    const int64_t steps = fit.epochs() * fit.steps_per_epoch();
    fit_options_.warmup_steps = std::min(job_.options.warmup_steps, steps / 10);
    if (main && steps < kFewSteps) {
      log_warning(
          format("%lld steps are few to train a network: use a larger log, more --epochs, a "
                 "smaller --batch, or for arm logs --nuisance tabular",
                 static_cast<long long>(steps)));
    }
    const bool done = fit.run([&] { save(&fit, false); });
    if (!done) {
      save(&fit, false);
      return false;
    }
    if (main && job_.init.empty()) bundle_.main_steps = fit.training_steps();
    bundle_.fits[name] = fit.take_weights();
    steps_before_ += fit.step();
    save(nullptr, false);
    return true;
  }

  // COLLECTIVE.
  void save(const Fit* fit, bool complete) {
    const int64_t step = steps_before_ + (fit != nullptr ? fit->step() : 0);
    io::CheckpointBlobs checkpoint;
    if (job_.world.rank() == 0) {
      checkpoint.header["options"] = options_that_matter();
      checkpoint.header["complete"] = complete;
      checkpoint.header["metrics_bytes"] = metrics_->size();
      checkpoint.header["where"] = complete ? std::string("all fits done")
                                   : fit != nullptr
                                       ? format("fit %s, step %lld", fit->name().c_str(),
                                                static_cast<long long>(fit->step()))
                                       : format("%zu fits done", bundle_.fits.size());
      put_bundle(bundle_, checkpoint);
      if (fit != nullptr) fit->save(checkpoint);
      checkpoint.header["step"] = step;
      checkpoint.header["steps_before"] = steps_before_;
    }
    store_.save(step, checkpoint);
    has_checkpoint_ = true;
  }

  // What must be the same when the run goes on.
  io::Json options_that_matter() const {
    io::Json json = run_options(job_.options);
    // Levels round differently, which only bit-identical parameters notice.
    if (job_.options.deterministic) json["simd"] = job_.compute.ops().name;
    return json;
  }

  void check_same_run(const io::CheckpointBlobs& checkpoint) {
    const io::Json now = options_that_matter();
    const io::Json& then = checkpoint.header.at("options");
    for (const auto& [name, value] : now.items()) {
      if (then.contains(name) && then.at(name) != value) {
        throw UserError(
            format("--resume: --%s was %s in %s and is %s now: use the same value, or "
                   "another --out",
                   name.c_str(), io::json_text(then.at(name)).c_str(), job_.run_dir.c_str(),
                   io::json_text(value).c_str()));
      }
    }
    const io::Json& bundle = checkpoint.header.at("bundle");
    const int64_t positions = bundle.at("positions").get<int64_t>();
    if (positions != job_.log->options().max_touches) {
      throw UserError(
          format("--resume: --max-touches was %lld in %s and is %lld now: use the same value, or "
                 "another --out",
                 static_cast<long long>(positions), job_.run_dir.c_str(),
                 static_cast<long long>(job_.log->options().max_touches)));
    }
    const std::string trained = bundle.at("log_manifest").get<std::string>();
    if (trained != job_.log->manifest_hash()) {
      throw UserError(
          "--resume: " + job_.run_dir +
          " was trained on another log (its files differ): use that log, or another --out");
    }
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
    TrainResult result;
    result.finished = true;
    result.digest = bundle_.tabular ? counts_digest(bundle_.tabular_counts)
                                    : weights_digest(*model_, bundle_.fits.at(kMainFit));
    result.estimates = make_estimates({job_.log, bundle_, job_.compute, job_.world});
    job_.world.together("estimates.json", [&] {
      if (job_.world.rank() != 0) return;
      io::write_json_atomically(job_.run_dir + "/estimates.json", result.estimates.json);
      io::write_json_atomically(job_.run_dir + "/examples.json", result.estimates.examples);
    });
    return result;
  }

  // Training rows a half needs for nuisances of its own.
  static constexpr int64_t kHalfRows = 1500;

  TrainJob job_;
  TrainOptions fit_options_;  // of every fit: the options with the batch resolved
  RunCheckpoints store_;
  Splits splits_;
  std::unique_ptr<MetricsLog> metrics_;
  std::unique_ptr<Model> model_;
  Bundle bundle_;
  std::vector<std::vector<int64_t>> fit_rows_;  // [main, half 0, half 1][blocks] training rows
  int64_t steps_before_ = 0;
  bool has_checkpoint_ = false;
  double validation_thinning_ = 1;
  double deadline_ = 0;
  std::optional<io::CheckpointBlobs> resume_from_;
};

}  // namespace

TrainResult train(TrainJob job) {
  return Trainer(std::move(job)).run();
}

}  // namespace alm
