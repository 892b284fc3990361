// The checks of alm doctor: each looks at one thing that a job needs, and says what it found.
#pragma once

#include <string>
#include <vector>

#include "engine/comm/communicator.h"
#include "launch/options.h"

namespace alm {

enum class Health { well, doubtful, ill };

struct Finding {
  Health health = Health::well;
  std::string what;      // one line: what was found
  std::string advice{};  // one sentence; empty where all is well
};

// All COLLECTIVE; every rank gets the same findings. Errors that end a check are thrown.

// Barriers: how long ranks take to meet.
std::vector<Finding> check_ping(Communicator& world);
// What `alm --version` says of rank 0, and ranks that find something else.
std::vector<Finding> check_versions(Communicator& world);
// Ranks by host, the cores each may use, memory.
std::vector<Finding> check_machine(const Options& options, Communicator& world);
// Whether each rank could train on a GPU of its own, and sums over them.
std::vector<Finding> check_gpu(const Options& options, Communicator& world);
// Sums of the size of a gradient between ranks.
std::vector<Finding> check_bandwidth(Communicator& world);
// A product of matrices on every thread of every rank at once: whether one is slower than others.
std::vector<Finding> check_speed(const Options& options, Communicator& world);
// --out: every rank sees what the others write there; room on the disk.
std::vector<Finding> check_out(const Options& options, Communicator& world);
// --log: it opens, and all ranks see the same files.
std::vector<Finding> check_log(const Options& options, Communicator& world);

}  // namespace alm
