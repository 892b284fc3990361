// Sums over ranks of numbers that lie in memory of a device, each rank's of its own. Memory of the
// host goes through Communicator: neither takes the other's.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>

#include "engine/comm/communicator.h"
#include "kernels/device_array.h"

namespace alm {

using DeviceNumbers = std::variant<DeviceSpan<float>, DeviceSpan<double>, DeviceSpan<int64_t>>;

// The reductions are COLLECTIVE: all ranks call them in the same order with equal sizes, never
// inside a rank-dependent branch. They are element-wise, in place, and in order with the other work
// of the queue; of floats, too, all ranks get the same bits. `what` names the operation in
// messages. Failures throw MachineError. One thread at a time.
class DeviceCommunicator {
 public:
  virtual ~DeviceCommunicator() = default;
  // "self" or "nccl 2.28.9".
  virtual std::string name() const = 0;
  virtual int64_t size() const = 0;
  // Memory of the device whose sums may take shorter ways, for numbers that are summed often. What
  // comes from it ends before the device and the communicator.
  virtual DeviceMemory& memory(Device& device) = 0;
  // Several sums together take the time on the way of one.
  virtual void all_reduce_sum(Queue& queue, std::span<const DeviceNumbers> together,
                              const char* what) = 0;
  void all_reduce_sum(Queue& queue, const DeviceNumbers& numbers, const char* what) {
    all_reduce_sum(queue, std::span(&numbers, 1), what);
  }
  virtual void all_reduce_max(Queue& queue, DeviceSpan<float> values, const char* what) = 0;
  // As Event::wait(), but MachineError when a reduction that stands before it fails or another rank
  // does not come to it: Event::wait() would never end.
  virtual void wait(Event& event, const char* what) = 0;
};

// Seconds that other ranks are waited for.
struct Patience {
  double start = 120;
  double reduction = 600;
};

// One rank alone; on any device.
std::unique_ptr<DeviceCommunicator> make_self_device_communicator();

// COLLECTIVE. Among the GPUs of all ranks, by NCCL, each rank's the one that it took last
// (make_gpu_device); for one rank as above. Destroy it after a collective of the host that follows
// the last wait() of all ranks: it ends what is under way. `world` must outlive it.
std::unique_ptr<DeviceCommunicator> make_gpu_communicator(Communicator& world,
                                                          Patience patience = {});

// What several ranks lack to sum over their GPUs, a part of a sentence; empty: nothing that can be
// seen before they start.
std::string gpu_communicator_obstacle();

}  // namespace alm
