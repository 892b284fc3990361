#include "engine/estimate/coordinator.h"

#include "engine/estimate/arm_estimates.h"
#include "engine/estimate/control.h"
#include "engine/estimate/effect_replicates.h"
#include "engine/estimate/prediction_only.h"
#include "engine/estimate/proxy_estimates.h"
#include "engine/estimate/sequence_estimates.h"
#include "kernels/base/log.h"
#include "kernels/base/text.h"

namespace alm {

const char* outcome_head_name(const ModelOptions& options, const io::LogSchema& schema) {
  return schema.is_arm_log() ? "general" : outcome_head_name(options.outcome_head);
}

const char* estimand_note(const ModelOptions& options, const io::LogSchema& schema) {
  if (options.proxy_mode()) {
    return "scores, not effects. paper: g(X,T) - g(X,T without the touch), touches and code "
           "recomputed, as the paper defines its uplift: a contrast of predictions, which is not "
           "deconfounded. do, ett: the formulas of observed mode with the code in the place of the "
           "mediator, where the code reads proxies.";
  }
  if (schema.is_arm_log()) {
    return "do: mean over all scored journeys of the outcome under arm k minus under the reference "
           "arm, "
           "through the mediator; ett: the same for the journeys of arm k (replacement by the "
           "reference "
           "arm). With a direct effect of the arm on the outcome both are the mediated part only.";
  }
  if (options.general_head()) {
    return "ett: fall of the outcome when the touch is deleted, for users who really had these "
           "touches, other exposures held fixed, through the mediator; by an outcome head that "
           "assumes nothing of how mediators, touches and context act together. It gives no do: "
           "clusters are ranked, exposures chosen and the truth of a synthetic log compared by "
           "ett.plugin. With a direct effect of touches it is the mediated part only.";
  }
  return "do: fall of the outcome when the touch is deleted and the user's hidden disposition is "
         "averaged "
         "over; ett: the same for users who really had these touches. Other exposures are held "
         "fixed; "
         "both run through the mediator. With a direct effect of touches they are the mediated "
         "part only.";
}

void check_scored(const io::Log& log, int64_t journeys) {
  if (journeys > 0) return;
  throw UserError(io::title_of(log) +
                  ": no journey belongs to a scored user: raise --holdout or use a larger log");
}

void check_weight(const io::Log& log, int64_t journeys, double weight) {
  if (journeys == 0 || weight > 0) return;
  throw UserError(
      format("%s: /journey/weight is 0 in all %lld scored journeys: there is nothing to average; "
             "write the inverse of the share of such journeys that was kept, or leave the data set "
             "out",
             io::title_of(log).c_str(), static_cast<long long>(journeys)));
}

io::Json mediator_variation_warnings(double share) {
  io::Json warnings = io::Json::array();
  if (share < kNoVariation) {
    warnings.push_back(format(
        "the mediator hardly varies once touches and context are known (share %.4f, below %.2f): "
        "front-door adjustment is impossible and no value is given",
        share, kNoVariation));
  } else if (share < kLowVariation) {
    warnings.push_back(format(
        "the mediator varies little once touches and context are known (share %.4f, below %.2f): "
        "front-door values rest on few journeys",
        share, kLowVariation));
  }
  return warnings;
}

ScoredUsers scored_users(const Bundle& bundle, const io::Log& log) {
  ScoredUsers users;
  users.same_log = log.manifest_hash() == bundle.log_manifest;
  users.holdout = bundle.holdout;
  users.folds = bundle.folds;
  if (bundle.folds > 1) {
    users.filter = [](uint64_t) { return true; };
    users.note = format("all users, each by the one of %lld fits that was made without them",
                        static_cast<long long>(bundle.folds));
    return users;
  }
  if (!users.same_log) {
    users.filter = [](uint64_t) { return true; };
    users.note = "all users of a log the model was not trained on";
    return users;
  }
  if (bundle.holdout <= 0) {
    users.filter = [](uint64_t) { return true; };
    users.in_sample = true;
    users.note = "all users, in-sample: the fit saw them";
    return users;
  }
  users.filter = [share = bundle.holdout](uint64_t user) { return in_holdout(user, share); };
  users.note = format("held-out users (%g of all), used for no fit", bundle.holdout);
  return users;
}

void put_reading(const ScoredUsers& scored, const DistinctUsers& users,
                 const DistinctUsers& training_users, const io::ReadReport& report,
                 io::Json& json) {
  json["users"] = users.count(0);
  json["users_exact"] = users.exact(0);
  json["users_in_training_share"] = nullptr;
  if (scored.same_log) {
    json["users_in_training_share_why"] = "this is the log the model was trained on";
  } else if (scored.folds > 1) {
    json["users_in_training_share_why"] = "the fit that scores a user was made without that id";
  } else {
    json["users_in_training_share"] = training_users.count(0);
  }
  json["bad_rows"] = report.bad_rows;
  if (report.bad_rows > 0) {
    json["first_bad_row"] = report.first_bad_row;
    for (const io::BadKind& kind : report.bad_kinds) json["bad_row_kinds"][kind.what] = kind.rows;
  }
  json["truncated_rows"] = report.truncated_rows;
}

Estimates make_estimates(const EstimateInputs& inputs) {
  const io::LogSchema& schema = inputs.log->schema();
  check_same_features(inputs.bundle.options, inputs.bundle.stats->schema, schema);
  const ScoredUsers users = scored_users(inputs.bundle, *inputs.log);
  if (!users.same_log) log_info("scoring all users: this is not the log the model was trained on");

  Estimates estimates;
  io::Json& json = estimates.json;
  json["schema"] = "alm-estimates/1";
  json["samples"] = 0;
  json["users"] = 0;
  json["scored"] = users.note;
  json["in_sample"] = users.in_sample;
  json["outcome"] = schema.outcome == io::OutcomeKind::binary ? "binary" : "continuous";
  json["log_kind"] = schema.is_arm_log() ? "arm" : "sequence";
  json["world_size"] = inputs.world.size();
  json["device"] = inputs.compute.device().describe();
  json["mediator_mode"] = mediator_mode_name(inputs.bundle.options.mediator);
  json["outcome_head"] = outcome_head_name(inputs.bundle.options, schema);
  json["nuisance"] = inputs.bundle.tabular ? "tabular" : "network";
  json["estimand_note"] = estimand_note(inputs.bundle.options, schema);
  if (inputs.prediction_only) {
    estimate_prediction(inputs, users, json);
  } else if (schema.is_arm_log()) {
    estimate_arm_log(inputs, users, estimates);
  } else if (inputs.bundle.options.proxy_mode()) {
    estimate_proxy_log(inputs, users, estimates);
  } else {
    estimate_sequence_log(inputs, users, estimates);
  }
  if (!inputs.prediction_only) {
    if (inputs.world.rank() == 0) put_replicates(inputs.bundle, users.same_log, json);
    put_controls(inputs.bundle.controls, users.same_log, json["identification"]);
  }
  check_scored(*inputs.log, json["samples"]);
  if (inputs.world.rank() != 0) return {};
  return estimates;
}

}  // namespace alm
