// Journeys written by hand and a small model of arbitrary weights, for tests of the scorers.
#pragma once

#include <cmath>
#include <memory>
#include <vector>

#include "engine/model/alm_mta.h"
#include "io/journeys.h"
#include "kernels/base/rng.h"

namespace alm {

inline constexpr int64_t kPositions = 16;  // fewer than the longest journey has touches
inline constexpr uint8_t kMissing = 255;

inline io::LogSchema make_schema(io::OutcomeKind outcome) {
  io::LogSchema schema;
  schema.clusters = 5;
  schema.outcome = outcome;
  schema.dense = 2;
  schema.cat = 1;
  schema.touch_dense = 1;
  schema.item = true;
  schema.mediator = true;
  return schema;
}

inline ModelOptions make_options() {
  ModelOptions options;
  options.cat_width = 4;
  options.cat_rows = 32;
  options.item_width = 4;
  options.item_rows = 32;
  options.cluster_width = 8;
  options.position_width = 4;
  options.context_hidden = 16;
  options.context_width = 16;
  options.touch_hidden = 16;
  options.touch_width = 16;
  options.heads = 2;
  options.head_hidden = 16;
  options.confounding_hidden = 16;
  return options;
}

inline ColumnScales plain_scales(size_t columns) {
  return {std::vector<float>(columns, 0), std::vector<float>(columns, 1),
          std::vector<int64_t>(columns, -1), 0};
}

// A journey by hand; `mediators` gives each touch's value.
struct Journey {
  std::vector<float> dense;
  int64_t cat = 0;
  float outcome = 0;
  std::vector<uint32_t> cluster;
  std::vector<uint64_t> item;
  std::vector<float> touch_dense;
  std::vector<uint8_t> mediator;

  size_t touches() const { return cluster.size(); }
  Journey without(size_t touch) const {
    Journey edited = *this;
    const auto at = static_cast<std::ptrdiff_t>(touch);
    edited.cluster.erase(edited.cluster.begin() + at);
    edited.item.erase(edited.item.begin() + at);
    edited.touch_dense.erase(edited.touch_dense.begin() + at);
    edited.mediator.erase(edited.mediator.begin() + at);
    return edited;
  }
};

inline Journey make_journey(uint64_t index, size_t touches, double missing, bool binary) {
  Rng random(11, Stream::bootstrap, index);
  Journey journey;
  journey.dense = {static_cast<float>(random.normal()), static_cast<float>(random.normal())};
  journey.cat = static_cast<int64_t>(random.below(7));
  journey.outcome =
      binary ? static_cast<float>(random.below(2)) : static_cast<float>(5 + 3 * random.normal());
  for (size_t touch = 0; touch < touches; ++touch) {
    journey.cluster.push_back(static_cast<uint32_t>(random.below(5)));
    journey.item.push_back(random.below(40));
    journey.touch_dense.push_back(static_cast<float>(random.normal()));
    const bool one = random.bernoulli(0.4);
    journey.mediator.push_back(random.bernoulli(missing) ? kMissing : static_cast<uint8_t>(one));
  }
  return journey;
}

inline io::Journeys pack(const std::vector<Journey>& journeys) {
  io::Journeys packed;
  for (const Journey& journey : journeys) {
    packed.row.push_back(packed.size());
    packed.user.push_back(static_cast<uint64_t>(packed.size()));
    packed.outcome.push_back(journey.outcome);
    packed.dense.insert(packed.dense.end(), journey.dense.begin(), journey.dense.end());
    packed.cat.push_back(journey.cat);
    packed.cluster.insert(packed.cluster.end(), journey.cluster.begin(), journey.cluster.end());
    packed.item.insert(packed.item.end(), journey.item.begin(), journey.item.end());
    packed.touch_dense.insert(packed.touch_dense.end(), journey.touch_dense.begin(),
                              journey.touch_dense.end());
    packed.mediator.insert(packed.mediator.end(), journey.mediator.begin(), journey.mediator.end());
    packed.touch_begin.push_back(static_cast<int64_t>(packed.cluster.size()));
  }
  return packed;
}

inline std::shared_ptr<FeatureStats> make_stats(io::OutcomeKind outcome) {
  auto stats = std::make_shared<FeatureStats>();
  stats->schema = make_schema(outcome);
  stats->dense = plain_scales(2);
  stats->touch_dense = plain_scales(1);
  stats->item_admitted.assign(32, 1);
  stats->item_admitted[3] = 0;
  if (outcome == io::OutcomeKind::continuous) {
    stats->outcome_mean = 5;
    stats->outcome_sd = 3;
  }
  return stats;
}

// The same number in a tensor of the same name and place, whatever else the model has.
inline ModelWeights arbitrary_weights(const Model& model) {
  ModelWeights weights = model.fresh_weights(3);
  uint64_t number = 0;
  for (const ParameterLayout::Entry& entry : model.layout().entries()) {
    Rng random(5, Stream::bootstrap, number++);
    for (float& value : entry.tensor.vector(weights.dense.data())) {
      value = static_cast<float>(0.3 * random.normal());
    }
    // Touches of the last cluster mostly show the mediator: the floor acts on some.
    if (entry.name == "mediator/cluster_bias") {
      entry.tensor.vector(weights.dense.data()).back() = 3.5f;
    }
  }
  for (std::vector<float>* table : {&weights.cats.weights, &weights.items.weights}) {
    for (size_t at = 0; at < table->size(); ++at) {
      (*table)[at] = static_cast<float>(Rng(6, Stream::bootstrap, at).normal());
    }
  }
  return weights;
}

}  // namespace alm
