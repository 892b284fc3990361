#include "launch/train_rules.h"

#include <string>

#include "kernels/base/check.h"

namespace alm {
namespace {

constexpr const char* kOfProxyMode[] = {
    "proxy-input",        "temperature", "adversary-warmup", "discriminator-steps",
    "proxy-weight",       "code-width",  "adversary-weight", "discriminator-hidden",
    "contrastive-weight", "match-width",
};

void check_proxy_mode(const Options& options, const TrainOptions& resolved) {
  if (!resolved.model.proxy_mode()) {
    for (const std::string name : kOfProxyMode) {
      if (!options.given(name)) continue;
      throw UserError(
          "--" + name +
          " is of --mediator proxy and does nothing without it: give that too, or leave "
          "this out");
    }
    return;
  }
  if (resolved.model.outcome_head == OutcomeHead::general) {
    throw UserError(
        "--outcome-head general sums over observed mediators: --mediator proxy has none; leave "
        "one of them out");
  }
  if (resolved.tabular) {
    throw UserError("--mediator proxy learns a network: it has no --nuisance tabular");
  }
  if (resolved.bootstrap_fits > 0) {
    throw UserError("--bootstrap-fits gives errors of effects: --mediator proxy has none");
  }
}

void check_timeline(const Options& options, const TrainOptions& resolved) {
  if (resolved.timeline.empty() && options.given("timeline-steps")) {
    throw UserError("--timeline-steps are those that --timeline FILE shows: name that too");
  }
  if (!resolved.timeline.empty() && resolved.tabular) {
    throw UserError("--timeline shows training steps: --nuisance tabular takes none; leave it out");
  }
}

}  // namespace

void check_together(const Options& options, const TrainOptions& resolved) {
  const bool init = !options.text("init").empty();
  if (resolved.folds > 1 && options.given("holdout")) {
    throw UserError("--folds scores every user by a fit made without them: leave --holdout out");
  }
  if (resolved.folds > 1 && init) {
    throw UserError(
        "--init with --folds: the run it starts from has seen the users that a fold must not see; "
        "leave one of them out");
  }
  if (resolved.bootstrap_fits == 1) {
    throw UserError("--bootstrap-fits 1: one replicate tells no error; 100 are a good number");
  }
  if (resolved.bootstrap_fits > 0 && init) {
    throw UserError(
        "--bootstrap-fits with --init: replicates start fresh and would tell the error of another "
        "fit than the one that is warm-started; leave one of them out");
  }
  check_proxy_mode(options, resolved);
  check_timeline(options, resolved);
}

void check_log_fits(const TrainOptions& options, const io::LogSchema& schema) {
  if (options.tmle && !schema.is_arm_log()) {
    throw UserError(
        "--tmle targets the arms of an arm log: journeys of many touches have no propensity to "
        "target with; leave it out");
  }
  if (options.model.general_head() && schema.is_arm_log()) {
    throw UserError(
        "--outcome-head is of sequence logs: the head of an arm log is always general; leave it "
        "out");
  }
}

}  // namespace alm
