// How many threads a rank may use.
#pragma once

#include <cstdint>

#include "engine/comm/communicator.h"
#include "launch/options.h"

namespace alm {

// COLLECTIVE. `--threads` where given above 0; else the cores this rank may run on, each shared
// evenly by the ranks of the host that may run on it (so bound ranks keep their own cores), at
// least 1.
int64_t threads_of_rank(const Options& options, Communicator& world);

}  // namespace alm
