// A checkpoint as files: a directory of named byte blobs with a manifest of sizes and SHA-256,
// written whole or not at all. Knows nothing of what the blobs mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/json.h"

namespace alm::io {

struct CheckpointBlobs {
  Json header;  // small facts: step, options, ...
  std::map<std::string, std::vector<std::byte>> blobs;
};

// Writes <root>/step-<step>/ : into a ".tmp" directory, every file fsynced, manifest last,
// directory renamed, then <root>/latest updated. One process calls it. Keeps the newest `keep`
// steps and any step named in `pinned`.
void save_checkpoint(const std::string& root, int64_t step, const CheckpointBlobs& blobs,
                     int64_t keep, const std::vector<int64_t>& pinned);

// The newest checkpoint that verifies; damaged ones are named in `notes` and passed over.
// nullopt when there is none.
std::optional<CheckpointBlobs> load_newest_checkpoint(const std::string& root,
                                                      std::vector<std::string>& notes);
// One step; UserError naming the file that is damaged or missing.
CheckpointBlobs load_checkpoint(const std::string& root, int64_t step);

}  // namespace alm::io
