#include "engine/train/fit_plan.h"

#include <gtest/gtest.h>

#include "kernels/base/hash.h"

namespace alm {
namespace {

constexpr uint64_t kUsers = 5003;

TEST(FitPlan, ThatHoldsUsersOutFitsTheOthersAndTheHalvesOfThoseHeldOut) {
  TrainOptions options;
  options.holdout = 0.3;
  const FitPlan plan = plan_fits(options);
  ASSERT_EQ(plan.fits.size(), 3u);
  EXPECT_EQ(plan.fits[0].name, "main");
  for (uint64_t user = 0; user < kUsers; ++user) {
    const bool held_out = in_holdout(user, 0.3);
    EXPECT_EQ(plan.scored(user), held_out);
    int times = 0;
    for (const PlannedFit& fit : plan.fits) times += fit.training(user) + fit.validation(user);
    EXPECT_EQ(times, 1) << user;
    EXPECT_EQ(plan.fits[0].training(user) || plan.fits[0].validation(user), !held_out);
    EXPECT_EQ(plan.statistics(user), plan.fits[0].training(user));
  }
  EXPECT_EQ(plan.scoring_users().size(), 1u);
}

TEST(FitPlan, OfFoldsLeavesEachUserToTheOneFitMadeWithoutThem) {
  for (const int64_t folds : {2, 3, 7}) {
    TrainOptions options;
    options.folds = folds;
    const FitPlan plan = plan_fits(options);
    ASSERT_EQ(static_cast<int64_t>(plan.fits.size()), folds);
    const std::vector<io::UserFilter> scoring = plan.scoring_users();
    ASSERT_EQ(static_cast<int64_t>(scoring.size()), folds);
    for (uint64_t user = 0; user < kUsers; ++user) {
      EXPECT_TRUE(plan.scored(user));
      EXPECT_TRUE(plan.statistics(user));
      for (int64_t fold = 0; fold < folds; ++fold) {
        const PlannedFit& fit = plan.fits[static_cast<size_t>(fold)];
        const bool seen = fold_of(user, folds) != fold;
        EXPECT_EQ(fit.training(user) + fit.validation(user), seen) << user;
        EXPECT_EQ(scoring[static_cast<size_t>(fold)](user), seen);
      }
    }
    EXPECT_NE(plan.fits[0].seed, plan.fits[1].seed);
  }
}

TEST(FitPlan, OfHalvesMakesBothOrNone) {
  TrainOptions options;
  const FitPlan plan = plan_fits(options);
  using Made = std::vector<size_t>;
  EXPECT_EQ(fits_made(plan, std::vector<int64_t>{100, kHalfRows, kHalfRows}), (Made{0, 1, 2}));
  EXPECT_EQ(fits_made(plan, std::vector<int64_t>{100, kHalfRows, kHalfRows - 1}), Made{0});
  options.folds = 3;
  EXPECT_EQ(fits_made(plan_fits(options), std::vector<int64_t>{9, 9, 9}), (Made{0, 1, 2}));
}

TEST(FitPlan, InSampleFitsAndScoresEverybody) {
  TrainOptions options;
  options.holdout = 0;
  const FitPlan plan = plan_fits(options);
  for (uint64_t user = 0; user < 100; ++user) {
    EXPECT_TRUE(plan.scored(user));
    EXPECT_TRUE(plan.fits[0].training(user) || plan.fits[0].validation(user));
  }
}

}  // namespace
}  // namespace alm
