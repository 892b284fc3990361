// What a rank computes with: a device, threads, and for each thread a queue with memory of its own.
#pragma once

#include <memory>
#include <vector>

#include "engine/model/inputs.h"
#include "engine/model/pass.h"
#include "kernels/base/thread_pool.h"
#include "kernels/device.h"

namespace alm {

class Compute {
 public:
  struct Thread {
    explicit Thread(Device& device) : queue(device.make_queue()), memory(device) {}
    std::unique_ptr<Queue> queue;
    Workspace memory;
    Inputs inputs;
  };
  Compute(std::unique_ptr<Device> device, int64_t threads)
      : device_(std::move(device)), pool_(threads) {
    for (int64_t thread = 0; thread < threads; ++thread) threads_.emplace_back(*device_);
  }

  Device& device() { return *device_; }
  const Ops& ops() const { return device_->ops(); }
  ThreadPool& pool() { return pool_; }
  int64_t threads() const { return pool_.threads(); }
  Thread& thread(int64_t index) { return threads_[static_cast<size_t>(index)]; }
  // A fresh pass on that thread: its memory starts over.
  Pass pass(int64_t thread_index, const float* weights, float* gradient) {
    Thread& of = thread(thread_index);
    of.memory.reset();
    return {*of.queue, ops(), of.memory, weights, gradient};
  }

 private:
  std::unique_ptr<Device> device_;
  ThreadPool pool_;
  std::vector<Thread> threads_;
};

}  // namespace alm
