// One set of parameters, their optimiser's state and their gradient in memory of a device.
#pragma once

#include <utility>

#include "engine/model/model.h"
#include "engine/train/optimizer.h"
#include "kernels/device_array.h"

namespace alm {

class DeviceWeights {
 public:
  // The device must outlive it, and where memory for the gradient comes from. To be filled by
  // upload().
  DeviceWeights(const Model& model, Device& device, DeviceMemory& for_gradient);
  // Both ways wait for the copies: not of a step.
  void upload(Queue& queue, const ModelWeights& weights, const Optimizer& optimizer);
  // Dense weights and their moments, of an arena range [first, last).
  void download(Queue& queue, ModelWeights& weights, Optimizer& optimizer,
                std::pair<int64_t, int64_t> range) const;
  void download_tables(Queue& queue, ModelWeights& weights) const;

  WeightsView view() const { return {dense.data(), cats.view(), items.view()}; }

  struct Table {
    Table(Device& device, const RowTable& of);
    Matrix<float> view() const { return {weights.data(), rows, width}; }
    int64_t rows;
    int64_t width;
    DeviceArray<float> weights;  // [rows * width]
    DeviceArray<float> state;    // [rows]
  };
  DeviceArray<float> dense;
  DeviceArray<float> first_moment;
  DeviceArray<float> second_moment;
  DeviceArray<float> decay_mask;
  DeviceArray<float> gradient;  // of `dense`
  Table cats;
  Table items;
};

}  // namespace alm
