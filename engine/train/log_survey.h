// What a plan needs to know of a log, from some of its blocks: of a log of no more than those the
// same that a run counts.
#pragma once

#include <memory>
#include <vector>

#include "engine/model/feature_stats.h"
#include "engine/train/fit_plan.h"
#include "kernels/base/thread_pool.h"

namespace alm {

inline constexpr int64_t kSurveyedBlocks = 64;

struct LogSurvey {
  std::shared_ptr<const FeatureStats> stats;  // those that sizes of a model hang on
  std::vector<int64_t> fit_rows;              // [fits] training rows
  int64_t validation_rows = 0;                // of the first fit
  int64_t scored_rows = 0;
  double journey_bytes = 0;  // of a journey with its touches in memory, on average
  int64_t blocks_read = 0;
};

// Reads kSurveyedBlocks blocks, evenly spaced, or all. UserError as a run's first pass has it, as
// far as that looks at these blocks alone.
LogSurvey survey_log(const io::Log& log, const TrainOptions& options, const FitPlan& plan,
                     ThreadPool& pool);

}  // namespace alm
