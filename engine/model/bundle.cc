#include "engine/model/bundle.h"

#include <cstring>
#include <set>
#include <string_view>

#include "kernels/base/text.h"

namespace alm {

// Modes are kept by name.
NLOHMANN_JSON_SERIALIZE_ENUM(MediatorMode,
                             {{MediatorMode::observed, "observed"}, {MediatorMode::proxy, "proxy"}})
NLOHMANN_JSON_SERIALIZE_ENUM(ProxyInput, {{ProxyInput::none, "none"},
                                          {ProxyInput::clean, "clean"},
                                          {ProxyInput::all, "all"}})
NLOHMANN_JSON_SERIALIZE_ENUM(OutcomeHead, {{OutcomeHead::separable, "separable"},
                                           {OutcomeHead::general, "general"}})

namespace {

io::Json to_json(const ColumnScales& scales) {
  return {{"mean", scales.mean},
          {"inverse_sd", scales.inverse_sd},
          {"missing_slot", scales.missing_slot},
          {"slots", scales.slots}};
}

ColumnScales scales_from_json(const io::Json& json) {
  ColumnScales scales;
  json.at("mean").get_to(scales.mean);
  json.at("inverse_sd").get_to(scales.inverse_sd);
  json.at("missing_slot").get_to(scales.missing_slot);
  json.at("slots").get_to(scales.slots);
  return scales;
}

// Calls visit(name, member) for every plain member of a schema.
template <class Schema, class Visit>
void visit_schema(Schema& schema, Visit visit) {
  visit("clusters", schema.clusters);
  visit("block_rows", schema.block_rows);
  visit("dense", schema.dense);
  visit("cat", schema.cat);
  visit("touch_dense", schema.touch_dense);
  visit("touch_cat", schema.touch_cat);
  visit("proxies", schema.proxies);
  visit("time", schema.time);
  visit("outcome_time", schema.outcome_time);
  visit("weight", schema.weight);
  visit("item", schema.item);
  visit("touch_time", schema.touch_time);
  visit("mediator", schema.mediator);
  visit("mediator_time", schema.mediator_time);
  visit("match", schema.match);
  visit("propensity", schema.propensity);
  visit("randomised", schema.randomised);
  visit("truth", schema.truth);
  visit("dense_names", schema.dense_names);
  visit("cat_names", schema.cat_names);
  visit("touch_dense_names", schema.touch_dense_names);
  visit("touch_cat_names", schema.touch_cat_names);
  visit("cluster_names", schema.cluster_names);
  visit("proxy_names", schema.proxy_names);
  visit("proxy_leaky", schema.proxy_leaky);
}

template <class Options, class Visit>
void visit_options(Options& options, Visit visit) {
  visit("cat_width", options.cat_width);
  visit("cat_rows", options.cat_rows);
  visit("item_width", options.item_width);
  visit("item_rows", options.item_rows);
  visit("item_admission", options.item_admission);
  visit("cluster_width", options.cluster_width);
  visit("position_width", options.position_width);
  visit("context_hidden", options.context_hidden);
  visit("context_width", options.context_width);
  visit("touch_hidden", options.touch_hidden);
  visit("touch_width", options.touch_width);
  visit("heads", options.heads);
  visit("head_hidden", options.head_hidden);
  visit("confounding_hidden", options.confounding_hidden);
  visit("w_mediator", options.w_mediator);
  visit("w_outcome", options.w_outcome);
  visit("w_second", options.w_second);
  visit("outcome_head", options.outcome_head);
  visit("critic", options.critic);
  visit("critic_width", options.critic_width);
  visit("critic_top_k", options.critic_top_k);
  visit("mediator", options.mediator);
  visit("proxy_input", options.proxy_input);
  visit("code_width", options.code_width);
  visit("discriminator_hidden", options.discriminator_hidden);
  visit("match_width", options.match_width);
  visit("w_proxy", options.w_proxy);
  visit("w_adversary", options.w_adversary);
  visit("w_contrastive", options.w_contrastive);
  visit("temperature", options.temperature);
}

// Blob of a scoring fit.
std::string of_fold(const std::string& name, size_t fold) {
  return fold == 0 ? name : name + "." + std::to_string(fold);
}

void put_table(const RowTable& table, const std::string& prefix, io::CheckpointBlobs& checkpoint) {
  if (table.rows == 0) return;
  put_blob(table.weights, prefix + "." + table.name, checkpoint);
  put_blob(table.state, prefix + "." + table.name + "_state", checkpoint);
}

void get_table(RowTable& table, const std::string& prefix, const io::CheckpointBlobs& checkpoint) {
  if (table.rows == 0) return;
  table.allocate();
  const std::span<float> weights = table.weights;
  const std::span<const std::byte> bytes =
      blob_bytes(prefix + "." + table.name, checkpoint, static_cast<int64_t>(weights.size_bytes()));
  std::memcpy(weights.data(), bytes.data(), weights.size_bytes());
  table.state = get_blob<float>(prefix + "." + table.name + "_state", checkpoint, table.rows);
}

}  // namespace

io::Json to_json(const io::LogSchema& schema) {
  io::Json json;
  visit_schema(schema, [&](const char* name, const auto& member) { json[name] = member; });
  json["outcome"] = schema.outcome == io::OutcomeKind::binary ? "binary" : "continuous";
  json["reference_cluster"] =
      schema.reference_cluster ? io::Json(*schema.reference_cluster) : io::Json();
  return json;
}

io::LogSchema schema_from_json(const io::Json& json) {
  io::LogSchema schema;
  visit_schema(schema, [&](const char* name, auto& member) { json.at(name).get_to(member); });
  schema.outcome =
      json.at("outcome") == "binary" ? io::OutcomeKind::binary : io::OutcomeKind::continuous;
  if (!json.at("reference_cluster").is_null()) {
    schema.reference_cluster = json.at("reference_cluster").get<int64_t>();
  }
  return schema;
}

io::Json to_json(const ModelOptions& options) {
  io::Json json;
  visit_options(options, [&](const char* name, const auto& member) { json[name] = member; });
  return json;
}

ModelOptions model_options_from_json(const io::Json& json) {
  ModelOptions options;
  // A run made before an option was there trained by its default.
  visit_options(options, [&](const char* name, auto& member) {
    if (json.contains(name)) json.at(name).get_to(member);
  });
  return options;
}

std::span<const std::byte> blob_bytes(const std::string& name,
                                      const io::CheckpointBlobs& checkpoint, int64_t expected) {
  const auto found = checkpoint.blobs.find(name);
  if (found == checkpoint.blobs.end()) {
    throw UserError("the checkpoint has no '" + name +
                    "': it was written by another version of this program; train again");
  }
  const int64_t size = static_cast<int64_t>(found->second.size());
  if (expected >= 0 && size != expected) {
    throw UserError(
        format("the checkpoint's '%s' has %lld bytes where %lld are expected: it is of "
               "another model; train again",
               name.c_str(), static_cast<long long>(size), static_cast<long long>(expected)));
  }
  return found->second;
}

void put_weights(const ModelWeights& weights, const std::string& prefix,
                 io::CheckpointBlobs& checkpoint) {
  put_blob(weights.dense, prefix + ".dense", checkpoint);
  put_table(weights.cats, prefix, checkpoint);
  put_table(weights.items, prefix, checkpoint);
}

ModelWeights get_weights(const Model& model, const std::string& prefix,
                         const io::CheckpointBlobs& checkpoint) {
  ModelWeights weights = model.empty_weights();
  weights.dense = get_blob<float>(prefix + ".dense", checkpoint, model.layout().size());
  get_table(weights.cats, prefix, checkpoint);
  get_table(weights.items, prefix, checkpoint);
  return weights;
}

void put_bundle(const Bundle& bundle, io::CheckpointBlobs& checkpoint) {
  io::Json names = io::Json::array();
  for (const auto& [name, weights] : bundle.fits) {
    names.push_back(name);
    put_weights(weights, "fit." + name, checkpoint);
  }
  const FeatureStats& stats = *bundle.stats;
  checkpoint.header["bundle"] = {{"schema", to_json(stats.schema)},
                                 {"dense", to_json(stats.dense)},
                                 {"touch_dense", to_json(stats.touch_dense)},
                                 {"outcome_mean", stats.outcome_mean},
                                 {"outcome_sd", stats.outcome_sd},
                                 {"longest", stats.longest},
                                 {"options", to_json(bundle.options)},
                                 {"positions", bundle.positions},
                                 {"holdout", bundle.holdout},
                                 {"folds", bundle.folds},
                                 {"cluster_log_share", stats.cluster_log_share},
                                 {"tabular", bundle.tabular},
                                 {"tmle", bundle.tmle},
                                 {"log_manifest", bundle.log_manifest},
                                 {"backdoors", bundle.backdoor.size()},
                                 {"tabular_fits", bundle.tabular_counts.size()},
                                 {"main_steps", bundle.main_steps},
                                 {"replicates", bundle.replicates.size()},
                                 {"controls", bundle.controls},
                                 {"fits", names}};
  put_blob(stats.item_admitted, "item_admitted", checkpoint);
  put_blob(stats.touch_share, "touch_share", checkpoint);
  for (size_t fold = 0; fold < bundle.backdoor.size(); ++fold) {
    put_blob(bundle.backdoor[fold].coefficients, of_fold("backdoor", fold), checkpoint);
    put_blob(bundle.backdoor[fold].own, of_fold("backdoor_own", fold), checkpoint);
  }
  for (size_t fold = 0; fold < bundle.tabular_counts.size(); ++fold) {
    put_blob(bundle.tabular_counts[fold], of_fold("tabular_counts", fold), checkpoint);
  }
  std::vector<double> effects;  // of all replicates, one after the other
  for (const std::vector<double>& of : bundle.replicates) {
    effects.insert(effects.end(), of.begin(), of.end());
  }
  if (!effects.empty()) put_blob(effects, "replicates", checkpoint);
}

Bundle get_bundle(const io::CheckpointBlobs& checkpoint) {
  const io::Json& json = checkpoint.header.at("bundle");
  auto stats = std::make_shared<FeatureStats>();
  stats->schema = schema_from_json(json.at("schema"));
  stats->dense = scales_from_json(json.at("dense"));
  stats->touch_dense = scales_from_json(json.at("touch_dense"));
  json.at("outcome_mean").get_to(stats->outcome_mean);
  json.at("outcome_sd").get_to(stats->outcome_sd);
  json.at("longest").get_to(stats->longest);
  stats->cluster_log_share = json.value("cluster_log_share", std::vector<float>());
  stats->item_admitted = get_blob<uint8_t>("item_admitted", checkpoint, -1);
  stats->touch_share = get_blob<float>("touch_share", checkpoint, stats->schema.clusters);
  Bundle bundle;
  bundle.stats = stats;
  bundle.options = model_options_from_json(json.at("options"));
  json.at("positions").get_to(bundle.positions);
  json.at("holdout").get_to(bundle.holdout);
  json.at("folds").get_to(bundle.folds);
  json.at("tabular").get_to(bundle.tabular);
  bundle.tmle = json.value("tmle", false);
  json.at("log_manifest").get_to(bundle.log_manifest);
  bundle.main_steps = json.value("main_steps", int64_t{-1});
  bundle.controls = json.value("controls", io::Json::array());
  for (size_t fold = 0; fold < json.at("backdoors").get<size_t>(); ++fold) {
    bundle.backdoor.push_back({get_blob<double>(of_fold("backdoor", fold), checkpoint, -1),
                               get_blob<int64_t>(of_fold("backdoor_own", fold), checkpoint, -1)});
  }
  for (size_t fold = 0; fold < json.at("tabular_fits").get<size_t>(); ++fold) {
    bundle.tabular_counts.push_back(
        get_blob<int64_t>(of_fold("tabular_counts", fold), checkpoint, -1));
  }
  const size_t replicates = json.value("replicates", size_t{0});
  if (replicates > 0) {
    const std::vector<double> effects = get_blob<double>("replicates", checkpoint, -1);
    const size_t each = effects.size() / replicates;
    for (size_t at = 0; at < replicates; ++at) {
      const auto first = effects.begin() + static_cast<std::ptrdiff_t>(at * each);
      bundle.replicates.emplace_back(first, first + static_cast<std::ptrdiff_t>(each));
    }
  }
  const std::unique_ptr<Model> model = bundle.make_model();
  for (const io::Json& name : json.at("fits")) {
    const std::string fit = name.get<std::string>();
    bundle.fits[fit] = get_weights(*model, "fit." + fit, checkpoint);
  }
  return bundle;
}

namespace {

// A name of `names` that `others` lacks, for a message; empty when they have all.
std::string name_missing(const std::vector<std::string>& names,
                         const std::vector<std::string>& others) {
  const std::set<std::string_view> known(others.begin(), others.end());
  for (const std::string& name : names) {
    if (!known.contains(name)) return "'" + name.substr(0, 60) + "'";
  }
  return "";
}

// UserError when clusters have names, and those of the log are not those of the model.
void check_same_clusters(const io::LogSchema& trained, const io::LogSchema& other) {
  const std::vector<std::string>& ours = trained.cluster_names;
  const std::vector<std::string>& theirs = other.cluster_names;
  if (ours.empty() || theirs.empty() || ours == theirs) return;
  const std::string unknown = name_missing(theirs, ours);
  const std::string absent = name_missing(ours, theirs);
  std::string difference;
  if (!unknown.empty()) difference = unknown + " is in the log, not in the model";
  if (!absent.empty()) {
    difference += (difference.empty() ? "" : ", ") + absent + " is in the model, not in the log";
  }
  if (difference.empty()) difference = "the names stand in another order";
  throw UserError(
      "the log does not fit the trained model: their clusters differ (" + difference +
      "); import the tables of both together, or rename clusters under [clusters] of the mapping");
}

}  // namespace

void check_same_features(const ModelOptions& options, const io::LogSchema& trained,
                         const io::LogSchema& other) {
  check_same_clusters(trained, other);
  if (trained.reference_cluster.has_value() != other.reference_cluster.has_value()) {
    throw UserError(trained.reference_cluster
                        ? "the log does not fit the trained model: the model is of an arm log, "
                          "this log has no reference_cluster; use an arm log"
                        : "the log does not fit the trained model: the model is of sequences of "
                          "touches, this is an arm log (it has reference_cluster); use a log "
                          "without");
  }
  const io::Json left = to_json(trained);
  const io::Json right = to_json(other);
  for (const std::string name :
       {"clusters", "dense", "cat", "touch_dense", "item", "mediator", "proxies", "proxy_leaky",
        "outcome", "reference_cluster", "dense_names", "cat_names", "touch_dense_names",
        "cluster_names"}) {
    const bool of_proxies = name == "proxies" || name == "proxy_leaky";
    if (of_proxies && options.proxy_input == ProxyInput::none) continue;
    if (name == "mediator" && options.proxy_mode()) continue;
    if (left.at(name) == right.at(name)) continue;
    throw UserError(
        format("the log does not fit the trained model: '%s' is %s in the log, %s in the "
               "model; use a log with the same columns",
               name.c_str(), io::json_text(right.at(name)).substr(0, 60).c_str(),
               io::json_text(left.at(name)).substr(0, 60).c_str()));
  }
}

}  // namespace alm
