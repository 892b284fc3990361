#include "engine/train/device_weights.h"

namespace alm {
namespace {

void upload_array(Queue& queue, const DeviceArray<float>& to, const std::vector<float>& from) {
  ALM_CHECK(std::ssize(from) == to.size());
  queue.upload(to.data(), from.data(), to.bytes());
}

void download_array(Queue& queue, std::vector<float>& to, const DeviceArray<float>& from,
                    int64_t first, int64_t last) {
  to.resize(static_cast<size_t>(from.size()));
  queue.download(to.data() + first, from.data() + first, (last - first) * int64_t{sizeof(float)});
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

void DeviceWeights::download(Queue& queue, ModelWeights& weights, Optimizer& optimizer,
                             std::pair<int64_t, int64_t> range) const {
  const auto [first, last] = range;
  download_array(queue, weights.dense, dense, first, last);
  download_array(queue, optimizer.first_moment, first_moment, first, last);
  download_array(queue, optimizer.second_moment, second_moment, first, last);
  queue.wait();
}

void DeviceWeights::download_tables(Queue& queue, ModelWeights& weights) const {
  for (const auto& [to, from] :
       {std::pair(&weights.cats, &cats), std::pair(&weights.items, &items)}) {
    download_array(queue, to->weights, from->weights, 0, from->weights.size());
    download_array(queue, to->state, from->state, 0, from->state.size());
  }
  queue.wait();
}

}  // namespace alm
