// What a fit takes of memory: at once what is known before its steps, and how much it holds.
#include "engine/train/fit.h"
#include "engine/train/pass_memory.h"
#include "kernels/base/check.h"

namespace alm {

void Fit::reserve() {
  const Compute& compute = in_.compute;
  const TouchCounts counts = touch_counts(*in_.log, in_.model.stats().longest);
  const LargestBatch largest = largest_batch(in_.model, counts, batch_, in_.world.size(),
                                             compute.threads(), in_.options.deterministic);
  if (on_device_) on_device_->reserve(largest, in_.options.deterministic, refits_on_device());
  int64_t numbers = 0, of_critic = 0;
  try {
    numbers = fit_numbers(in_.model, in_.compute.device(), largest);
    if (critic_) of_critic = critic_numbers(in_.model, in_.compute.device(), largest.block);
  } catch (const MachineError&) {
    return;  // no address space to find out (ulimit -v): memory grows with the batches as they come
  }
  if (critic_) critic_->reserve(of_critic);
  for (int64_t thread = 0; thread < compute.threads(); ++thread) {
    in_.compute.thread(thread).memory.reserve(numbers);
  }
}

MemoryUse StepState::memory() const {
  MemoryUse use;
  use.optimiser = optimizer.bytes();
  use.gradients =
      dense.bytes() + (of_mediator ? of_mediator->bytes() : 0) + cats.bytes() + items.bytes();
  for (const BlockRows& of : rows) use.gradients += of.cats.bytes() + of.items.bytes();
  for (int64_t thread = 0; thread < compute.threads(); ++thread) {
    const Compute::Thread& of = compute.thread(thread);
    use.activations += of.memory.bytes() + of.queue->scratch_bytes();
  }
  return use;
}

MemoryUse Fit::memory() const {
  MemoryUse use;
  for (const ModelWeights* of : {&weights_, &best_}) use += memory_of(*of);
  use += state_->memory();
  if (critic_) use.activations += critic_->bytes();
  for (const io::Journeys& block : validation_blocks_) use.batches += block.bytes();
  return use;
}

MemoryUse memory_of(const ModelWeights& weights) {
  MemoryUse use;
  const auto bytes = [](const std::vector<float>& of) {
    return static_cast<int64_t>(of.capacity() * sizeof(float));
  };
  use.weights = bytes(weights.dense);
  for (const RowTable* table : {&weights.cats, &weights.items}) {
    use.tables += bytes(table->weights);
    use.optimiser += bytes(table->state);
  }
  return use;
}

}  // namespace alm
