// What the estimates of a log will want of a machine, said before training.
#pragma once

#include <cstdint>
#include <string>

#include "io/journeys.h"

namespace alm {

// Bytes one rank may come to hold while it scores: sums per cluster and, where they occur, per
// cluster and user group, for each thread; values per cluster of the result and of its replicates.
// `touches`: of the scored journeys of all ranks.
int64_t estimate_bytes(const io::LogSchema& schema, int64_t touches, int64_t threads);

// A sentence of advice where the ranks of a host together would want more than half of `memory`
// bytes, else empty.
std::string memory_advice(const io::LogSchema& schema, int64_t touches, int64_t threads,
                          int64_t ranks, int64_t memory);

}  // namespace alm
