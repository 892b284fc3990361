#include "engine/estimate/scored_rows.h"

#include <algorithm>

#include "engine/estimate/row_values.h"

namespace alm {

ScoredRows::ScoredRows(const io::LogSchema& schema, double outcome_mean, int64_t expected_rows)
    : binary_(schema.outcome == io::OutcomeKind::binary),
      prediction_(expected_rows),
      regression_(outcome_mean),
      by_user_(expected_rows) {}

void ScoredRows::add(const io::Journeys& journeys, int64_t row, double predicted) {
  const size_t i = static_cast<size_t>(row);
  const uint64_t user = journeys.user[i];
  const float outcome = journeys.outcome[i];
  const double weight = weight_of(journeys, i);
  ++rows_;
  weight_.add(weight);
  users_.add(0, user);
  if (!binary_) {
    regression_.add(predicted, outcome, weight);
    return;
  }
  const float probability = static_cast<float>(std::clamp(predicted, 0.0, 1.0));
  prediction_.add(probability, outcome, weight);
  by_user_.add(user, probability, outcome, static_cast<float>(weight));
}

void ScoredRows::note_training(const io::Journeys& journeys, const ScoredUsers& users) {
  for (const uint64_t user : journeys.user) {
    if (users.in_training_share(user)) training_users_.add(0, user);
  }
}

void ScoredRows::merge(ScoredRows&& other) {
  rows_ += other.rows_;
  weight_.add(other.weight_);
  users_.merge(other.users_);
  training_users_.merge(other.training_users_);
  prediction_.merge(std::move(other.prediction_));
  regression_.merge(other.regression_);
  by_user_.merge(std::move(other.by_user_));
}

void ScoredRows::reduce(Communicator& world) {
  world.all_reduce_sum(std::span(&rows_, 1), "scored journeys");
  world.all_reduce_sum(std::span(&weight_, 1), "scored journeys");
  users_.reduce(world, "users");
  training_users_.reduce(world, "users in the training share");
  prediction_.reduce(world, "prediction");
  regression_.reduce(world, "prediction");
  gauc_ = by_user_.finish(world, "user AUC");
}

void ScoredRows::put(const io::Log& log, const ScoredUsers& users, const io::ReadReport& report,
                     io::Json& json) const {
  check_weight(log, rows_, weight());
  json["samples"] = rows_;
  put_reading(users, users_, training_users_, report, json);
  json["prediction"] = binary_ ? to_json(prediction_.finish()) : to_json(regression_.finish());
  if (binary_) add_to_json(gauc_, json["prediction"]);
}

}  // namespace alm
