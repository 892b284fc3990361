#include "engine/estimate/arm_nuisance_source.h"

#include <cmath>

#include "kernels/base/check.h"

namespace alm {
namespace {

// Predictions beyond this are no predictions, and too large for the order-free sums.
constexpr double kLargestPrediction = 0x1p28;

}  // namespace

std::vector<std::unique_ptr<const TabularNuisances>> tabular_nuisances(const Bundle& bundle) {
  std::vector<std::unique_ptr<const TabularNuisances>> of(static_cast<size_t>(bundle.folds));
  if (!bundle.tabular) return of;
  const io::LogSchema& schema = bundle.stats->schema;
  for (size_t fold = 0; fold < of.size(); ++fold) {
    auto counts = std::make_unique<TabularNuisances>(schema.clusters, schema.cat);
    counts->merge_packed(bundle.tabular_counts[fold]);
    counts->finish();
    of[fold] = std::move(counts);
  }
  return of;
}

ArmNuisanceSource::ArmNuisanceSource(const Bundle& bundle, const ArmModel& model,
                                     const std::string& fit, const TabularNuisances* tabular,
                                     Compute& compute)
    : model_(model),
      weights_(tabular != nullptr ? nullptr : &bundle.fits.at(fit)),
      tabular_(tabular),
      compute_(compute) {}

void ArmNuisanceSource::prepare(const io::Journeys& journeys, int64_t thread) {
  if (tabular_ != nullptr || journeys.size() == 0) return;
  Inputs& inputs = compute_.thread(thread).inputs;
  inputs.fill(journeys, model_.stats(), model_.options(), model_.positions());
  const Pass pass = compute_.pass(thread, weights_->dense.data(), nullptr);
  const ArmModel::Nuisances raw = model_.nuisances(pass, inputs, *weights_);
  mediator_.assign(raw.mediator.begin(), raw.mediator.end());
  outcome_[0].assign(raw.outcome[0].begin(), raw.outcome[0].end());
  outcome_[1].assign(raw.outcome[1].begin(), raw.outcome[1].end());
  propensity_.assign(raw.propensity.begin(), raw.propensity.end());
  for (size_t at = 0; at < mediator_.size(); ++at) {
    // NaN in one head comes from the context that all share; only outcomes have no bounds.
    if (std::fabs(outcome_[0][at]) < kLargestPrediction &&
        std::fabs(outcome_[1][at]) < kLargestPrediction && std::isfinite(mediator_[at]) &&
        std::isfinite(propensity_[at])) {
      continue;
    }
    throw UserError(format(
        "row %lld of the log: the model's scores are not finite or beyond measure; its values "
        "lie too far from those it was trained on: look for extreme values in /journey/dense",
        static_cast<long long>(journeys.row[at / static_cast<size_t>(model_.arms())])));
  }
}

ArmNuisances ArmNuisanceSource::at(const io::Journeys& journeys, int64_t row) const {
  if (tabular_ != nullptr) {
    const size_t columns = static_cast<size_t>(model_.stats().schema.cat);
    return tabular_->at({journeys.cat.data() + static_cast<size_t>(row) * columns, columns});
  }
  const size_t arms = static_cast<size_t>(model_.arms());
  const size_t from = static_cast<size_t>(row) * arms;
  const auto slice = [&](const std::vector<double>& of) {
    return std::span(of).subspan(from, arms);
  };
  return {slice(mediator_), slice(outcome_[0]), slice(outcome_[1]), slice(propensity_)};
}

}  // namespace alm
