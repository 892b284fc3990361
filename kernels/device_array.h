// Numbers in memory of a device, and in memory of the host that a device copies from and to.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "kernels/device.h"

namespace alm {

// Owns `size` numbers; where they come from must outlive it. `Where` says whose memory.
template <class T, class Where>
class OwnedArray {
 public:
  OwnedArray() = default;
  OwnedArray(typename Where::From& from, int64_t size)
      : memory_(static_cast<T*>(Where::allocate(from, size * int64_t{sizeof(T)})), Release{&from}),
        size_(size) {}

  T* data() const { return memory_.get(); }
  int64_t size() const { return size_; }
  int64_t bytes() const { return size_ * int64_t{sizeof(T)}; }
  std::span<T> span() const { return {data(), static_cast<size_t>(size_)}; }

 private:
  struct Release {
    typename Where::From* from = nullptr;
    void operator()(T* memory) const { Where::release(*from, memory); }
  };
  std::unique_ptr<T, Release> memory_;
  int64_t size_ = 0;
};

struct OnDevice {
  using From = DeviceMemory;
  static void* allocate(From& device, int64_t bytes) { return device.allocate(bytes); }
  static void release(From& device, void* memory) { device.release(memory); }
};
// Zero at first. On another device than the CPU the host may not look at it.
template <class T>
using DeviceArray = OwnedArray<T, OnDevice>;

// Numbers in a DeviceArray, for what must not be handed memory of the host: nothing else makes one.
template <class T>
class DeviceSpan {
 public:
  DeviceSpan(const DeviceArray<T>& of) : data_(of.data()), size_(of.size()) {}
  // The first numbers of structures that begin with them.
  template <class Struct>
  static DeviceSpan first_of(const DeviceArray<Struct>& of, int64_t count) {
    ALM_CHECK(count * int64_t{sizeof(T)} <= of.bytes());
    return {reinterpret_cast<T*>(of.data()), count};
  }
  DeviceSpan part(int64_t first, int64_t count) const {
    ALM_CHECK(first >= 0 && count >= 0 && first + count <= size_);
    return {data_ + first, count};
  }
  T* data() const { return data_; }
  int64_t size() const { return size_; }
  int64_t bytes() const { return size_ * int64_t{sizeof(T)}; }
  std::span<T> span() const { return {data_, static_cast<size_t>(size_)}; }

 private:
  DeviceSpan(T* data, int64_t size) : data_(data), size_(size) {}

  T* data_;
  int64_t size_;
};

struct OnHost {
  using From = Device;
  static void* allocate(From& device, int64_t bytes) { return device.allocate_host(bytes); }
  static void release(From& device, void* memory) { device.release_host(memory); }
};
// Page-locked where the device wants that: copies to and from it do not block.
template <class T>
using HostArray = OwnedArray<T, OnHost>;

}  // namespace alm
