// A device that computes nothing and has no memory: what is queued on it tells how much memory it
// would take, and nothing else happens.
#pragma once

#include <algorithm>
#include <map>

#include "kernels/device_array.h"

namespace alm {

// Where the host may look at the device's memory, it may look at this: address space that holds
// zeros and becomes memory where it is written. Else addresses are made up, and a look is the end
// of the program.
class DeviceWithoutMemory : public Device {
 public:
  enum class Host { may_look, may_not_look };
  // `ops` must leave alone what they are handed, or queues launch nothing.
  DeviceWithoutMemory(const Ops& ops, Precision activations, Host host)
      : ops_(ops), activations_(activations), host_(host) {}
  ~DeviceWithoutMemory() override;

  // The largest scratch that a queue was asked for.
  int64_t scratch_wanted() const { return scratch_wanted_; }
  void note_scratch(int64_t bytes) { scratch_wanted_ = std::max(scratch_wanted_, bytes); }

  std::string describe() const override { return "a device without memory"; }
  const Ops& ops() const override { return ops_; }
  Precision activations() const override { return activations_; }
  std::unique_ptr<Queue> make_queue() override;
  std::unique_ptr<Event> make_event() override;
  std::unique_ptr<Event> make_event_with_time() override { return make_event(); }
  std::unique_ptr<DeviceWithoutMemory> without_memory() const override;
  void* allocate(int64_t bytes) override;
  void release(void* memory) override;
  void* allocate_host(int64_t bytes) override { return allocate(bytes); }
  void release_host(void* memory) override { release(memory); }

 protected:
  const Ops& ops_;
  const Precision activations_;

 private:
  const Host host_;
  int64_t scratch_wanted_ = 0;
  std::map<void*, size_t> spaces_;
  uintptr_t next_ = uintptr_t{1} << 60;  // no processor's
};

// Ops that do nothing and take no scratch.
extern const Ops kIdleOps;

// A queue of such a device; the device must outlive it. `Base`: Queue, or one whose ops launch
// nothing on it.
template <class Base>
class IdleQueue final : public Base {
 public:
  template <class... Arguments>
  explicit IdleQueue(DeviceWithoutMemory& device, const Arguments&... of_base)
      : Base(of_base...), device_(device) {}
  void* scratch(int64_t bytes) override {
    device_.note_scratch(bytes);
    if (bytes > room_.size()) {
      room_ = {};
      room_ = {device_, scratch_room(bytes)};
    }
    return room_.data();
  }
  int64_t scratch_bytes() const override { return room_.size(); }
  void upload(void*, const void*, int64_t) override {}
  void download(void*, const void*, int64_t) override {}
  void copy(MixedMatrix<const float>, MixedMatrix<float>) override {}
  void clear(void*, int64_t) override {}
  void wait() override {}
  void mark(Event&) override {}
  void wait_for(const Event&) override {}
  std::unique_ptr<Graph> record(const std::function<void()>&) override { return nullptr; }
  std::unique_ptr<Graph> cut_recording() override { return nullptr; }
  void launch(const Graph&) override { ALM_CHECK(false, "a graph that nobody recorded"); }

 private:
  DeviceWithoutMemory& device_;
  DeviceArray<std::byte> room_;
};

}  // namespace alm
