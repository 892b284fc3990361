#include "engine/estimate/arm_tmle.h"

#include <cmath>

#include "engine/estimate/arm_scan.h"
#include "engine/estimate/targeting.h"
#include "engine/estimate/thin_data.h"
#include "kernels/base/log.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

TargetingSums pass(const EstimateInputs& inputs, const ScoredUsers& users,
                   const TargetingSetting& setting, const Targeting& targeting) {
  std::vector<TargetingSums> sums(static_cast<size_t>(inputs.compute.threads()),
                                  TargetingSums(inputs.log->schema().clusters, setting));
  scan_arm_rows(
      inputs, users.filter, "",
      [&](const io::Journeys& journeys, size_t row, const ArmNuisances& nuisances, int64_t thread) {
        const uint8_t mediator = mediator_of(journeys, row);
        if (mediator == kMediatorMissing) return;
        sums[static_cast<size_t>(thread)].add(
            journeys.user[row],
            {static_cast<int64_t>(journeys.cluster[row]), mediator, journeys.outcome[row]},
            weight_of(journeys, row), nuisances, targeting);
      });
  for (size_t thread = 1; thread < sums.size(); ++thread) sums[0].merge(sums[thread]);
  sums[0].reduce(inputs.world);
  return std::move(sums[0]);
}

}  // namespace

void put_tmle(const EstimateInputs& inputs, const ScoredUsers& users, io::Json& effects) {
  const io::LogSchema& schema = inputs.log->schema();
  TargetingSetting setting;
  setting.reference = *schema.reference_cluster;
  setting.binary = schema.outcome == io::OutcomeKind::binary;
  if (!setting.binary) setting.scale = inputs.bundle.stats->outcome_sd;
  Progress bar("targeting", kTargetingPasses, "passes at most");
  int64_t begun = 0;
  const Targeted targeted = target(schema.clusters, [&](const Targeting& targeting) {
    bar.update(begun++);
    return pass(inputs, users, setting, targeting);
  });
  if (!targeted.done()) {
    log_warning(
        format("tmle: after %lld passes a mean that should be 0 is %.2g of the outcome's "
               "scale: compare its values with the one-step ones",
               static_cast<long long>(targeted.passes), targeted.sums.largest_score()));
  }
  for (io::Json& effect : effects) {
    io::Json& of = effect.at("do");
    if (!of.at("one_step").is_number()) {
      of["tmle"] = nullptr;
      of["tmle_why"] = "there is no one-step value either";
      continue;
    }
    const int64_t arm = effect.at("cluster").get<int64_t>();
    const MeanEstimate estimate = targeted.sums.effect(arm);
    io::Json json{{"value", io::number(estimate.mean)},
                  {"arm_mean", io::number(targeted.sums.arm_mean(arm))},
                  {"reference_mean", io::number(targeted.sums.arm_mean(setting.reference))},
                  {"passes", targeted.passes},
                  {"largest_score", io::number(targeted.sums.largest_score())}};
    const bool interval = of.at("ci95").is_array();
    put_interval(json, estimate, interval ? "" : of.value("ci95_why", std::string("no interval")),
                 "too few users to tell the error");
    of["tmle"] = json;
  }
}

}  // namespace alm
