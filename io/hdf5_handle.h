// What every user of HDF5 here shares: owned identifiers, one lock, errors as one line. hdf5.h
// itself is included by .cc files only.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

namespace alm::io {

// Serialises HDF5 calls and silences HDF5's own printing on this thread. Not recursive: taken once,
// at the entrance of a public function.
class Hdf5Session {
 public:
  Hdf5Session();

 private:
  std::lock_guard<std::mutex> lock_;
};

// An HDF5 identifier with the function that closes it. A negative id is "none".
class Hdf5Id {
 public:
  using Close = int (*)(int64_t);
  Hdf5Id() = default;
  Hdf5Id(int64_t id, Close close) : id_(id), close_(close) {}
  Hdf5Id(Hdf5Id&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Hdf5Id& operator=(Hdf5Id&& other) noexcept {
    if (this != &other) {
      reset();
      id_ = std::exchange(other.id_, -1);
      close_ = other.close_;
    }
    return *this;
  }
  ~Hdf5Id() { reset(); }
  explicit operator bool() const { return id_ >= 0; }
  int64_t get() const { return id_; }
  // Closes now; false when HDF5 reports a failure.
  bool reset() { return id_ < 0 || close_(std::exchange(id_, -1)) >= 0; }

 private:
  int64_t id_ = -1;
  Close close_ = nullptr;
};

// The innermost message of HDF5's error stack, in one line.
std::string hdf5_error();

// Opens read-only without file locking; an empty id on failure (ask hdf5_error()).
Hdf5Id hdf5_open(const std::string& path);

}  // namespace alm::io
