#include "engine/estimate/prediction_only.h"

#include "engine/estimate/arm_nuisance_source.h"
#include "engine/estimate/arm_scan.h"
#include "engine/estimate/fold_batches.h"
#include "engine/estimate/proxy_scorer.h"
#include "engine/estimate/scored_rows.h"
#include "engine/estimate/sequence_scorer.h"
#include "engine/estimate/settled_outcome.h"
#include "engine/model/scan.h"

namespace alm {
namespace {

// E[Y | M, T, X] of the journeys of an arm log under one fit.
class ArmPredictor {
 public:
  ArmPredictor(const EstimateInputs& inputs, const ArmModel& model, const std::string& fit,
               const TabularNuisances* tabular)
      : source_(inputs.bundle, model, fit, tabular, inputs.compute) {}
  std::span<const double> predict(const io::Journeys& journeys, int64_t thread) {
    source_.prepare(journeys, thread);
    predicted_.clear();
    for (int64_t row = 0; row < journeys.size(); ++row) {
      predicted_.push_back(
          predicted_outcome(source_.at(journeys, row), journeys, static_cast<size_t>(row)));
    }
    return predicted_;
  }

 private:
  ArmNuisanceSource source_;
  std::vector<double> predicted_;
};

// COLLECTIVE. make(fold): a predictor of that fold's fit.
template <class Make>
void predict_all(const EstimateInputs& inputs, const ScoredUsers& users, const Make& make,
                 io::Json& json) {
  using Predictor = decltype(make(int64_t{0}));
  const io::LogSchema& schema = inputs.log->schema();
  struct Thread {
    FoldBatches folds;
    ScoredRows rows;
    std::vector<Predictor> of{};  // [folds]
  };
  std::vector<Thread> threads;
  for (int64_t thread = 0; thread < inputs.compute.threads(); ++thread) {
    Thread& fresh = threads.emplace_back(
        Thread{FoldBatches(inputs.bundle.folds),
               ScoredRows(schema, inputs.bundle.stats->outcome_mean, inputs.log->rows())});
    for (int64_t fold = 0; fold < inputs.bundle.folds; ++fold) fresh.of.push_back(make(fold));
  }
  const io::ReadReport report = scan_log(
      inputs.log, inputs.compute, inputs.world, users.filter, model_columns(inputs.bundle.options),
      "scoring", [&](const io::Journeys& journeys, int64_t thread) {
        Thread& mine = threads[static_cast<size_t>(thread)];
        mine.folds.each(journeys, schema, [&](size_t fold, const io::Journeys& part) {
          const std::span<const double> predicted = mine.of[fold]->predict(part, thread);
          for (int64_t row = 0; row < part.size(); ++row) {
            mine.rows.add(part, row, predicted[static_cast<size_t>(row)]);
          }
        });
        mine.rows.note_training(journeys, users);
      });
  ScoredRows& total = threads[0].rows;
  for (size_t thread = 1; thread < threads.size(); ++thread) {
    total.merge(std::move(threads[thread].rows));
  }
  total.reduce(inputs.world);
  total.put(*inputs.log, users, sum_over_ranks(report, inputs.world), json);
  std::vector<std::string> absent{"effects", "auuc", "grouped_auuc", "policy", "truth"};
  if (inputs.bundle.options.proxy_mode()) absent.push_back("scores");
  for (const std::string& block : absent) {
    json[block] = nullptr;
    json[block + "_why"] = kPredictionOnly;
  }
  json["identification"] = {{"mediator_variance_share", nullptr},
                            {"mediator_variance_share_why", kPredictionOnly},
                            {"warnings", io::Json::array()}};
  warn_of_settled_outcome(json);
}

}  // namespace

void estimate_prediction(const EstimateInputs& inputs, const ScoredUsers& users, io::Json& json) {
  const Bundle& bundle = inputs.bundle;
  const std::unique_ptr<Model> owner = bundle.make_model();
  const auto weights = [&](int64_t fold) -> const ModelWeights& {
    return bundle.fits.at(bundle.scoring_fit(fold));
  };
  if (inputs.log->schema().is_arm_log()) {
    const ArmModel& model = dynamic_cast<const ArmModel&>(*owner);
    const auto tabular = tabular_nuisances(bundle);
    predict_all(
        inputs, users,
        [&](int64_t fold) {
          return std::make_unique<ArmPredictor>(inputs, model, bundle.scoring_fit(fold),
                                                tabular[static_cast<size_t>(fold)].get());
        },
        json);
    return;
  }
  const AlmMta& model = dynamic_cast<const AlmMta&>(*owner);
  if (bundle.options.proxy_mode()) {
    predict_all(
        inputs, users,
        [&](int64_t fold) {
          return std::make_unique<ProxyScorer>(model, weights(fold), inputs.compute);
        },
        json);
  } else {
    predict_all(
        inputs, users,
        [&](int64_t fold) {
          return std::make_unique<SequenceScorer>(model, weights(fold), inputs.compute);
        },
        json);
  }
}

}  // namespace alm
