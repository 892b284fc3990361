#include "engine/model/parameters.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/hash.h"
#include "kernels/base/rng.h"

namespace alm {
namespace {

uint64_t hash_name(const std::string& name) {
  uint64_t word = 0;
  for (const char letter : name) word = mix(word ^ static_cast<unsigned char>(letter));
  return word;
}

}  // namespace

Start Start::relu_layer(int64_t inputs) {
  return normal(std::sqrt(2.0 / static_cast<double>(std::max<int64_t>(inputs, 1))));
}

Tensor ParameterLayout::add(const std::string& name, int64_t rows, int64_t cols, Start start,
                            bool decay) {
  const Tensor tensor{size_, rows, cols};
  entries_.push_back({name, tensor, start, decay});
  size_ += (tensor.size() + 15) / 16 * 16;
  return tensor;
}

std::vector<const ParameterLayout::Entry*> ParameterLayout::by_name() const {
  std::vector<const Entry*> sorted;
  for (const Entry& entry : entries_) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(),
            [](const Entry* left, const Entry* right) { return left->name < right->name; });
  return sorted;
}

void ParameterLayout::initialise(uint64_t seed, std::span<float> weights) const {
  ALM_CHECK(static_cast<int64_t>(weights.size()) == size_);
  std::fill(weights.begin(), weights.end(), 0.0f);
  for (const Entry& entry : entries_) {
    const std::span<float> values = entry.tensor.vector(weights.data());
    if (entry.start.kind == Start::Kind::constant) {
      std::fill(values.begin(), values.end(), static_cast<float>(entry.start.value));
      continue;
    }
    Rng rng(seed, Stream::weights, hash_name(entry.name));
    for (float& value : values) value = static_cast<float>(entry.start.value * rng.normal());
  }
}

std::vector<float> ParameterLayout::decay_mask() const {
  std::vector<float> mask(static_cast<size_t>(size_), 0.0f);
  for (const Entry& entry : entries_) {
    if (!entry.decay) continue;
    const std::span<float> values = entry.tensor.vector(mask.data());
    std::fill(values.begin(), values.end(), 1.0f);
  }
  return mask;
}

const std::string& ParameterLayout::name_at(int64_t offset) const {
  const Entry* found = &entries_.front();
  for (const Entry& entry : entries_) {
    if (entry.tensor.offset <= offset) found = &entry;
  }
  return found->name;
}

}  // namespace alm
