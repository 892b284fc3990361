// The checkpoints of a run: rank 0 writes, every rank reads the same one.
#pragma once

#include <optional>
#include <string>

#include "engine/comm/communicator.h"
#include "engine/train/train_options.h"
#include "io/checkpoint_files.h"

namespace alm {

class RunCheckpoints {
 public:
  RunCheckpoints(const std::string& run_dir, Communicator& world)
      : root_(run_dir + "/checkpoints"), world_(world) {}
  // COLLECTIVE. Rank 0's `checkpoint` is written; the others may hand in an empty one. Returns once
  // it lies on disk.
  void save(int64_t step, const io::CheckpointBlobs& checkpoint);
  // COLLECTIVE. The newest that verifies on rank 0, loaded by all; damaged ones are named.
  std::optional<io::CheckpointBlobs> load_newest();

 private:
  std::string root_;
  Communicator& world_;
};

// The option of the command line that sets a member of ModelOptions, as to_json() names it.
std::string option_name(const std::string& member);

// The options that must not differ when a run goes on: those that change what is learned or
// estimated.
io::Json run_options(const TrainOptions& options);

}  // namespace alm
