#include "engine/estimate/arm_nuisance_source.h"

namespace alm {

std::unique_ptr<const TabularNuisances> tabular_nuisances(const Bundle& bundle) {
  if (!bundle.tabular) return nullptr;
  const io::LogSchema& schema = bundle.stats->schema;
  auto counts = std::make_unique<TabularNuisances>(schema.clusters, schema.cat);
  counts->merge_packed(bundle.tabular_counts);
  counts->finish();
  return counts;
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
