// What a file looks like from outside: whether it is still the one that was looked at before.
#pragma once

#include <cstdint>
#include <string>

namespace alm::io {

struct FileKey {
  int64_t bytes = 0;
  int64_t modified_ns = 0;
  std::string superblock;  // the first bytes of the file
  bool operator==(const FileKey&) const = default;
};

// UserError where the file cannot be read.
FileKey look_at(const std::string& path);

}  // namespace alm::io
