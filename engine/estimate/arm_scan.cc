#include "engine/estimate/arm_scan.h"

#include "engine/estimate/arm_nuisance_source.h"
#include "engine/estimate/fold_batches.h"
#include "engine/model/scan.h"

namespace alm {

void scan_arm_rows(
    const EstimateInputs& inputs, const io::UserFilter& filter, const std::string& title,
    const std::function<void(const io::Journeys&, size_t, const ArmNuisances&, int64_t)>& body) {
  const Bundle& bundle = inputs.bundle;
  const std::unique_ptr<Model> owner = bundle.make_model();
  const ArmModel& model = dynamic_cast<const ArmModel&>(*owner);
  const std::vector<std::unique_ptr<const TabularNuisances>> tabular = tabular_nuisances(bundle);
  struct Thread {
    explicit Thread(int64_t count) : folds(count) {}
    std::vector<std::unique_ptr<ArmNuisanceSource>> main;  // [folds]
    FoldBatches folds;
  };
  std::vector<Thread> threads;
  for (int64_t thread = 0; thread < inputs.compute.threads(); ++thread) {
    Thread& of = threads.emplace_back(bundle.folds);
    for (size_t fold = 0; fold < tabular.size(); ++fold) {
      of.main.push_back(std::make_unique<ArmNuisanceSource>(
          bundle, model, bundle.scoring_fit(static_cast<int64_t>(fold)), tabular[fold].get(),
          inputs.compute));
    }
  }
  scan_log(inputs.log, inputs.compute, inputs.world, filter, io::ColumnSet::model(), title,
           [&](const io::Journeys& journeys, int64_t thread) {
             Thread& of = threads[static_cast<size_t>(thread)];
             of.folds.each(
                 journeys, inputs.log->schema(), [&](size_t fold, const io::Journeys& part) {
                   of.main[fold]->prepare(part, thread);
                   for (int64_t row = 0; row < part.size(); ++row) {
                     body(part, static_cast<size_t>(row), of.main[fold]->at(part, row), thread);
                   }
                 });
           });
}

double predicted_outcome(const ArmNuisances& nuisances, const io::Journeys& journeys, size_t row) {
  const int64_t arm = journeys.cluster[row];
  const uint8_t mediator = mediator_of(journeys, row);
  return mediator == kMediatorMissing ? eta(nuisances, arm, arm) : nuisances.mu(mediator, arm);
}

}  // namespace alm
