#include "engine/train/run_checkpoint.h"

#include <algorithm>

#include "engine/model/bundle.h"
#include "kernels/base/log.h"

namespace alm {

std::string option_name(const std::string& member) {
  if (member == "w_second") return "second-stage-weight";
  std::string name = member.starts_with("w_") ? member.substr(2) + "-weight" : member;
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

void RunCheckpoints::save(int64_t step, const io::CheckpointBlobs& checkpoint) {
  std::string failure;
  if (world_.rank() == 0) {
    try {
      io::save_checkpoint(root_, step, checkpoint, 2, {});
    } catch (const std::exception& error) {
      failure = error.what();
    }
  }
  failure = world_.broadcast_string(failure, 0, "checkpoint written");
  if (!failure.empty()) throw MachineError(failure);
}

std::optional<io::CheckpointBlobs> RunCheckpoints::load_newest() {
  std::vector<std::string> notes;
  std::optional<io::CheckpointBlobs> newest;
  world_.together("newest checkpoint", [&] {
    if (world_.rank() == 0) newest = io::load_newest_checkpoint(root_, notes);
  });
  for (const std::string& note : notes) log_warning(note);
  const int64_t step = newest ? newest->header.at("step").get<int64_t>() : -1;
  const std::string agreed = world_.broadcast_string(std::to_string(step), 0, "newest checkpoint");
  if (agreed == "-1") return std::nullopt;
  world_.together("newest checkpoint", [&] {
    if (!newest) newest = io::load_checkpoint(root_, std::stoll(agreed));
  });
  return newest;
}

io::Json run_options(const TrainOptions& options) {
  io::Json json;
  const io::Json model = to_json(options.model);
  for (const auto& [member, value] : model.items()) {
    json[option_name(member)] = value;
  }
  const auto count = [](int64_t value) { return value == 0 ? io::Json("auto") : io::Json(value); };
  json["batch"] = count(options.batch);
  json["epochs"] = count(options.epochs);
  json["seed"] = options.seed;
  json["holdout"] = options.holdout;
  json["folds"] = options.folds;
  json["validation"] = options.validation;
  json["learning-rate"] = options.learning_rate;
  json["warmup-steps"] = options.warmup_steps;
  json["weight-decay"] = options.weight_decay;
  json["row-learning-rate"] = options.row_learning_rate;
  json["clip-norm"] = options.clip_norm;
  json["refit-epochs"] = options.refit_epochs;
  json["refit-learning-rate"] = options.refit_learning_rate;
  json["patience"] = options.patience;
  json["deterministic"] = options.deterministic;
  json["pcgrad"] = options.pcgrad;
  json["adversary-warmup"] = options.adversary_warmup;
  json["discriminator-steps"] = options.discriminator_steps;
  json["nuisance"] = options.tabular ? "tabular" : "network";
  return json;
}

}  // namespace alm
