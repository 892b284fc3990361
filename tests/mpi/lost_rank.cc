// Rank 1 of 3 is killed in the middle of a row of collectives; the others would wait for it for
// ever.
#include <csignal>
#include <cstring>

#include "engine/comm/communicator.h"

int main(int argc, char** argv) {
  const bool abort_instead = argc > 1 && std::strcmp(argv[1], "abort") == 0;
  const auto world = alm::make_world_communicator(&argc, &argv);
  for (int64_t round = 0;; ++round) {
    int64_t value = 1;
    world->all_reduce_sum(std::span<int64_t>(&value, 1), "lost rank");
    if (round == 100 && world->rank() == 1) {
      if (abort_instead) world->abort(75);
      std::raise(SIGKILL);
    }
  }
}
