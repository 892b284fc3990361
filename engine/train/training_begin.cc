// How a training job begins: the first pass over the log, and what a resumed run goes on from.
#include <unistd.h>

#include "engine/estimate/estimate_memory.h"
#include "engine/model/scan.h"
#include "engine/train/same_run.h"
#include "engine/train/training_job.h"
#include "kernels/base/log.h"
#include "kernels/base/text.h"

namespace alm {

void Trainer::first_pass_and_bundle() {
  const std::optional<io::CheckpointBlobs> newest =
      job_.options.resume ? store_.load_newest() : std::nullopt;
  if (newest) check_same_run(job_, *newest);
  std::vector<io::UserFilter> training{plan_.statistics};
  for (const PlannedFit& fit : plan_.fits) training.push_back(fit.training);
  FirstPass pass = first_pass(job_.log, job_.options.model, training, plan_.scored,
                              job_.compute.threads(), job_.world);
  report_first_pass(pass);
  check_scored(*job_.log, pass.scored_rows);
  check_columns_of_estimates();
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
  metrics_ = std::make_unique<MetricsLog>(job_.run_dir + "/metrics.jsonl", job_.world.rank() == 0);
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

void Trainer::check_columns_of_estimates() {
  const io::LogSchema& schema = job_.log->schema();
  if (!schema.truth && !schema.randomised) return;
  const io::ColumnSet columns{.outcome = false,
                              .weight = false,
                              .dense = false,
                              .cat = false,
                              .cluster = false,
                              .item = false,
                              .touch_time = false,
                              .touch_dense = false,
                              .touch_cat = false,
                              .mediator = false,
                              .randomised = schema.randomised,
                              .truth = schema.truth};
  const io::ReadReport report = sum_over_ranks(
      scan_blocks(job_.log, job_.compute.threads(), job_.world, {}, columns, "what estimates read",
                  [](int64_t, const std::vector<io::Journeys>&) {}),
      job_.world);
  if (report.bad_rows > 0) {
    log_warning("the scores leave out " + io::bad_rows_text(report));
  }
}

void Trainer::write_config() {
  job_.world.together("config.json", [&] {
    if (job_.world.rank() != 0) return;
    io::write_json_atomically(job_.run_dir + "/config.json", job_.config);
  });
}

void Trainer::report_first_pass(const FirstPass& pass) {
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

}  // namespace alm
