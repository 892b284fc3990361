// What a file looks like from outside: whether it is still the one that was looked at before.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace alm::io {

struct FileKey {
  int64_t bytes = 0;
  int64_t modified_ns = 0;
  std::string superblock;  // the first bytes of the file
  bool operator==(const FileKey&) const = default;
};

// UserError where the file cannot be read.
FileKey look_at(const std::string& path);

// What an HDF5 file begins with, at 0 or after a user block of 512, 1024, ... bytes.
inline constexpr std::string_view kHdf5Signature = "\x89HDF\r\n\x1a\n";
bool has_hdf5_signature(const std::string& path);

}  // namespace alm::io
