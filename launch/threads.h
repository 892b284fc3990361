// Where ranks may run, and how many threads one may use.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/comm/communicator.h"
#include "launch/options.h"

namespace alm {

struct RankPlace {
  std::string host;
  std::string cores;  // a character a processor of the host: '1' where the rank may run
};

// COLLECTIVE. Of every rank.
std::vector<RankPlace> places_of_ranks(Communicator& world);

// COLLECTIVE. `--threads` where given above 0; else the cores this rank may run on, each shared
// evenly by the ranks of the host that may run on it (so bound ranks keep their own cores), at
// least 1.
int64_t threads_of_rank(const Options& options, Communicator& world);

}  // namespace alm
