#include "engine/estimate/proxy_sums.h"

#include <cmath>
#include <utility>

#include "kernels/base/logistic.h"

namespace alm {
namespace {

void add_code(const io::Journeys& from, const ProxyScores& scores, size_t journey, double weight,
              CodeMonitor& to) {
  const size_t begin = static_cast<size_t>(from.touch_begin[journey]);
  const size_t end = static_cast<size_t>(from.touch_begin[journey + 1]);
  if (begin == end) return;
  const bool outcome = from.outcome[journey] > 0;
  const size_t width = to.code.size();
  double loss = 0;
  for (size_t j = begin; j < end; ++j) {
    const double value = scores.value[j];
    loss += softplus(outcome ? -scores.discriminator[j] : scores.discriminator[j]);
    to.sums[CodeMonitor::kWeight].add(weight);
    to.sums[CodeMonitor::kValue].add(weight * value);
    to.sums[CodeMonitor::kValueSquares].add(weight * value * value);
    if (!scores.law.empty()) {
      to.sums[CodeMonitor::kOffLaw].add(weight * (value - scores.law[j]) * (value - scores.law[j]));
    }
    to.by_cluster.add(from.cluster[j], value, weight);
    for (size_t c = 0; c < width; ++c) {
      const double code = double{scores.code[j * width + c]};
      to.code[c].add(weight * code);
      to.code_squares[c].add(weight * code * code);
    }
    ++to.touches;
    const float match = from.match.empty() ? NAN : from.match[j];
    if (std::isnan(match)) continue;
    ++to.matches;
    to.matches_without_outcome += !outcome;
    to.sums[CodeMonitor::kMatch].add(weight * double{match});
    to.sums[CodeMonitor::kMatchWeight].add(weight);
    const float matched = match >= ProxyInputs::kMatched ? 1.0f : 0.0f;
    to.match_by_value.add(static_cast<float>(value), matched, weight);
    if (!scores.law.empty()) {
      to.match_by_law.add(static_cast<float>(scores.law[j]), matched, weight);
    }
  }
  to.sums[CodeMonitor::kDiscriminatorLoss].add(weight * loss / static_cast<double>(end - begin));
  to.sums[CodeMonitor::kJourneyWeight].add(weight);
  if (outcome) to.sums[CodeMonitor::kJourneyOutcome].add(weight);
}

}  // namespace

void CodeMonitor::merge(CodeMonitor&& other) {
  for (size_t at = 0; at < sums.size(); ++at) sums[at].add(other.sums[at]);
  touches += other.touches;
  matches += other.matches;
  matches_without_outcome += other.matches_without_outcome;
  by_cluster.merge(other.by_cluster);
  for (size_t c = 0; c < code.size(); ++c) {
    code[c].add(other.code[c]);
    code_squares[c].add(other.code_squares[c]);
  }
  match_by_value.merge(std::move(other.match_by_value));
  match_by_law.merge(std::move(other.match_by_law));
}

void CodeMonitor::reduce(Communicator& world) {
  world.all_reduce_sum(std::span<FixedSum>(sums), "code");
  int64_t counts[3] = {touches, matches, matches_without_outcome};
  world.all_reduce_sum(std::span<int64_t>(counts), "matches");
  touches = counts[0];
  matches = counts[1];
  matches_without_outcome = counts[2];
  by_cluster.reduce(world, "code by cluster");
  world.all_reduce_sum(std::span(code), "code");
  world.all_reduce_sum(std::span(code_squares), "code");
  match_by_value.reduce(world, "matches by the code");
  match_by_law.reduce(world, "matches without the code");
}

ProxySums::ProxySums(const io::LogSchema& schema, int64_t code_width, bool law,
                     int64_t expected_rows)
    : has_law(law),
      paper(schema.clusters, 1),
      do_plugin(schema.clusters, 1),
      ett_plugin(schema.clusters, 1),
      touched(schema.clusters),
      all(1, touched.groups()),
      backdoor(schema.clusters),
      users(schema.clusters),
      all_users(1),
      prediction(expected_rows),
      backdoor_prediction(expected_rows),
      gauc(expected_rows),
      paper_truth(schema.clusters),
      do_truth(schema.clusters),
      code(schema.clusters, code_width),
      seen_(static_cast<size_t>(schema.clusters)) {}

void ProxySums::add(const io::Journeys& from, const ProxyScores& scores,
                    const BackdoorPredictor* backdoor_model) {
  for (int64_t row = 0; row < from.size(); ++row) {
    const size_t i = static_cast<size_t>(row);
    const uint64_t user = from.user[i];
    const double weight = from.weight.empty() ? 1.0 : from.weight[i];
    const double outcome = from.outcome[i];
    ++journeys;
    all.add(0, user, outcome, weight);
    all_users.add(0, user);
    const float predicted = static_cast<float>(scores.predicted[i]);
    prediction.add(predicted, from.outcome[i], weight);
    gauc.add(user, predicted, from.outcome[i], static_cast<float>(weight));
    const double linear = backdoor_model ? backdoor_model->linear(from, row) : 0;
    if (backdoor_model) {
      backdoor_prediction.add(static_cast<float>(backdoor_model->model().mean(linear)),
                              from.outcome[i], weight);
    }
    const size_t begin = static_cast<size_t>(from.touch_begin[i]);
    const size_t end = static_cast<size_t>(from.touch_begin[i + 1]);
    for (size_t j = begin; j < end; ++j) {
      const int64_t cluster = from.cluster[j];
      paper.add(cluster, user, scores.paper[j], weight);
      users.add(cluster, user);
      if (seen_[static_cast<size_t>(cluster)] == 0) {
        seen_[static_cast<size_t>(cluster)] = 1;
        touched.add(cluster, user, outcome, weight);
      }
      if (backdoor_model) {
        backdoor.add(cluster, backdoor_model->model().removal_effect(linear, cluster), weight);
      }
      const bool truth = !from.delta_do.empty();
      if (truth) paper_truth.add(cluster, scores.paper[j], from.delta_do[j], weight);
      if (scores.law.empty()) continue;
      do_plugin.add(cluster, user, scores.do_effect[j], weight);
      ett_plugin.add(cluster, user, scores.ett[j], weight);
      if (truth) do_truth.add(cluster, scores.do_effect[j], from.delta_do[j], weight);
    }
    for (size_t j = begin; j < end; ++j) seen_[from.cluster[j]] = 0;
    add_code(from, scores, i, weight, code);
  }
}

void ProxySums::merge(ProxySums&& other) {
  journeys += other.journeys;
  paper.merge(other.paper);
  do_plugin.merge(other.do_plugin);
  ett_plugin.merge(other.ett_plugin);
  touched.merge(other.touched);
  all.merge(other.all);
  backdoor.merge(other.backdoor);
  users.merge(other.users);
  all_users.merge(other.all_users);
  training_users.merge(other.training_users);
  prediction.merge(std::move(other.prediction));
  backdoor_prediction.merge(std::move(other.backdoor_prediction));
  gauc.merge(std::move(other.gauc));
  paper_truth.merge(other.paper_truth);
  do_truth.merge(other.do_truth);
  code.merge(std::move(other.code));
}

void ProxySums::reduce(Communicator& world) {
  world.all_reduce_sum(std::span(&journeys, 1), "scored journeys");
  paper.reduce(world, "paper's scores");
  do_plugin.reduce(world, "do scores");
  ett_plugin.reduce(world, "ett scores");
  touched.reduce(world, "outcomes by cluster");
  all.reduce(world, "outcomes");
  backdoor.reduce(world, "back-door effects");
  users.reduce(world, "users by cluster");
  all_users.reduce(world, "users");
  training_users.reduce(world, "users in the training share");
  prediction.reduce(world, "prediction");
  backdoor_prediction.reduce(world, "back-door prediction");
  paper_truth.reduce(world, "truth");
  do_truth.reduce(world, "truth");
  code.reduce(world);
}

}  // namespace alm
