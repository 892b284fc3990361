// Numbers in memory of a device, and in memory of the host that a device copies from and to.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "kernels/device.h"

namespace alm {

// Owns `size` numbers; the device must outlive it. `Where` says whose memory.
template <class T, class Where>
class OwnedArray {
 public:
  OwnedArray() = default;
  OwnedArray(Device& device, int64_t size)
      : memory_(static_cast<T*>(Where::allocate(device, size * int64_t{sizeof(T)})),
                Release{&device}),
        size_(size) {}

  T* data() const { return memory_.get(); }
  int64_t size() const { return size_; }
  int64_t bytes() const { return size_ * int64_t{sizeof(T)}; }
  std::span<T> span() const { return {data(), static_cast<size_t>(size_)}; }

 private:
  struct Release {
    Device* device = nullptr;
    void operator()(T* memory) const { Where::release(*device, memory); }
  };
  std::unique_ptr<T, Release> memory_;
  int64_t size_ = 0;
};

struct OnDevice {
  static void* allocate(Device& device, int64_t bytes) { return device.allocate(bytes); }
  static void release(Device& device, void* memory) { device.release(memory); }
};
// Zero at first. On another device than the CPU the host may not look at it.
template <class T>
using DeviceArray = OwnedArray<T, OnDevice>;

struct OnHost {
  static void* allocate(Device& device, int64_t bytes) { return device.allocate_host(bytes); }
  static void release(Device& device, void* memory) { device.release_host(memory); }
};
// Page-locked where the device wants that: copies to and from it do not block.
template <class T>
using HostArray = OwnedArray<T, OnHost>;

}  // namespace alm
