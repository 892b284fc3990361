#include "engine/estimate/sequence_sums.h"
#include "engine/estimate/row_values.h"

#include <algorithm>
#include <cmath>

#include "engine/estimate/thin_data.h"

namespace alm {

SequenceSums::SequenceSums(const io::LogSchema& schema, OutcomeHead head, double outcome_mean,
                           int64_t expected_rows)
    : binary(schema.outcome == io::OutcomeKind::binary),
      general(head == OutcomeHead::general),
      scored(schema, outcome_mean, expected_rows),
      do_plugin(schema.clusters, 1),
      ett_plugin(schema.clusters, 1),
      one_step(schema.clusters),
      monte_carlo(schema.clusters),
      raw(schema.clusters),
      residual_weight(schema.clusters),
      clipped(schema.clusters),
      backdoor(schema.clusters),
      users(schema.clusters),
      observed_users(schema.clusters, kLeastUsers),
      truth(schema.clusters),
      mediator(schema.clusters),
      sensitivity(schema.clusters),
      protocol(schema) {}

void SequenceSums::add(const io::Journeys& from, const SequenceScores& scores,
                       const BackdoorValues* backdoor_values) {
  protocol.add(from, backdoor_values);
  // A journey ahead: sums by user group lie anywhere in many megabytes.
  const auto fetch = [&](int64_t row) {
    for (const uint32_t cluster : clusters_of(from, row)) {
      one_step.prefetch(cluster, from.user[static_cast<size_t>(row)]);
    }
  };
  for (int64_t row = 0; row < from.size(); ++row) {
    if (row + 1 < from.size()) fetch(row + 1);
    const size_t i = static_cast<size_t>(row);
    const uint64_t user = from.user[i];
    const double weight = weight_of(from, i);
    const double outcome = from.outcome[i];
    scored.add(from, row, scores.predicted[i]);
    sensitivity.add_residual(outcome - scores.predicted[i], weight);
    const size_t begin = static_cast<size_t>(from.touch_begin[i]);
    const size_t end = static_cast<size_t>(from.touch_begin[i + 1]);
    for (size_t j = begin; j < end; ++j) {
      const int64_t cluster = from.cluster[j];
      ett_plugin.add(cluster, user, scores.ett[j], weight);
      if (general) {
        monte_carlo.add(cluster, scores.ett_variance[j], weight * weight);
      } else {
        do_plugin.add(cluster, user, scores.do_effect[j], weight);
      }
      users.add(cluster, user);
      if (backdoor_values) backdoor.add(cluster, backdoor_values->removal[j], weight);
      if (!from.delta_do.empty()) {
        truth.add(cluster, scores.ranked()[j], general ? from.delta_ett[j] : from.delta_do[j],
                  weight);
      }
      if (std::isnan(scores.one_step[j])) {
        ++unobserved;
        continue;
      }
      one_step.add(cluster, user, scores.one_step[j], weight);
      if (weight > 0) observed_users.add(cluster, user);
      if (!std::isnan(scores.raw[j])) raw.add(cluster, scores.raw[j], weight);
      residual_weight.add(cluster, scores.weight[j] * weight);
      clipped.add(cluster, scores.clipped[j], weight);
      if (!from.delta_ett.empty()) truth.add_ett(cluster, from.delta_ett[j], weight);
      mediator.add(scores.p[j], from.mediator[j], weight);
      sensitivity.add(cluster, scores.p[j], scores.p[j], weight);
      mediator.add_observed(cluster, from.mediator[j], weight);
    }
  }
}

void SequenceSums::merge(SequenceSums&& other) {
  scored.merge(std::move(other.scored));
  unobserved += other.unobserved;
  do_plugin.merge(other.do_plugin);
  ett_plugin.merge(other.ett_plugin);
  one_step.merge(other.one_step);
  monte_carlo.merge(other.monte_carlo);
  raw.merge(other.raw);
  residual_weight.merge(other.residual_weight);
  clipped.merge(other.clipped);
  backdoor.merge(other.backdoor);
  users.merge(other.users);
  observed_users.merge(other.observed_users);
  truth.merge(other.truth);
  mediator.merge(other.mediator);
  sensitivity.merge(other.sensitivity);
  protocol.merge(other.protocol);
}

void SequenceSums::reduce(Communicator& world) {
  scored.reduce(world);
  world.all_reduce_sum(std::span(&unobserved, 1), "touches without mediator");
  do_plugin.reduce(world, "do plug-in");
  ett_plugin.reduce(world, "ett plug-in");
  one_step.reduce(world, "ett one-step");
  monte_carlo.reduce(world, "Monte Carlo variance");
  raw.reduce(world, "raw one-step");
  residual_weight.reduce(world, "residual weights");
  clipped.reduce(world, "clipped touches");
  backdoor.reduce(world, "back-door effects");
  users.reduce(world, "users by cluster");
  observed_users.reduce(world, "users by cluster");
  truth.reduce(world, "truth");
  mediator.reduce(world);
  sensitivity.reduce(world);
  protocol.reduce(world);
}

double SequenceSums::monte_carlo_error(int64_t cluster) const {
  const double variance = monte_carlo.sum[static_cast<size_t>(cluster)].value();
  return std::sqrt(std::max(variance, 0.0)) / ett_plugin.weight(cluster);
}

std::string SequenceSums::thin(int64_t cluster) const {
  return too_thin(one_step.touches(cluster), observed_users.at_least(cluster),
                  residual_weight.effective_sample(cluster), false);
}

}  // namespace alm
