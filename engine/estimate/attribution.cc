#include "engine/estimate/attribution.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <numeric>
#include <utility>

#include "engine/estimate/arm_nuisance_source.h"
#include "engine/estimate/fold_batches.h"
#include "engine/estimate/mediator_variation.h"
#include "engine/estimate/proxy_scorer.h"
#include "engine/estimate/row_values.h"
#include "engine/estimate/sequence_scorer.h"
#include "engine/estimate/user_sums.h"
#include "engine/model/scan.h"
#include "io/attribution_writer.h"
#include "kernels/base/hash.h"

namespace alm {
namespace {

using Rows = std::vector<io::AttributionRow>;

// Back into the order of the log.
void sort(Rows& rows) {
  std::sort(rows.begin(), rows.end(),
            [](const io::AttributionRow& left, const io::AttributionRow& right) {
              return std::pair(left.row, left.position) < std::pair(right.row, right.position);
            });
}

float or_none(const std::vector<double>& values, size_t at) {
  return values.empty() ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(values[at]);
}

// Turns micro-batches into rows. Thread-safe for different threads.
class TouchScorer {
 public:
  virtual ~TouchScorer() = default;
  // Appends the rows of all touches of journeys that the fit of `fold` scores.
  virtual void score(const io::Journeys& journeys, size_t fold, int64_t thread, Rows& rows,
                     MediatorVariation& variation) = 0;
};

class SequenceTouchScorer final : public TouchScorer {
 public:
  SequenceTouchScorer(const EstimateInputs& inputs, const Model& model)
      : scorers_(static_cast<size_t>(inputs.compute.threads())) {
    for (std::vector<SequenceScorer>& of : scorers_) {
      for (int64_t fold = 0; fold < inputs.bundle.folds; ++fold) {
        of.emplace_back(dynamic_cast<const AlmMta&>(model),
                        inputs.bundle.fits.at(inputs.bundle.scoring_fit(fold)), inputs.compute);
      }
    }
  }

  void score(const io::Journeys& journeys, size_t fold, int64_t thread, Rows& rows,
             MediatorVariation& variation) override {
    SequenceScorer& scorer = scorers_[static_cast<size_t>(thread)][fold];
    const SequenceScores& scores = scorer.score(journeys, thread);
    for (size_t i = 0; i < static_cast<size_t>(journeys.size()); ++i) {
      const size_t begin = static_cast<size_t>(journeys.touch_begin[i]);
      const size_t end = static_cast<size_t>(journeys.touch_begin[i + 1]);
      const std::vector<double> credit = scorer.shapley(journeys, static_cast<int64_t>(i));
      const double total = std::accumulate(credit.begin(), credit.end(), 0.0);
      for (size_t j = begin; j < end; ++j) {
        rows.push_back({.row = journeys.row[i],
                        .user = journeys.user[i],
                        .position = static_cast<uint32_t>(j - begin),
                        .cluster = journeys.cluster[j],
                        .do_effect = or_none(scores.do_effect, j),
                        .ett = static_cast<float>(scores.ett[j]),
                        .credit = static_cast<float>(credit[j - begin]),
                        .share = static_cast<float>(total != 0 ? credit[j - begin] / total : 0)});
        const uint8_t mediator = mediator_of(journeys, j);
        if (mediator != kMediatorMissing) {
          variation.add(scores.p[j], mediator, weight_of(journeys, i));
          variation.add_observed(journeys.cluster[j], mediator, weight_of(journeys, i));
        }
      }
    }
  }

 private:
  std::vector<std::vector<SequenceScorer>> scorers_;  // [threads][folds]
};

class ProxyTouchScorer final : public TouchScorer {
 public:
  ProxyTouchScorer(const EstimateInputs& inputs, const Model& model)
      : scorers_(static_cast<size_t>(inputs.compute.threads())) {
    for (std::vector<ProxyScorer>& of : scorers_) {
      for (int64_t fold = 0; fold < inputs.bundle.folds; ++fold) {
        of.emplace_back(dynamic_cast<const AlmMta&>(model),
                        inputs.bundle.fits.at(inputs.bundle.scoring_fit(fold)), inputs.compute);
      }
    }
  }

  void score(const io::Journeys& journeys, size_t fold, int64_t thread, Rows& rows,
             MediatorVariation&) override {
    const ProxyScores& scores = scorers_[static_cast<size_t>(thread)][fold].score(journeys, thread);
    for (size_t i = 0; i < static_cast<size_t>(journeys.size()); ++i) {
      const size_t begin = static_cast<size_t>(journeys.touch_begin[i]);
      const size_t end = static_cast<size_t>(journeys.touch_begin[i + 1]);
      double total = 0;
      for (size_t j = begin; j < end; ++j) total += scores.paper[j];
      for (size_t j = begin; j < end; ++j) {
        rows.push_back({.row = journeys.row[i],
                        .user = journeys.user[i],
                        .position = static_cast<uint32_t>(j - begin),
                        .cluster = journeys.cluster[j],
                        .do_effect = or_none(scores.do_effect, j),
                        .ett = or_none(scores.ett, j),
                        .credit = static_cast<float>(scores.paper[j]),
                        .share = static_cast<float>(total != 0 ? scores.paper[j] / total : 0)});
      }
    }
  }

 private:
  std::vector<std::vector<ProxyScorer>> scorers_;  // [threads][folds]
};

class ArmTouchScorer final : public TouchScorer {
 public:
  ArmTouchScorer(const EstimateInputs& inputs, const Model& model)
      : reference_(*inputs.log->schema().reference_cluster),
        tabular_(tabular_nuisances(inputs.bundle)),
        sources_(static_cast<size_t>(inputs.compute.threads())) {
    for (std::vector<ArmNuisanceSource>& of : sources_) {
      for (size_t fold = 0; fold < tabular_.size(); ++fold) {
        of.emplace_back(inputs.bundle, dynamic_cast<const ArmModel&>(model),
                        inputs.bundle.scoring_fit(static_cast<int64_t>(fold)), tabular_[fold].get(),
                        inputs.compute);
      }
    }
  }

  void score(const io::Journeys& journeys, size_t fold, int64_t thread, Rows& rows,
             MediatorVariation& variation) override {
    ArmNuisanceSource& source = sources_[static_cast<size_t>(thread)][fold];
    source.prepare(journeys, thread);
    for (int64_t row = 0; row < journeys.size(); ++row) {
      const size_t i = static_cast<size_t>(row);
      const ArmNuisances nuisances = source.at(journeys, row);
      const int64_t arm = journeys.cluster[i];
      const double effect = theta(nuisances, arm) - theta(nuisances, reference_);
      rows.push_back({.row = journeys.row[i],
                      .user = journeys.user[i],
                      .cluster = journeys.cluster[i],
                      .do_effect = static_cast<float>(effect),
                      .ett = static_cast<float>(replacement_plugin(nuisances, arm, reference_)),
                      .credit = static_cast<float>(effect),
                      .share = effect != 0 ? 1.0f : 0.0f});
      const double p = nuisances.p(1, arm);
      variation.add(p, p, weight_of(journeys, i));
      const uint8_t mediator = mediator_of(journeys, i);
      if (mediator != kMediatorMissing) {
        variation.add_observed(arm, mediator, weight_of(journeys, i));
      }
    }
  }

 private:
  int64_t reference_;
  std::vector<std::unique_ptr<const TabularNuisances>> tabular_;  // [folds]
  std::vector<std::vector<ArmNuisanceSource>> sources_;           // [threads][folds]
};

// Where the rows of a rank go: rank 0 writes the output itself, the others set theirs aside.
class RankOutput {
 public:
  RankOutput(const EstimateInputs& inputs, const std::string& out, const std::string& scored)
      : out_(out), world_(inputs.world) {
    if (world_.rank() > 0) {
      part_ = std::make_unique<io::AttributionPart>(part_path(world_.rank()));
      return;
    }
    const io::LogSchema& schema = inputs.log->schema();
    const ModelOptions& options = inputs.bundle.options;
    writer_ = io::make_attribution_writer(
        out, inputs.log->touches(), options.proxy_mode() ? "paper" : "shapley",
        {{"estimand_note", estimand_note(options, schema)},
         {"mediator_mode", mediator_mode_name(options.mediator)},
         {"outcome_head", outcome_head_name(options, schema)},
         {"nuisance", inputs.bundle.tabular ? "tabular" : "network"},
         {"scored", scored},
         {"log_manifest", inputs.log->manifest_hash()}},
        schema.cluster_names);
  }
  void append(const Rows& rows) {
    rows_ += static_cast<int64_t>(rows.size());
    part_ ? part_->append(rows) : writer_->append(rows);
  }
  // COLLECTIVE. Ranks hold consecutive blocks, so their rows follow each other.
  void join() {
    world_.together("attribution", [&] {
      if (part_) part_->close();
    });
    std::vector<int64_t> rows(static_cast<size_t>(world_.size()));
    rows[static_cast<size_t>(world_.rank())] = rows_;
    world_.all_reduce_sum(std::span(rows), "attributed touches");
    world_.together("attribution", [&] {  // after which no part is needed
      if (!writer_) return;
      for (int64_t rank = 1; rank < world_.size(); ++rank) {
        io::read_attribution_part(
            part_path(rank), rows[static_cast<size_t>(rank)],
            [&](std::span<const io::AttributionRow> run) { writer_->append(run); });
      }
      writer_->finish();
    });
  }

 private:
  std::string part_path(int64_t rank) const { return out_ + ".part-" + std::to_string(rank); }

  std::string out_;
  Communicator& world_;
  std::unique_ptr<io::AttributionWriter> writer_;
  std::unique_ptr<io::AttributionPart> part_;
  int64_t rows_ = 0;
};

void check_not_of_the_log(const std::string& out, const io::Log& log) {
  for (const io::LogFile& file : log.files()) {
    std::error_code error;
    if (std::filesystem::equivalent(out, file.path, error)) {
      throw UserError(out + ": is a file of the log; write the attribution elsewhere");
    }
  }
}

}  // namespace

Attribution attribute(const EstimateInputs& inputs, const std::string& out) {
  io::check_attribution_path(out);
  check_not_of_the_log(out, *inputs.log);
  const io::LogSchema& schema = inputs.log->schema();
  check_same_features(inputs.bundle.options, inputs.bundle.stats->schema, schema);
  const ScoredUsers scored = scored_users(inputs.bundle, *inputs.log);
  const std::unique_ptr<Model> model = inputs.bundle.make_model();
  std::unique_ptr<TouchScorer> scorer;
  if (schema.is_arm_log()) {
    scorer = std::make_unique<ArmTouchScorer>(inputs, *model);
  } else if (inputs.bundle.options.proxy_mode()) {
    scorer = std::make_unique<ProxyTouchScorer>(inputs, *model);
  } else {
    scorer = std::make_unique<SequenceTouchScorer>(inputs, *model);
  }
  std::unique_ptr<RankOutput> output;
  inputs.world.together("attribution",
                        [&] { output = std::make_unique<RankOutput>(inputs, out, scored.note); });

  constexpr int64_t kAll = 0;
  constexpr int64_t kTraining = 1;
  DistinctUsers users(2);
  Attribution result;
  std::vector<MediatorVariation> variation(static_cast<size_t>(inputs.compute.threads()),
                                           MediatorVariation(schema.clusters));
  std::vector<Rows> rows;  // of the micro-batches of a block, kept for their memory
  std::vector<FoldBatches> folds(static_cast<size_t>(inputs.compute.threads()),
                                 FoldBatches(inputs.bundle.folds));
  const io::ReadReport report = scan_blocks(
      inputs.log, std::max<int64_t>(1, inputs.compute.threads() / 2), inputs.world, scored.filter,
      model_columns(inputs.bundle.options), "attributing",
      [&](int64_t, const std::vector<io::Journeys>& batches) {
        if (rows.size() < batches.size()) rows.resize(batches.size());
        inputs.compute.pool().parallel_for(
            static_cast<int64_t>(batches.size()), [&](int64_t batch, int64_t thread) {
              const size_t at = static_cast<size_t>(batch);
              const size_t mine = static_cast<size_t>(thread);
              rows[at].clear();
              folds[mine].each(batches[at], schema, [&](size_t fold, const io::Journeys& part) {
                scorer->score(part, fold, thread, rows[at], variation[mine]);
              });
              if (inputs.bundle.folds > 1) sort(rows[at]);
            });
        for (size_t at = 0; at < batches.size(); ++at) {
          output->append(rows[at]);
          result.journeys += batches[at].size();
          result.touches += batches[at].touches();
          for (const uint64_t user : batches[at].user) {
            users.add(kAll, user);
            if (scored.in_training_share(user)) users.add(kTraining, user);
          }
        }
      });

  int64_t counts[2] = {result.journeys, result.touches};
  inputs.world.all_reduce_sum(std::span<int64_t>(counts), "attributed journeys");
  result.journeys = counts[0];
  result.touches = counts[1];
  users.reduce(inputs.world, "attributed users");
  result.users = users.count(kAll);
  result.training_users = users.count(kTraining);
  for (size_t thread = 1; thread < variation.size(); ++thread) {
    variation[0].merge(variation[thread]);
  }
  variation[0].reduce(inputs.world);
  result.scores = inputs.bundle.options.proxy_mode();
  result.mediator_variance_share = variation[0].share();
  result.report = sum_over_ranks(report, inputs.world);

  check_scored(*inputs.log, result.journeys);
  const io::Json warnings = mediator_variation_warnings(result.mediator_variance_share);
  if (!result.scores && result.mediator_variance_share < kNoVariation) {
    throw UserError(warnings.at(0).get<std::string>());
  }
  output->join();
  return result;
}

}  // namespace alm
