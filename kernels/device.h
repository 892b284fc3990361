// Where numbers live and run. The only virtual classes below the engine.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/ops.h"

namespace alm {

// A place in the work of a queue. Reached at first.
class Event {
 public:
  virtual ~Event() = default;
  // The host waits until the place that was marked last has been reached.
  virtual void wait() = 0;
  // Whether it has; does not wait.
  virtual bool reached() = 0;
  // Of events made with time alone: seconds that passed on the device from the place that `earlier`
  // marked last to the one that this did. Both have been reached, and neither is part of a graph.
  virtual double seconds_since(const Event& earlier) const = 0;
};

// Work that was recorded, to be queued as often as wanted, each time at the cost of one launch.
// Holds the addresses it was recorded with.
class Graph {
 public:
  virtual ~Graph() = default;
};

// An in-order stream of work. On the CPU a queue is the calling thread: an op has finished when its
// call returns, so one queue belongs to one thread at a time. Owns the scratch memory ops need.
class Queue {
 public:
  virtual ~Queue() = default;
  // At least `bytes` of 64-byte aligned scratch, valid until the next call of scratch() on this
  // queue. Grows in the first steps, then never again.
  virtual void* scratch(int64_t bytes) = 0;
  // Bytes it holds for scratch().
  virtual int64_t scratch_bytes() const = 0;
  // Copies between memory of the host and of the device, in order with the ops. The host's stays as
  // it is until wait(), or until an event marked after them is reached.
  virtual void upload(void* to_device, const void* from, int64_t bytes) = 0;
  virtual void download(void* to, const void* from_device, int64_t bytes) = 0;
  // Within the device's memory, in order with the ops: rows of the same shape and precision, which
  // do not overlap.
  virtual void copy(MixedMatrix<const float> from, MixedMatrix<float> to) = 0;
  // Sets bytes of the device's memory to zero, in order with the ops.
  virtual void clear(void* memory, int64_t bytes) = 0;
  // Waits until everything queued has finished.
  virtual void wait() = 0;
  // Marks the place that the work queued so far leads up to.
  virtual void mark(Event& event) = 0;
  // What is queued from here on begins when that place, of whatever queue, has been reached.
  virtual void wait_for(const Event& event) = 0;
  // Has `work` queue here, which runs none of it and makes a graph of it. `work` must not allocate
  // (nor scratch() grow) and not wait. Null, and `work` is not called, where the device has none.
  virtual std::unique_ptr<Graph> record(const std::function<void()>& work) = 0;
  // Called by that `work`: what was recorded so far is a graph of its own, null where that is
  // nothing; what comes next is recorded for another.
  virtual std::unique_ptr<Graph> cut_recording() = 0;
  virtual void launch(const Graph& graph) = 0;
};

// What a queue takes when scratch() asks for more than it holds: room to spare, so that batches of
// slightly different sizes settle after the first.
inline int64_t scratch_room(int64_t bytes) {
  return bytes + bytes / 2;
}

class DeviceWithoutMemory;

// Where memory of a device comes from.
class DeviceMemory {
 public:
  virtual ~DeviceMemory() = default;
  // 64-byte aligned, zero-filled memory; freed with release(). Throws MachineError when there is
  // none.
  virtual void* allocate(int64_t bytes) = 0;
  virtual void release(void* memory) = 0;
};

class Device : public DeviceMemory {
 public:
  virtual std::string describe() const = 0;
  virtual const Ops& ops() const = 0;
  // How activations of touches are best held for the ops.
  virtual Precision activations() const = 0;
  virtual std::unique_ptr<Queue> make_queue() = 0;
  virtual std::unique_ptr<Event> make_event() = 0;
  virtual std::unique_ptr<Event> make_event_with_time() = 0;
  // Of the same kind: what work asks of it for memory, it would ask of this one
  // (kernels/device_without_memory.h).
  virtual std::unique_ptr<DeviceWithoutMemory> without_memory() const = 0;
  // Memory of the host that copies to and from the device need not stage; freed with
  // release_host().
  virtual void* allocate_host(int64_t bytes) = 0;
  virtual void release_host(void* memory) = 0;
};

// `simd`: auto, scalar, avx2 or avx512. Throws UserError naming the levels this processor has, and
// where it has no products in bf16 and these are asked for.
std::unique_ptr<Device> make_cpu_device(const std::string& simd,
                                        Precision precision = Precision::fp32);

// Levels this processor can run, lowest first: {"scalar", "avx2", ...}.
std::vector<std::string> cpu_simd_levels();

}  // namespace alm
