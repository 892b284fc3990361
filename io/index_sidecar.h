// The index of a file in a file of its own. It is a cache: whatever does not fit the log file as it
// is now is ignored, and so is a directory that cannot be written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/file_index.h"

namespace alm::io {

// What a log file looks like from outside; an index belongs to one of these.
struct FileKey {
  int64_t bytes = 0;
  int64_t modified_ns = 0;
  std::string superblock;  // the first bytes of the file
  bool operator==(const FileKey&) const = default;
};

std::optional<FileIndex> load_sidecar(const std::string& path, const FileKey& key);
void save_sidecar(const std::string& path, const FileKey& key, const FileIndex& index);

}  // namespace alm::io
