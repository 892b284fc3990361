// Scores on their way to the ranks that refine their bins.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/estimate/scores_by_class.h"
#include "kernels/base/thread_pool.h"

namespace alm {

// Of score i of a class; 1 where weights are not read or there are none.
inline double weight_at(const ScoresByClass& scores, size_t c, size_t i, bool weighted) {
  return weighted && scores.weighted() ? static_cast<double>(scores.weight[c][i]) : 1.0;
}

// COLLECTIVE. Every score to the rank that refines its bin: owner[high 16 bits], -1 for none. What
// came from each rank.
std::vector<ScoresByClass> routed_by_bin(const std::vector<ScoresByClass>& parts,
                                         const std::vector<int32_t>& owner, bool weighted,
                                         ThreadPool& pool, Communicator& comm);

}  // namespace alm
