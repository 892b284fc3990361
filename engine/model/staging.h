// Arrays of the host on their way to a device: packed into one page-locked buffer, sent in one
// copy.
#pragma once

#include <cstddef>
#include <cstring>

#include "kernels/device_array.h"

namespace alm {

// Used again for batch after batch: grows with the first, then never again. What was sent before
// must have arrived, and the ops that read it must have finished, before begin().
class Staging {
 public:
  // The device must outlive it.
  explicit Staging(Device& device) : device_(device) {}

  // Bytes that `count` numbers take.
  template <class T>
  static int64_t room(int64_t count) {
    return (count * int64_t{sizeof(T)} + kAlignment - 1) / kAlignment * kAlignment;
  }
  // Makes room for arrays of so many bytes in all.
  void begin(int64_t bytes);
  // Takes as much at once; what was put before is lost.
  void reserve(int64_t bytes);
  // That it holds, on either side.
  int64_t bytes() const { return memory_.size(); }
  // Where the host writes numbers, until send(), and where they will be on the device.
  template <class T>
  struct Place {
    T* host;
    const T* on_device;
  };
  template <class T>
  Place<T> take(int64_t count) {
    const int64_t at = used_;
    used_ += room<T>(count);
    ALM_CHECK(used_ <= memory_.size());
    return {reinterpret_cast<T*>(host_.data() + at),
            reinterpret_cast<const T*>(memory_.data() + at)};
  }
  // Writes an array; where it will be.
  template <class T>
  std::span<const T> put(std::span<const T> array) {
    const Place<T> place = take<T>(std::ssize(array));
    if (!array.empty()) std::memcpy(place.host, array.data(), array.size_bytes());
    return {place.on_device, array.size()};
  }
  void send(Queue& queue) { queue.upload(memory_.data(), host_.data(), used_); }
  // Of the memory on the device: another one after it grew.
  const void* address() const { return memory_.data(); }

 private:
  static constexpr int64_t kAlignment = 256;
  void take_memory(int64_t bytes);

  Device& device_;
  HostArray<std::byte> host_;
  DeviceArray<std::byte> memory_;
  int64_t used_ = 0;
};

}  // namespace alm
