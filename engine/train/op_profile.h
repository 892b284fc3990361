// What the operations of a step cost: calls, processor time, floating-point operations and bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/device_without_memory.h"

namespace alm {

struct OpCost {
  std::string name;  // entry of Ops
  int64_t calls = 0;
  double seconds = 0;  // of processor time, over all threads
  double flops = 0;
  double bytes = 0;      // that have to be touched once at least; 0 where nobody counts them
  bool product = false;  // a matrix product
};

// Passes operations on to another device and keeps count. One at a time in a process, for
// operations are plain functions: making one sets the counts to zero. The other must outlive it.
class OpProfile final : public Device {
 public:
  explicit OpProfile(Device& device);
  void reset();
  // In the order of the table, those that were called.
  std::vector<OpCost> costs() const;

  std::string describe() const override { return device_.describe(); }
  const Ops& ops() const override { return ops_; }
  std::unique_ptr<Event> make_event() override { return device_.make_event(); }
  std::unique_ptr<Event> make_event_with_time() override { return device_.make_event_with_time(); }
  std::unique_ptr<DeviceWithoutMemory> without_memory() const override {
    return device_.without_memory();
  }
  Precision activations() const override { return device_.activations(); }
  std::unique_ptr<Queue> make_queue() override { return device_.make_queue(); }
  void* allocate(int64_t bytes) override { return device_.allocate(bytes); }
  void release(void* memory) override { device_.release(memory); }
  void* allocate_host(int64_t bytes) override { return device_.allocate_host(bytes); }
  void release_host(void* memory) override { device_.release_host(memory); }

 private:
  Device& device_;
  Ops ops_;
};

// What one thread of the device reaches: the product of two square matrices of 1,024, and y += x on
// vectors that no cache holds (12 bytes an element). By processor time, best of several.
struct ThreadLimits {
  double flops_per_second = 0;
  double bytes_per_second = 0;
};
ThreadLimits measure_limits(Device& device);

}  // namespace alm
