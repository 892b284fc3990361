// Everything estimates need, as one thing that a checkpoint holds: statistics, the fits by name,
// the back-door regression, the splits of users.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/model/model.h"
#include "io/checkpoint_files.h"

namespace alm {

// Names of the fits. A fold's is fitted on all users but the fold's and scores those (--folds). The
// halves are fitted on the scored users of one half each and applied to the other (contract 3,
// grouped_auuc).
inline constexpr const char* kMainFit = "main";
inline std::string fold_fit(int64_t fold) {
  return "fold" + std::to_string(fold);
}
inline std::string half_fit(int half) {
  return "half" + std::to_string(half);
}

struct FittedBackdoor {
  std::vector<double> coefficients;  // of BackdoorModel: [1 + clusters + width of X]
  std::vector<int64_t> own;          // clusters that share none, ascending; empty: all of them
};

struct Bundle {
  std::shared_ptr<const FeatureStats> stats;
  ModelOptions options;
  int64_t positions = 0;
  double holdout = 0.2;
  int64_t folds = 1;  // fits that share the users out among them; 1: a main fit and held-out users
  bool tabular = false;
  bool tmle = false;         // arm logs: targeted values are wanted
  std::string log_manifest;  // hash of the log that was trained on
  // Of the scoring fit that took fewest, without its refit; -1: not counted (warm start).
  int64_t main_steps = -1;
  std::map<std::string, ModelWeights> fits;
  // Of each scoring fit: packed counts of --nuisance tabular, and the regression. Empty before.
  std::vector<std::vector<int64_t>> tabular_counts;
  std::vector<FittedBackdoor> backdoor;
  // Effects of each replicate of --bootstrap-fits, as replicate_effects() gives them.
  std::vector<std::vector<double>> replicates;
  io::Json controls = io::Json::array();  // results of negative controls, as estimates show them

  // The fits that make the estimates are as many as folds; this one scores the users of `fold`.
  std::string scoring_fit(int64_t fold) const { return folds > 1 ? fold_fit(fold) : kMainFit; }
  std::unique_ptr<Model> make_model() const { return alm::make_model(stats, options, positions); }
};

// Adds the bundle to a checkpoint. Row tables keep their state, so that a fit may go on.
void put_bundle(const Bundle& bundle, io::CheckpointBlobs& checkpoint);
// UserError when the checkpoint lacks a part.
Bundle get_bundle(const io::CheckpointBlobs& checkpoint);

// Weights under "<prefix>.dense", "<prefix>.cats", ... .
void put_weights(const ModelWeights& weights, const std::string& prefix,
                 io::CheckpointBlobs& checkpoint);
ModelWeights get_weights(const Model& model, const std::string& prefix,
                         const io::CheckpointBlobs& checkpoint);

// Vectors as blobs. get: UserError naming the blob when it is missing or of another size than
// `expected`
// (-1: any).
template <class T>
void put_blob(const std::vector<T>& values, const std::string& name,
              io::CheckpointBlobs& checkpoint) {
  const auto bytes = std::as_bytes(std::span(values));
  checkpoint.blobs[name].assign(bytes.begin(), bytes.end());
}
std::span<const std::byte> blob_bytes(const std::string& name,
                                      const io::CheckpointBlobs& checkpoint, int64_t expected);
template <class T>
std::vector<T> get_blob(const std::string& name, const io::CheckpointBlobs& checkpoint,
                        int64_t expected) {
  const std::span<const std::byte> bytes =
      blob_bytes(name, checkpoint, expected < 0 ? -1 : expected * static_cast<int64_t>(sizeof(T)));
  std::vector<T> values(bytes.size() / sizeof(T));
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<std::byte*>(values.data()));
  return values;
}

io::Json to_json(const io::LogSchema& schema);
io::LogSchema schema_from_json(const io::Json& json);
io::Json to_json(const ModelOptions& options);
ModelOptions model_options_from_json(const io::Json& json);

// UserError naming the difference when a model of `trained` cannot read a log of `other`.
void check_same_features(const ModelOptions& options, const io::LogSchema& trained,
                         const io::LogSchema& other);

}  // namespace alm
