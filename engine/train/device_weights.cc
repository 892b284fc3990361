#include "engine/train/device_weights.h"

namespace alm {
namespace {

void upload_array(Queue& queue, const DeviceArray<float>& to, const std::vector<float>& from) {
  ALM_CHECK(std::ssize(from) == to.size());
  queue.upload(to.data(), from.data(), to.bytes());
}

void download_array(Queue& queue, std::vector<float>& to, const DeviceArray<float>& from) {
  to.resize(static_cast<size_t>(from.size()));
  queue.download(to.data(), from.data(), from.bytes());
}

}  // namespace

DeviceWeights::Table::Table(Device& device, const RowTable& of)
    : rows(of.rows), width(of.width), weights(device, of.rows * of.width), state(device, of.rows) {}

DeviceWeights::DeviceWeights(const Model& model, Device& device, DeviceMemory& for_gradient)
    : dense(device, model.layout().size()),
      first_moment(device, model.layout().size()),
      second_moment(device, model.layout().size()),
      decay_mask(device, model.layout().size()),
      gradient(for_gradient, model.layout().size()),
      cats(device, model.empty_weights().cats),
      items(device, model.empty_weights().items) {}

void DeviceWeights::upload(Queue& queue, const ModelWeights& weights, const Optimizer& optimizer) {
  upload_array(queue, dense, weights.dense);
  upload_array(queue, first_moment, optimizer.first_moment);
  upload_array(queue, second_moment, optimizer.second_moment);
  upload_array(queue, decay_mask, optimizer.decay_mask());
  upload_array(queue, cats.weights, weights.cats.weights);
  upload_array(queue, cats.state, weights.cats.state);
  upload_array(queue, items.weights, weights.items.weights);
  upload_array(queue, items.state, weights.items.state);
  queue.wait();
}

void DeviceWeights::download(Queue& queue, ModelWeights& weights, Optimizer& optimizer) const {
  download_array(queue, weights.dense, dense);
  download_array(queue, optimizer.first_moment, first_moment);
  download_array(queue, optimizer.second_moment, second_moment);
  download_array(queue, weights.cats.weights, cats.weights);
  download_array(queue, weights.cats.state, cats.state);
  download_array(queue, weights.items.weights, items.weights);
  download_array(queue, weights.items.state, items.state);
  queue.wait();
}

}  // namespace alm
