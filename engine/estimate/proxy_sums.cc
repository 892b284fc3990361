#include "engine/estimate/proxy_sums.h"
#include "engine/estimate/row_values.h"

#include <cmath>
#include <utility>

namespace alm {
ProxySums::ProxySums(const io::LogSchema& schema, int64_t code_width, bool law,
                     int64_t expected_rows)
    : scored(schema, 0, expected_rows),
      has_law(law),
      paper(schema.clusters, 1),
      do_plugin(schema.clusters, 1),
      ett_plugin(schema.clusters, 1),
      touched(schema.clusters),
      all(1, touched.groups()),
      backdoor(schema.clusters),
      users(schema.clusters),
      backdoor_prediction(expected_rows),
      paper_truth(schema.clusters),
      do_truth(schema.clusters),
      code(schema.clusters, code_width),
      seen_(static_cast<size_t>(schema.clusters)) {}

void ProxySums::add(const io::Journeys& from, const ProxyScores& scores,
                    const BackdoorPredictor* backdoor_model) {
  for (int64_t row = 0; row < from.size(); ++row) {
    const size_t i = static_cast<size_t>(row);
    const uint64_t user = from.user[i];
    const double weight = weight_of(from, i);
    const double outcome = from.outcome[i];
    scored.add(from, row, scores.predicted[i]);
    all.add(0, user, outcome, weight);
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
    code.add(from, scores, i, weight);
  }
}

void ProxySums::merge(ProxySums&& other) {
  scored.merge(std::move(other.scored));
  paper.merge(other.paper);
  do_plugin.merge(other.do_plugin);
  ett_plugin.merge(other.ett_plugin);
  touched.merge(other.touched);
  all.merge(other.all);
  backdoor.merge(other.backdoor);
  users.merge(other.users);
  backdoor_prediction.merge(std::move(other.backdoor_prediction));
  paper_truth.merge(other.paper_truth);
  do_truth.merge(other.do_truth);
  code.merge(std::move(other.code));
}

void ProxySums::reduce(Communicator& world) {
  scored.reduce(world);
  paper.reduce(world, "paper's scores");
  do_plugin.reduce(world, "do scores");
  ett_plugin.reduce(world, "ett scores");
  touched.reduce(world, "outcomes by cluster");
  all.reduce(world, "outcomes");
  backdoor.reduce(world, "back-door effects");
  users.reduce(world, "users by cluster");
  backdoor_prediction.reduce(world, "back-door prediction");
  paper_truth.reduce(world, "truth");
  do_truth.reduce(world, "truth");
  code.reduce(world);
}

}  // namespace alm
