// Exact areas under the curves of a ranking, however many scores (method 6.5): a first pass counts
// them by the high 16 of their ordered bits, a second by the low 16 within those bins whose inner
// order matters. Nothing is sorted as a whole, and memory has a bound.
#pragma once

#include <array>
#include <cstdint>

#include "engine/comm/communicator.h"
#include "engine/estimate/scores_by_class.h"
#include "engine/estimate/uplift_curve.h"
#include "kernels/base/thread_pool.h"

namespace alm {

struct RankingOptions {
  bool weighted = false;              // equal on all ranks; else weights are not read
  bool uplift = false;                // also the uplift and Qini areas: refines more bins
  int64_t memory = int64_t{1} << 30;  // bytes a rank may hold for the second pass, at least 4 MiB
};

struct RankingAreas {
  int64_t scores = 0;                                   // over all ranks
  std::array<double, ScoresByClass::kClasses> total{};  // weight by class
  double auc = 0;           // of outcome 1 above outcome 0, ties one half; NaN with one class
  double auc_bound = 0;     // |AUC by the first pass - auc| is at most this
  Areas uplift;             // where asked for: the whole curve, by distinct scores
  double uplift_bound = 0;  // of the area, before any normalisation
  int64_t refined_bins = 0;
  int64_t passes = 1;  // over the scores
};

// COLLECTIVE. Every rank gets the same answer, the same bits for any number of ranks and threads.
// At most 2^32 - 1 scores fall into one bin when they have no weights.
RankingAreas exact_ranking(const ScoreSource& source, const RankingOptions& options,
                           ThreadPool& pool, Communicator& comm);

}  // namespace alm
