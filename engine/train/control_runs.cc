#include "engine/train/control_runs.h"

#include <optional>

#include "engine/estimate/arm_estimates.h"
#include "engine/estimate/backdoor_fit.h"
#include "engine/estimate/control_verdict.h"
#include "engine/estimate/gains.h"
#include "engine/estimate/score_agreement.h"
#include "kernels/base/log.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

// Of the sweep, besides the run's own.
constexpr double kAdversaryWeights[] = {0, 0.1, 1};

ContextStratum stratum_by(std::shared_ptr<const BackdoorPredictor> backdoor) {
  return [backdoor](const io::Journeys& journeys, int64_t row) {
    const double linear = backdoor->linear(journeys, row);
    return context_level(backdoor->context_part(journeys, row, linear), backdoor->context_scale());
  };
}

// What estimates of a control need: its fits stand where the scoring ones would.
Bundle without_fits(const Bundle& bundle) {
  Bundle control;
  control.stats = bundle.stats;
  control.options = bundle.options;
  control.positions = bundle.positions;
  control.holdout = bundle.holdout;
  control.folds = bundle.folds;
  control.tabular = bundle.tabular;
  control.log_manifest = bundle.log_manifest;
  control.main_steps = bundle.main_steps;
  return control;
}

// The estimates of the scoring fits made once more on `log` by `options`; they are called `name`,
// or "name.fold0". Nothing when stopped.
std::optional<Estimates> estimates_again(const ControlJob& of, const std::string& name,
                                         const std::shared_ptr<const io::Log>& log,
                                         const ModelOptions& options) {
  const TrainJob& job = of.job;
  Bundle bundle = without_fits(of.bundle);
  bundle.options = options;
  const std::unique_ptr<Model> model = bundle.make_model();
  int64_t fold = 0;
  for (size_t at = 0; at < of.plan.fits.size(); ++at) {
    if (!of.plan.fits[at].scores) continue;
    const std::string scoring = bundle.scoring_fit(fold++);
    const std::string fit = scoring == kMainFit ? name : name + "." + scoring;
    if (bundle.tabular) {
      bundle.tabular_counts.push_back(
          count_nuisances(log, of.plan.scoring_users()[at], job.compute, job.world, "counting"));
    } else if (!of.fit(at, fit, log, *model)) {
      return std::nullopt;
    } else {
      bundle.fits[scoring] = of.bundle.fits.at(fit);
    }
  }
  return make_estimates({log, bundle, job.compute, job.world});
}

// Null when stopped; on rank 0 else the result.
io::Json shuffled(const ControlJob& of, Control control) {
  const TrainJob& job = of.job;
  const auto backdoor =
      std::make_shared<BackdoorPredictor>(*of.bundle.stats, of.bundle.backdoor[0].coefficients);
  const auto log =
      std::make_shared<ControlLog>(job.log, control, job.options.seed, stratum_by(backdoor));
  const ControlReach reach = log->reach(job.world);
  if (reach.moved == 0) {
    return control_not_made(control, control == Control::future_touches
                                         ? "no user has two journeys in a block of the log: sort "
                                           "it by user"
                                         : "nothing could be moved: every cluster is alone");
  }
  const std::optional<Estimates> found =
      estimates_again(of, control_name(control), log, of.bundle.options);
  if (!found) return nullptr;
  if (job.world.rank() != 0) return true;
  return control_result(control, found->json.at("effects"), reach);
}

// The proxies that a sweep leaves out, one at a time.
std::vector<int64_t> proxies_dropped(const ModelOptions& own, const io::LogSchema& schema) {
  std::vector<int64_t> columns;
  for (int64_t column = 0; column < schema.proxies; ++column) {
    if (reads_proxy(own, column, schema.proxy_leaky)) columns.push_back(column);
  }
  return columns;
}

std::vector<double> other_adversary_weights(const ModelOptions& own) {
  std::vector<double> weights;
  for (const double weight : kAdversaryWeights) {
    if (weight != own.w_adversary) weights.push_back(weight);
  }
  return weights;
}

// What a sweep changes.
struct Change {
  std::string what;
  std::shared_ptr<const io::Log> log;
  ModelOptions options;
};

std::vector<Change> changes(const ControlJob& of, Control control) {
  const io::LogSchema& schema = of.job.log->schema();
  const ModelOptions& own = of.bundle.options;
  std::vector<Change> all;
  if (control == Control::dropped_proxy) {
    for (const int64_t column : proxies_dropped(own, schema)) {
      const size_t at = static_cast<size_t>(column);
      all.push_back({at < schema.proxy_names.size() ? schema.proxy_names[at] : format("%zu", at),
                     std::make_shared<DroppedProxyLog>(of.job.log, column), own});
    }
    return all;
  }
  for (const double weight : other_adversary_weights(own)) {
    all.push_back({format("%g", weight), of.job.log, own});
    all.back().options.w_adversary = weight;
  }
  return all;
}

// As shuffled().
io::Json swept(const ControlJob& of, Control control) {
  std::vector<ScoreVariant> variants;
  for (const Change& change : changes(of, control)) {
    const std::string name = format("%s.%zu", control_name(control), variants.size());
    const std::optional<Estimates> found = estimates_again(of, name, change.log, change.options);
    if (!found) return nullptr;
    const bool told = of.job.world.rank() == 0;
    variants.push_back({change.what, told ? found->json.at("scores") : io::Json()});
  }
  if (of.job.world.rank() != 0) return true;
  return sweep_result(control, of.estimates.at("scores"), variants);
}

// Equal on every rank; null when stopped.
io::Json make_control(const ControlJob& of, Control control) {
  const std::string why = why_no_control(control, of.job.options.model, of.job.log->schema());
  if (!why.empty()) return control_not_made(control, why);
  const io::Json result = is_of_proxy_mode(control) ? swept(of, control) : shuffled(of, control);
  if (result.is_null()) return nullptr;
  return io::Json::parse(
      of.job.world.broadcast_string(io::json_text(result), 0, "result of a control"));
}

}  // namespace

int64_t control_repeats(Control control, const ModelOptions& options, const io::LogSchema& schema) {
  if (!why_no_control(control, options, schema).empty()) return 0;
  if (control == Control::dropped_proxy) return std::ssize(proxies_dropped(options, schema));
  if (control == Control::adversary_weight) return std::ssize(other_adversary_weights(options));
  return 1;
}

bool run_controls(const ControlJob& of) {
  const std::vector<Control>& controls = of.job.options.controls;
  for (size_t at = 0; at < controls.size(); ++at) {
    if (has_control(of.bundle.controls, control_name(controls[at]))) continue;
    log_info(format("negative control %zu of %zu: %s", at + 1, controls.size(),
                    control_name(controls[at])));
    const io::Json result = make_control(of, controls[at]);
    if (result.is_null()) return false;
    of.bundle.controls.push_back(result);
    std::erase_if(of.bundle.fits, [&](const auto& fit) {
      return fit.first.starts_with(control_name(controls[at]));
    });
    of.save();
  }
  return true;
}

}  // namespace alm
