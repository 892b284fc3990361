#include "engine/train/run_dir.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>

#include "io/checkpoint_files.h"
#include "kernels/base/log.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

namespace fs = std::filesystem;

// Whether the directory holds no more than a start that ended before its first checkpoint leaves.
bool only_a_failed_start(const std::string& run_dir) {
  bool config = false, metrics = false;
  for (const fs::directory_entry& entry : fs::directory_iterator(run_dir)) {
    const std::string name = entry.path().filename().string();
    config |= name == "config.json";
    metrics |= name == "metrics.jsonl";
    if (name == "config.json" || name == "config.json.tmp" || name == "metrics.jsonl") continue;
    if (name != "checkpoints" || !entry.is_directory()) return false;
    for (const fs::directory_entry& step : fs::directory_iterator(entry.path())) {
      if (!step.path().filename().string().ends_with(".tmp")) return false;
    }
  }
  return metrics || !config;  // metrics.jsonl comes first: without it the file is someone else's
}

}  // namespace

void claim_run_dir(const std::string& run_dir, bool resume, Communicator& world) {
  world.together("run directory", [&] {
    if (world.rank() != 0) return;
    const std::string out = "--out " + run_dir;
    std::error_code error;
    fs::create_directories(run_dir, error);
    if (error || !fs::is_directory(run_dir)) {
      throw UserError(out + ": cannot be made a directory" + (error ? ": " + error.message() : ""));
    }
    if (::access(run_dir.c_str(), W_OK) != 0) {
      throw UserError(out + ": cannot be written: " + std::strerror(errno));
    }
    if (!resume && !only_a_failed_start(run_dir)) {
      throw UserError(
          out + " is not empty: name another directory, or give --resume to go on with that run");
    }
  });
}

Bundle newest_bundle(const std::string& run_dir, const char* option, bool whole) {
  if (!fs::is_directory(run_dir)) {
    throw UserError(format("%s %s: there is no such directory; name the --out of an alm train",
                           option, run_dir.c_str()));
  }
  std::vector<std::string> notes;
  const std::optional<io::CheckpointBlobs> checkpoint =
      io::load_newest_checkpoint(run_dir + "/checkpoints", notes);
  for (const std::string& note : notes) log_warning(note);
  if (!checkpoint) {
    throw UserError(format("%s %s has no %scheckpoint: train first", option, run_dir.c_str(),
                           notes.empty() ? "" : "good "));
  }
  const std::string where = checkpoint->header.at("where").get<std::string>();
  if (whole && !checkpoint->header.at("complete").get<bool>()) {
    throw UserError(
        notes.empty()
            ? format("%s %s stopped before its estimates (%s): go on with alm train --resume",
                     option, run_dir.c_str(), where.c_str())
            : format("%s %s: its newest checkpoint is damaged and the one before (%s) has not all "
                     "that estimates need: complete it with alm train --resume",
                     option, run_dir.c_str(), where.c_str()));
  }
  if (!notes.empty()) log_warning(format("%s: using its checkpoint of: %s", option, where.c_str()));
  return get_bundle(*checkpoint);
}

Bundle load_run(const std::string& run_dir, Communicator& world) {
  Bundle bundle;
  world.together("loading the run", [&] { bundle = newest_bundle(run_dir, "--run", true); });
  return bundle;
}

}  // namespace alm
