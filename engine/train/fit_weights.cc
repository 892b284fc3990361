// How the weights of a fit come and go: warm start, checkpoints, the result.
#include <map>
#include <vector>

#include "engine/model/bundle.h"
#include "engine/train/fit.h"
#include "engine/train/run_checkpoint.h"

namespace alm {
namespace {

// Of the sums of a step that others depend on: an array of them.
io::Json sizes_of(const StepState& state) {
  io::Json json = {state.dense.sizes()};
  if (state.of_mediator) json.push_back(state.of_mediator->sizes());
  return json;
}

void set_sizes(const io::Json& json, StepState& state) {
  const auto sizes = json.get<std::vector<std::map<int64_t, float>>>();
  if (!sizes.empty()) state.dense.set_sizes(sizes[0]);
  if (state.of_mediator && sizes.size() > 1) state.of_mediator->set_sizes(sizes[1]);
}

}  // namespace

ModelWeights Fit::take_weights() {
  return std::move(refit_steps() > 0 ? weights_ : best_);
}

void Fit::start_from(const Bundle& bundle, const std::string& fit) {
  check_same_features(bundle.options, bundle.stats->schema, in_.log->schema());
  const io::Json there = to_json(bundle.options);
  const io::Json here = to_json(in_.model.options());
  for (const auto& [name, value] : here.items()) {
    // What losses weigh may change; what the parameters are may not.
    const bool of_losses =
        name.starts_with("w_") || name == "temperature" || name == "critic_top_k";
    if (of_losses || there.at(name) == value) continue;
    throw UserError(
        format("--init: that run's model is another: --%s was %s there and is %s here; use the "
               "same options, or another run",
               option_name(name).c_str(), io::json_text(there.at(name)).c_str(),
               io::json_text(value).c_str()));
  }
  const auto found = bundle.fits.find(fit);
  if (found == bundle.fits.end() || found->second.dense.size() != weights_.dense.size()) {
    throw UserError(
        "--init: that run's model has other sizes than this one: it was trained with another "
        "--max-touches or --nuisance; use the same, or another run");
  }
  weights_ = found->second;
  best_ = weights_;
  if (on_device_) on_device_->upload(weights_, state_->optimizer);
}

void Fit::fetch() {
  if (!on_device_) return;
  refitting() ? on_device_->download_refit(weights_, state_->optimizer)
              : on_device_->download(weights_, state_->optimizer);
}

void Fit::save(io::CheckpointBlobs& checkpoint) const {
  checkpoint.header["fit"] = {{"name", in_.name},
                              {"step", progress_.step},
                              {"refit_start", progress_.refit_start},
                              {"best_loss", progress_.best_loss},
                              {"best_step", progress_.best_step},
                              {"bad_validations", progress_.bad_validations},
                              {"skipped", progress_.skipped},
                              {"gradient_sizes", sizes_of(*state_)}};
  put_weights(weights_, "now", checkpoint);
  put_weights(best_, "best", checkpoint);
  put_blob(state_->optimizer.first_moment, "first_moment", checkpoint);
  put_blob(state_->optimizer.second_moment, "second_moment", checkpoint);
}

void Fit::load(const io::CheckpointBlobs& checkpoint) {
  const io::Json& json = checkpoint.header.at("fit");
  json.at("step").get_to(progress_.step);
  json.at("refit_start").get_to(progress_.refit_start);
  json.at("best_loss").get_to(progress_.best_loss);
  json.at("best_step").get_to(progress_.best_step);
  json.at("bad_validations").get_to(progress_.bad_validations);
  json.at("skipped").get_to(progress_.skipped);
  set_sizes(json.value("gradient_sizes", io::Json::array()), *state_);
  weights_ = get_weights(in_.model, "now", checkpoint);
  best_ = get_weights(in_.model, "best", checkpoint);
  const int64_t size = in_.model.layout().size();
  state_->optimizer.first_moment = get_blob<float>("first_moment", checkpoint, size);
  state_->optimizer.second_moment = get_blob<float>("second_moment", checkpoint, size);
  if (refitting() && !refits_on_device()) leave_device();
  if (on_device_) on_device_->upload(weights_, state_->optimizer);
}

}  // namespace alm
