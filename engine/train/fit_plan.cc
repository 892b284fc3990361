#include "engine/train/fit_plan.h"

#include "engine/model/bundle.h"
#include "kernels/base/hash.h"

namespace alm {
namespace {

PlannedFit planned(const std::string& name, const io::UserFilter& users, double validation,
                   uint64_t seed, bool scores) {
  return {
      name,
      [=](uint64_t user) { return users(user) && !in_validation(user, validation); },
      [=](uint64_t user) { return users(user) && in_validation(user, validation); },
      seed,
      scores,
  };
}

FitPlan plan_folds(const TrainOptions& options) {
  FitPlan plan;
  plan.statistics = plan.scored = [](uint64_t) { return true; };
  const int64_t folds = options.folds;
  for (int64_t fold = 0; fold < folds; ++fold) {
    const auto others = [=](uint64_t user) { return fold_of(user, folds) != fold; };
    const uint64_t seed = hash(options.seed, Salt::fold, static_cast<uint64_t>(fold) + 1);
    plan.fits.push_back(planned(fold_fit(fold), others, options.validation, seed, true));
  }
  return plan;
}

}  // namespace

std::vector<io::UserFilter> FitPlan::scoring_users() const {
  std::vector<io::UserFilter> users;
  for (const PlannedFit& fit : fits) {
    if (!fit.scores) continue;
    users.push_back([&fit](uint64_t user) { return fit.training(user) || fit.validation(user); });
  }
  return users;
}

io::UserFilter thinned(const io::UserFilter& filter, double share) {
  if (share >= 1) return filter;
  return
      [=](uint64_t user) { return filter(user) && unit(hash(user, Salt::validation, 1)) < share; };
}

double kept_validation(double validation, int64_t rows) {
  constexpr double kRows = 200'000;
  const double expected = validation * static_cast<double>(rows);
  return expected > kRows ? kRows / expected : 1;
}

FitPlan plan_fits(const TrainOptions& options) {
  if (options.folds > 1) return plan_folds(options);
  const double holdout = options.holdout;
  FitPlan plan;
  plan.scored = [=](uint64_t user) { return holdout <= 0 || in_holdout(user, holdout); };
  const auto fitted = [=](uint64_t user) { return holdout <= 0 || !in_holdout(user, holdout); };
  plan.fits.push_back(planned(kMainFit, fitted, options.validation, options.seed, true));
  plan.statistics = plan.fits[0].training;
  if (options.model.proxy_mode()) return plan;
  for (int half = 0; half < 2; ++half) {
    const auto mine = [=, scored = plan.scored](uint64_t user) {
      return scored(user) && half_of(user) == half;
    };
    const uint64_t seed = hash(options.seed, Salt::half, static_cast<uint64_t>(half) + 1);
    plan.fits.push_back(planned(half_fit(half), mine, options.validation, seed, false));
  }
  return plan;
}

std::vector<size_t> fits_made(const FitPlan& plan, std::span<const int64_t> rows) {
  bool halves = true;
  for (size_t at = 0; at < plan.fits.size(); ++at) {
    halves = halves && (plan.fits[at].scores || rows[at] >= kHalfRows);
  }
  std::vector<size_t> made;
  for (size_t at = 0; at < plan.fits.size(); ++at) {
    if (plan.fits[at].scores || halves) made.push_back(at);
  }
  return made;
}

}  // namespace alm
