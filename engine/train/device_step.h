// Training steps of one rank on a device of its own, a GPU. The step of many threads (step.h)
// keeps partial sums in the caches of each; here the whole batch goes through the model at once.
//
// A step waits for nothing: the host makes and packs the inputs of a batch, copies them by a queue
// of their own while the device is still at the step before, and queues the rest, in one go where
// the device has graphs. The device itself decides by how much the weights move, and whether. What
// became of a step the host may ask while the next is under way. Weights, gradients, optimiser
// state and activations never leave the device but for validation's best and for checkpoints.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "engine/train/device_batch.h"
#include "engine/train/device_weights.h"
#include "engine/train/step.h"
#include "engine/train/train_options.h"

namespace alm {

// What of a training has no step on a device yet, as a reason for a person; empty: all has.
std::string not_yet_on_device(const TrainOptions& options, int64_t ranks);

class DeviceStep {
 public:
  // One rank alone. The device must outlive it. Without graphs every kernel is launched by itself;
  // the results are the same, bit for bit.
  DeviceStep(const Model& model, Device& device, bool graphs);

  // Weights and optimiser state, from and to the host; both wait.
  void upload(const ModelWeights& weights, const Optimizer& optimizer) {
    weights_.upload(*queue_, weights, optimizer);
  }
  void download(ModelWeights& weights, Optimizer& optimizer) const {
    weights_.download(*queue_, weights, optimizer);
  }

  // Steps whose results may be unread when another is begun.
  static constexpr int64_t kUnread = 1;
  // Queues a step, as train_step() takes one. Of `state` it reads the options and keeps the phases.
  void begin(StepState& state, std::span<const io::Journeys> blocks, int64_t step,
             const OptimizerSettings& settings);
  int64_t unread() const { return begun_ - read_; }
  // What became of the oldest step that is unread. Waits for that step. Of one that was skipped the
  // bad tensor is known where no other was begun since.
  StepResult result(StepState& state);

  // Losses of these blocks under the weights as they are, some `at_once` journeys together. Waits.
  // No step may be unread.
  LossTotals losses(StepState& state, std::span<const io::Journeys> blocks, int64_t at_once);

 private:
  // What the device finds out in a step.
  struct Sums {
    LossSums losses;
    double squares[3] = {};  // of the gradient: dense, cats, items
    float scale = 0;         // of the gradient in the update; NaN: skipped
  };
  // What recorded work depends on: sizes, and where memory lies that may grow.
  struct Situation {
    int64_t journeys = 0, touches = 0, cat_rows = 0, item_rows = 0;
    const void* memory = nullptr;
    const void* scratch = nullptr;
    const void* staging = nullptr;
    bool operator==(const Situation&) const = default;
  };
  struct Recording {
    Situation situation;  // in which a step went through without asking for memory
    std::unique_ptr<Graph> graph;
  };
  // A batch of two in turn takes its inputs and results with it, so that the host may be one step
  // ahead of the device.
  struct Slot {
    explicit Slot(Device& device);
    Staging staging;
    DeviceBatch batch;
    HostArray<Sums> sums;  // one
    std::unique_ptr<Event> copied, done;
    std::vector<Recording> recordings;  // oldest first
  };

  Slot& slot_of(int64_t number);  // of a step, counted from 0
  void send(Slot& slot, StepState& state, std::span<const io::Journeys> blocks,
            const StepSettings& settings, Padding padding);
  Situation situation(const Slot& slot);
  void run(Slot& slot);
  void queue_step(Slot& slot);
  Matrix<float> sum_rows(const Pass& pass, Matrix<const float> of_uses,
                         const DeviceBatch::Rows& rows, double* squares);
  void update(const DeviceBatch& batch, Matrix<const float> of_cats, Matrix<const float> of_items);
  std::string first_bad_tensor(const Sums& sums) const;

  const Model& model_;
  const Ops& ops_;
  const bool graphs_;
  DeviceWeights weights_;
  Workspace memory_;
  BatchPacker packer_;
  DeviceArray<Sums> sums_;  // one
  std::array<Slot, kUnread + 1> slots_;
  int64_t begun_ = 0;
  int64_t read_ = 0;
  // Last, for they end first, and with them the work that uses the rest.
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<Queue> copies_;
};

}  // namespace alm
