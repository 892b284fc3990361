// Training steps of one rank on a device of one queue, a GPU. The step of many threads (step.h)
// keeps partial sums in the caches of each; here the whole batch goes through the model at once.
//
// The host makes the inputs of a batch and finds the distinct rows it uses, packs them, and queues
// everything else. It waits once a step, for the losses and the squares of the gradient: they say
// whether and by how much the weights move. Weights, gradients, optimiser state and activations
// never leave the device but for validation's best and for checkpoints.
#pragma once

#include <memory>
#include <string>

#include "engine/model/staging.h"
#include "engine/train/device_weights.h"
#include "engine/train/distinct_rows.h"
#include "engine/train/step.h"
#include "engine/train/train_options.h"

namespace alm {

// What of a training has no step on a device yet, as a reason for a person; empty: all has.
std::string not_yet_on_device(const TrainOptions& options, int64_t ranks);

class DeviceStep {
 public:
  // One rank alone. The device must outlive it.
  DeviceStep(const Model& model, Device& device);

  // Weights and optimiser state, from and to the host; both wait.
  void upload(const ModelWeights& weights, const Optimizer& optimizer) {
    weights_.upload(*queue_, weights, optimizer);
  }
  void download(ModelWeights& weights, Optimizer& optimizer) const {
    weights_.download(*queue_, weights, optimizer);
  }

  // As train_step(). Of `state` it reads the options and keeps the phases.
  StepResult take(StepState& state, std::span<const io::Journeys> blocks, int64_t step,
                  const OptimizerSettings& settings, bool stop);
  // Losses of these blocks under the weights as they are, some `at_once` journeys together. Waits.
  LossTotals losses(std::span<const io::Journeys> blocks, int64_t at_once);

 private:
  // What a step reads of the device.
  struct Sums {
    LossSums losses;
    double dense_squares = 0;
    double cats_squares = 0;
    double items_squares = 0;
  };
  // Distinct rows of a table as the device has them, and the sum of their gradients.
  struct Rows {
    std::span<const int64_t> rows;
    std::span<const int64_t> places;
    Matrix<float> gradient;
  };

  void make_inputs(std::span<const io::Journeys> blocks);
  ModelInputs send_inputs();
  void sum_rows(const Pass& pass, Matrix<const float> of_uses, Rows& rows, double* squares);
  Sums read_sums();
  std::string first_bad_tensor(const Sums& sums) const;
  void update(int64_t step, double scale, const OptimizerSettings& settings);

  const Model& model_;
  const Ops& ops_;
  std::unique_ptr<Queue> queue_;
  DeviceWeights weights_;
  Workspace memory_;
  Inputs inputs_;
  DistinctRows distinct_cats_;
  DistinctRows distinct_items_;
  Staging staging_;
  DeviceArray<Sums> sums_;  // one
  HostArray<Sums> read_;    // one
  Rows cats_;
  Rows items_;
};

}  // namespace alm
