#include "engine/train/pass_memory.h"

#include <algorithm>

#include "engine/model/inputs_shape.h"
#include "engine/train/device_weights.h"

namespace alm {

namespace {

// A model's weights and inputs of a size in address space, and passes over them.
class PassInSpace {
 public:
  PassInSpace(const Model& model, const Device& device, const PassSize& size)
      : space_(device.without_memory()),
        queue_(space_->make_queue()),
        memory_(*space_),
        shape_(*space_, size.journeys, size.touches, model.stats(), model.options()),
        dense_(*space_, model.layout().size()),
        gradient_(*space_, model.layout().size()),
        cats_(*space_, model.empty_weights().cats),
        items_(*space_, model.empty_weights().items) {}

  Pass pass(bool backward) {
    return {*queue_, space_->ops(), memory_, dense_.data(), backward ? gradient_.data() : nullptr};
  }
  WeightsView weights() const { return {dense_.data(), cats_.view(), items_.view()}; }
  const ModelInputs& inputs() const { return shape_.inputs(); }

 private:
  std::unique_ptr<DeviceWithoutMemory> space_;
  std::unique_ptr<Queue> queue_;
  Workspace memory_;
  InputsShape shape_;
  DeviceArray<float> dense_;
  DeviceArray<float> gradient_;
  DeviceWeights::Table cats_;
  DeviceWeights::Table items_;
};

}  // namespace

int64_t pass_numbers(const Model& model, const Device& device, const PassSize& size,
                     bool backward) {
  PassInSpace space(model, device, size);
  const Pass pass = space.pass(backward);
  LossSums sums;
  RowGradients rows;
  model.loss(pass, space.inputs(), space.weights(), sums, backward ? &rows : nullptr);
  return pass.memory.handed_out();
}

int64_t critic_numbers(const Model& model, const Device& device, const PassSize& size) {
  const Critic* const critic = model.critic();
  if (critic == nullptr) return 0;
  PassInSpace space(model, device, size);
  const Pass pass = space.pass(true);
  const Critic::Activations sides = model.critic_forward(pass, space.inputs(), space.weights());
  const Matrix<float> d_x = pass.zero_matrix(size.journeys, sides.x.cols);
  const Matrix<float> d_y = pass.zero_matrix(size.journeys, sides.y.cols);
  critic->backward(pass, space.inputs(), sides, d_x, d_y);
  return pass.memory.handed_out();
}

int64_t fit_numbers(const Model& model, const Device& device, const LargestBatch& largest) {
  return std::max(pass_numbers(model, device, largest.unit, true),
                  pass_numbers(model, device, largest.validation, false));
}

}  // namespace alm
