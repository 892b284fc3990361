// Which fits a run makes and on whom: pure functions of the options and a user's hash.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/train/train_options.h"
#include "io/batch_stream.h"

namespace alm {

// Least training rows for nuisances of a half's own.
inline constexpr int64_t kHalfRows = 1500;

struct PlannedFit {
  std::string name;
  io::UserFilter training;
  io::UserFilter validation;
  uint64_t seed = 1;
  bool scores = false;  // makes the estimates; else it serves grouped_auuc alone
};

struct FitPlan {
  io::UserFilter statistics;  // whose rows give scales, missing values and admitted items
  io::UserFilter scored;      // on whom estimates are made
  std::vector<PlannedFit> fits;

  // Training users of the scoring fits, in order: one, or one a fold.
  std::vector<io::UserFilter> scoring_users() const;
};

// A share of the users that pass `filter`, by hash; all of them at 1.
io::UserFilter thinned(const io::UserFilter& filter, double share);

// The share of the validation rows that a run of a log of so many rows looks at: they are kept in
// memory, and more than 200,000 tell the loss no better.
double kept_validation(double validation, int64_t rows);

// --folds 1: the main fit on the users that are not held out, and one fit on each half of the
// scored users; none on halves in proxy mode, whose scores are not judged by gains. --folds F: a
// fit on all but the users of each fold. There the statistics are of everyone (they know no outcome
// but its scale), and there are no halves: every outcome is already in the fits that rank the
// clusters, so none is left to judge that ranking by.
FitPlan plan_fits(const TrainOptions& options);

// Positions in the plan, ascending, of the fits that a run makes, by the training rows of all
// [fits]. Those on the halves serve grouped_auuc alone: with too few users in one of them there are
// none, and grouped_auuc says so.
std::vector<size_t> fits_made(const FitPlan& plan, std::span<const int64_t> rows);

}  // namespace alm
