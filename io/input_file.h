// A file that is only read, by pread: any thread may read any part of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace alm::io {

// Fills `out` with the bytes from `offset` on. Returns how many there were: fewer than asked for
// where the file ends; -1 on a fault, which errno names. Thread-safe.
int64_t read_at(int file, int64_t offset, std::span<std::byte> out);

// Open for reading until it goes. UserError naming the path when it cannot be opened.
class InputFile {
 public:
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  int number() const { return number_; }
  int64_t read(int64_t offset, std::span<std::byte> out) const {
    return read_at(number_, offset, out);
  }

 private:
  int number_;
};

}  // namespace alm::io
