// The index of a file in a file of its own. It is a cache: whatever does not fit the log file as it
// is now is ignored, and so is a directory that cannot be written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/file_index.h"
#include "io/file_key.h"

namespace alm::io {

// The index as bytes, and back; nullopt when they are damaged.
std::string pack_index(const FileIndex& index);
std::optional<FileIndex> unpack_index(const std::string& bytes);

std::optional<FileIndex> load_sidecar(const std::string& path, const FileKey& key);
void save_sidecar(const std::string& path, const FileKey& key, const FileIndex& index);

}  // namespace alm::io
