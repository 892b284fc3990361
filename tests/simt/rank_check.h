// Expectations of a test program that runs on several ranks: counted, and told with the rank.
#pragma once

#include <cstdint>
#include <cstdio>
#include <span>
#include <string>

#include "engine/comm/communicator.h"

namespace alm {

inline int64_t failures = 0;  // of this rank

inline void expect(bool holds, const Communicator& world, const std::string& what) {
  if (holds) return;
  ++failures;
  std::fprintf(stderr, "rank %lld of %lld: %s\n", static_cast<long long>(world.rank()),
               static_cast<long long>(world.size()), what.c_str());
}

// COLLECTIVE. Of all ranks.
inline int64_t all_failures(Communicator& world) {
  int64_t all = failures;
  world.all_reduce_sum(std::span(&all, 1), "failures");
  return all;
}

}  // namespace alm
