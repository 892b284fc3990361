// The small rules of training: micro-blocks, batch, epochs, learning rate, sums of losses.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/train/schedule.h"
#include "engine/train/step.h"
#include "engine/train/train_options.h"
#include "kernels/base/check.h"
#include "tests/engine/estimate/thread_world.h"

namespace alm {
namespace {

TEST(MicroBlocks, AreASixteenthOfABatchOr256) {
  EXPECT_EQ(micro_block_rows(16), 1);
  EXPECT_EQ(micro_block_rows(1024), 64);
  EXPECT_EQ(micro_block_rows(8176), 511);
  EXPECT_EQ(micro_block_rows(8192), 256);
  EXPECT_EQ(micro_block_rows(65536), 256);
}

TEST(MicroBlocks, ThatDoNotDivideABatchAreRefusedWithTheNextGoodBatch) {
  const auto complaint = [](int64_t batch) -> std::string {
    try {
      micro_block_rows(batch);
    } catch (const UserError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(complaint(1000).find("try 1008"), std::string::npos) << complaint(1000);
  EXPECT_NE(complaint(8200).find("try 8448"), std::string::npos) << complaint(8200);
  EXPECT_NE(complaint(8).find("try 16"), std::string::npos) << complaint(8);
}

TEST(Batch, GrowsWithTheTrainingRows) {
  EXPECT_EQ(resolved_batch(48, 5), 48);
  EXPECT_EQ(resolved_batch(0, 999'999), 1024);
  EXPECT_EQ(resolved_batch(0, 1'000'000), 4096);
  EXPECT_EQ(resolved_batch(0, 9'999'999), 4096);
  EXPECT_EQ(resolved_batch(0, 10'000'000), 8192);
}

TEST(Batch, OfASmallLogIsHalvedUntilTwentyEpochsAreAThousandSteps) {
  EXPECT_EQ(resolved_batch(0, 51'200), 1024);
  EXPECT_EQ(resolved_batch(0, 51'199), 512);
  EXPECT_EQ(resolved_batch(0, 6'400), 128);
  EXPECT_EQ(resolved_batch(0, 1), 64);
  for (const int64_t rows :
       {3'200, 3'201, 5'003, 12'799, 12'800, 40'000, 51'199, 51'200, 400'000}) {
    const int64_t batch = resolved_batch(0, rows);
    const int64_t steps = (rows + batch - 1) / batch;
    EXPECT_GE(steps * resolved_epochs(0, steps), 1000) << rows;
    EXPECT_GE(batch, 64) << rows;
    EXPECT_EQ(micro_block_rows(batch) * 16, batch) << rows;
  }
}

TEST(Epochs, MakeAboutTwelveHundredStepsButNotMoreThanTwentyEpochs) {
  EXPECT_EQ(resolved_epochs(3, 1), 3);
  EXPECT_EQ(resolved_epochs(0, 1), 20);
  EXPECT_EQ(resolved_epochs(0, 60), 20);
  EXPECT_EQ(resolved_epochs(0, 61), 20);
  EXPECT_EQ(resolved_epochs(0, 100), 12);
  EXPECT_EQ(resolved_epochs(0, 1199), 2);
  EXPECT_EQ(resolved_epochs(0, 1200), 1);
  EXPECT_EQ(resolved_epochs(0, 5000), 1);
}

TEST(LearningRate, RisesOverTheWarmUpThenFallsAlongACosineToZero) {
  constexpr int64_t kTotal = 1000, kWarmUp = 50;
  EXPECT_NEAR(learning_rate_at(0, kTotal, 2, kWarmUp), 2.0 / 50, 1e-12);
  EXPECT_NEAR(learning_rate_at(24, kTotal, 2, kWarmUp), 0.5 * (1 + std::cos(M_PI * .024)), 1e-12);
  EXPECT_NEAR(learning_rate_at(500, kTotal, 2, kWarmUp), 1, 1e-12);
  EXPECT_NEAR(learning_rate_at(kTotal, kTotal, 2, kWarmUp), 0, 1e-12);
  EXPECT_NEAR(learning_rate_at(0, kTotal, 2, 0), 2, 1e-12);
  for (int64_t step = 1; step < kTotal; ++step) {
    const double before = learning_rate_at(step - 1, kTotal, 1, kWarmUp);
    const double now = learning_rate_at(step, kTotal, 1, kWarmUp);
    EXPECT_TRUE(step < kWarmUp ? now > before : now < before || step == kWarmUp) << step;
  }
}

TEST(Reversal, RampsFromNothingAfterItsWarmUp) {
  EXPECT_EQ(reversal_at(0, 100, 0), 0);
  EXPECT_NEAR(reversal_at(50, 100, 0), 2 / (1 + std::exp(-5.0)) - 1, 1e-15);
  EXPECT_NEAR(reversal_at(99, 100, 0), 1, 2e-4);
  for (const int64_t step : {0, 10, 19, 20}) EXPECT_EQ(reversal_at(step, 100, 20), 0);
  EXPECT_NEAR(reversal_at(60, 100, 20), 2 / (1 + std::exp(-5.0)) - 1, 1e-15);
  for (int64_t step = 20; step < 99; ++step) {
    EXPECT_LT(reversal_at(step, 100, 20), reversal_at(step + 1, 100, 20));
  }
  EXPECT_EQ(reversal_at(5, 5, 5), 0);
}

TEST(LossTotals, AreTheSameForAnyOrderAndRanks) {
  const auto block = [](int64_t at) {
    const double size = std::ldexp(1.0, static_cast<int>(at % 30) - 15);
    return LossSums{size / 3, size / 7, size / 11, size / 13, 1.0 + static_cast<double>(at)};
  };
  constexpr int64_t kBlocks = 61;
  Losses wanted;
  for (const int64_t ranks : {1, 2, 3, 7}) {
    ThreadWorld world(ranks);
    world.run([&](Communicator& comm) {
      LossTotals totals;
      for (int64_t at = kBlocks - 1 - comm.rank(); at >= 0; at -= ranks) totals.add(block(at));
      int64_t stop = comm.rank() == 1;
      totals.reduce(comm, &stop);
      EXPECT_EQ(stop, ranks > 1);
      EXPECT_EQ(totals.broken(), 0);
      const Losses means = totals.means();
      if (ranks == 1) {
        wanted = means;
        double outcome = 0;
        for (int64_t at = 0; at < kBlocks; ++at) outcome += block(at).outcome;
        EXPECT_EQ(means.weight, kBlocks * (kBlocks + 1) / 2.0);
        EXPECT_NEAR(means.outcome, outcome / means.weight, 1e-12);
        EXPECT_EQ(means.watched(), means.mediator + means.outcome + means.propensity);
      }
      EXPECT_EQ(means.mediator, wanted.mediator);
      EXPECT_EQ(means.outcome, wanted.outcome);
      EXPECT_EQ(means.second_stage, wanted.second_stage);
      EXPECT_EQ(means.propensity, wanted.propensity);
    });
  }
}

TEST(LossTotals, CountBlocksThatAreNotFiniteAndLeaveThemOut) {
  for (const double bad : {double{INFINITY}, double{NAN}, 1e30}) {
    ThreadWorld world(3);
    world.run([&](Communicator& comm) {
      LossTotals totals;
      totals.add({1, 2, 3, 4, 5});
      if (comm.rank() == 2) totals.add({0, bad, 0, 0, 1});
      int64_t stop = 0;
      totals.reduce(comm, &stop);
      EXPECT_EQ(totals.broken(), 1);
      EXPECT_EQ(totals.means().weight, 15);
      EXPECT_EQ(totals.means().outcome, 2.0 / 5);
    });
  }
}

}  // namespace
}  // namespace alm
