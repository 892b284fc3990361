// Training of the same batches twice: by the step of many threads on the CPU, and by the step on a
// device.
#pragma once

#include <memory>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/simulate/simulator.h"
#include "engine/train/bench_step.h"
#include "engine/train/device_step.h"

namespace alm {

enum class Head { separable, additive, arms, proxy, general, general_continuous };

struct TrainingCase {
  std::string shape;   // of the journeys; arm logs have their own
  int64_t batch = 64;  // journeys
  Head head = Head::separable;
  int64_t head_hidden = 0;  // of touch heads; 0: that of the model
  bool paper = false;       // its model, an eighth as wide
};

class DeviceTraining {
 public:
  // `world`: each rank has its part of the same batches (not of arm logs); null: all of them.
  explicit DeviceTraining(const TrainingCase& of, Communicator* world = nullptr)
      : compute_(make_cpu_device("auto"), 1),
        alone_(make_self_communicator()),
        world_(world != nullptr ? *world : *alone_),
        device_alone_(make_self_device_communicator()) {
    options_ = model_options_by_name("tiny");
    options_.cat_rows = options_.item_rows = 61;  // few: rows are used again and again
    if (of.head == Head::proxy) {
      options_.mediator = MediatorMode::proxy;
      options_.proxy_input = ProxyInput::all;
    }
    if (of.head == Head::general || of.head == Head::general_continuous) {
      options_.outcome_head = OutcomeHead::general;
    }
    if (of.head_hidden > 0) options_.head_hidden = of.head_hidden;
    if (of.paper) make_paper();
    shape_ = shape_by_name(of.shape);
    shape_.items = shape_.items > 0 ? 300 : 0;
    data_ = make_step_bench_data({.model = options_,
                                  .shape = shape_,
                                  .batch = of.batch,
                                  .compute = compute_,
                                  .world = world_},
                                 4);
    touch_clusters();
    if (of.head == Head::additive || of.head == Head::general_continuous) make_continuous();
    if (of.head == Head::arms) make_arms();
    for (std::vector<io::Journeys>& blocks : data_.batches) {
      for (io::Journeys& block : blocks) {  // some mediators nobody observed
        for (size_t touch = 0; touch < block.mediator.size(); touch += 5) {
          block.mediator[touch] = kMediatorMissing;
        }
      }
    }
    model_ = make_model(data_.stats, options_, shape_.max_touches);
  }

  const Model& model() const { return *model_; }
  std::span<const io::Journeys> batch(int64_t step) const {
    return data_.batches[static_cast<size_t>(step % std::ssize(data_.batches))];
  }
  io::Journeys& journey_block(int64_t batch, int64_t block) {
    return data_.batches[static_cast<size_t>(batch)][static_cast<size_t>(block)];
  }
  ModelWeights fresh_weights() const { return model_->fresh_weights(5); }
  // On a compute of its own, or another.
  std::unique_ptr<StepState> state(ModelWeights& weights, Compute* on = nullptr,
                                   StepState::Options options = {}) {
    return std::make_unique<StepState>(*model_, on != nullptr ? *on : compute_, world_, weights,
                                       data_.my_blocks, data_.total_blocks, data_.block_rows,
                                       options);
  }
  DeviceStep step_on(Device& device, bool graphs = true) {
    return {*model_, device, *device_alone_, graphs};
  }
  // A step and its result.
  StepResult take(DeviceStep& on_device, StepState& state, int64_t step) {
    on_device.begin(state, batch(step), step, settings());
    return on_device.result(state);
  }
  static OptimizerSettings settings() { return {3e-3, 0.02, 1e-3}; }

 private:
  // As if training had met some clusters more often than others.
  void touch_clusters() {
    auto stats = std::make_shared<FeatureStats>(*data_.stats);
    for (int64_t cluster = 0; cluster < stats->schema.clusters; ++cluster) {
      stats->touch_share.push_back(0.05f + 0.1f * static_cast<float>(cluster % 7));
    }
    data_.stats = stats;
  }
  void make_paper() {
    const ModelOptions paper = model_options_by_name("paper");
    for (int64_t ModelOptions::*width :
         {&ModelOptions::cluster_width, &ModelOptions::context_hidden, &ModelOptions::context_width,
          &ModelOptions::touch_hidden, &ModelOptions::touch_width, &ModelOptions::head_hidden,
          &ModelOptions::confounding_hidden}) {
      options_.*width = paper.*width / 8;
    }
    options_.heads = paper.heads;
  }
  void make_continuous() {
    auto stats = std::make_shared<FeatureStats>(*data_.stats);
    stats->schema.outcome = io::OutcomeKind::continuous;
    data_.stats = stats;
    for (std::vector<io::Journeys>& blocks : data_.batches) {
      for (io::Journeys& block : blocks) {
        for (size_t row = 0; row < block.outcome.size(); ++row) {
          block.outcome[row] += 0.01f * static_cast<float>(row % 37) - 0.3f;
        }
      }
    }
  }

  void make_arms() {
    const std::unique_ptr<Simulator> simulator = make_level_a(3);
    auto stats = std::make_shared<FeatureStats>();
    stats->schema = simulator->schema();
    stats->longest = 1;
    data_.stats = stats;
    int64_t row = 0;
    for (std::vector<io::Journeys>& blocks : data_.batches) {
      for (io::Journeys& block : blocks) {
        block.clear();
        simulator->append(row, data_.block_rows, block);
        row += data_.block_rows;
      }
    }
  }

  ModelOptions options_;
  LogShape shape_;
  Compute compute_;
  std::unique_ptr<Communicator> alone_;
  Communicator& world_;
  std::unique_ptr<DeviceCommunicator> device_alone_;
  StepBenchData data_;
  std::unique_ptr<Model> model_;
};

}  // namespace alm
