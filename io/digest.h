// SHA-256 (OpenSSL) and the checksum of HDF5's Fletcher32 filter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace alm::io {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void update(std::span<const std::byte> bytes);
  void update(const std::string& text);
  // 64 lower-case hex digits; the object may not be used afterwards.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// As HDF5 computes it over a chunk (big-endian 16-bit words).
uint32_t fletcher32(std::span<const std::byte> bytes);

// "OpenSSL 3.0.17 ...", as the library says at run time.
std::string digest_library();

}  // namespace alm::io
