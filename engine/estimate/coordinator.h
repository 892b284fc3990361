// Estimates of a trained bundle on a log: every rank scores its share of the blocks into order-free
// sums, rank 0 turns the reduced sums into estimates.json. The numbers do not depend on ranks or
// threads.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/comm/communicator.h"
#include "engine/estimate/user_sums.h"
#include "engine/model/bundle.h"
#include "engine/model/compute.h"
#include "io/batch_stream.h"
#include "io/json.h"
#include "kernels/base/hash.h"

namespace alm {

struct EstimateInputs {
  std::shared_ptr<const io::Log> log;
  const Bundle& bundle;
  Compute& compute;
  Communicator& world;
  bool prediction_only = false;  // no effects, and nothing that is made of them
};

struct Estimates {
  io::Json json;      // estimates.json (contract 3), rank 0; empty elsewhere
  io::Json examples;  // a few journeys with the credit of their touches, for the report; rank 0
};

// COLLECTIVE. On the log the bundle was trained on (same manifest hash) the scored users, on any
// other log all users. UserError when the log's columns differ from the model's.
Estimates make_estimates(const EstimateInputs& inputs);

// The outcome head that makes the numbers of such a log.
const char* outcome_head_name(const ModelOptions& options, const io::LogSchema& schema);
// What do and ett mean on such a log.
const char* estimand_note(const ModelOptions& options, const io::LogSchema& schema);

// UserError when no journey is scored. Equal on every rank where the number is.
void check_scored(const io::Log& log, int64_t journeys);
// UserError when journeys were scored and none of them has a weight. Equal on every rank where the
// numbers are.
void check_weight(const io::Log& log, int64_t journeys, double weight);

// Why `identification.leak_test` is null.
inline constexpr const char* kNoLeakTest =
    "not made: it would test proxies against a latent mediator, and none is fitted";

// mediator_variance_share below which a warning is given, and below which there is no front-door
// value (contract 3, method 2.2).
inline constexpr double kLowVariation = 0.05;
inline constexpr double kNoVariation = 0.01;
// An array of sentences, empty when the share is fine.
io::Json mediator_variation_warnings(double share);

// Who is scored on this log, and how to say so.
struct ScoredUsers {
  io::UserFilter filter;
  bool same_log = true;
  bool in_sample = false;
  double holdout = 0;
  int64_t folds = 1;
  std::string note;

  // Whether this user of a log the model was not trained on would have been trained on.
  bool in_training_share(uint64_t user) const {
    return !same_log && folds == 1 && !in_holdout(user, holdout);
  }
};
ScoredUsers scored_users(const Bundle& bundle, const io::Log& log);

// `users`, `users_in_training_share` and what was met while reading, into estimates.json.
void put_reading(const ScoredUsers& scored, const DistinctUsers& users,
                 const DistinctUsers& training_users, const io::ReadReport& report, io::Json& json);

}  // namespace alm
