#include "io/sample_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "kernels/base/check.h"

namespace alm::io {
namespace {

// (block, index within its training rows) of every sample of an epoch, lane by lane.
std::vector<std::pair<int64_t, int64_t>> samples(const SamplePlan& plan, int64_t epoch) {
  std::vector<std::pair<int64_t, int64_t>> all;
  std::vector<int64_t> order;
  for (int64_t lane = 0; lane < plan.lanes(); ++lane) {
    int64_t rows = 0;
    for (const LanePiece& piece : plan.lane(epoch, lane)) {
      EXPECT_LT(piece.begin, piece.end);
      plan.piece_order(epoch, lane, piece, order);
      EXPECT_EQ(static_cast<int64_t>(order.size()), piece.end - piece.begin);
      for (const int64_t index : order) all.emplace_back(piece.block, index);
      rows += piece.end - piece.begin;
    }
    EXPECT_EQ(rows, plan.lane_rows(lane));
  }
  return all;
}

SamplePlan plan_of(std::vector<int64_t> blocks, uint64_t seed, int64_t batch, int64_t lanes) {
  return SamplePlan({std::move(blocks), seed, batch, lanes});
}

TEST(SamplePlan, EveryTrainingRowOnceInEveryEpochWhateverTheSizes) {
  const std::vector<std::vector<int64_t>> logs = {
      {}, {0}, {1}, {0, 3, 0, 1}, {7}, {101, 97, 0, 13}, {64, 64, 64, 64}, {1, 1, 1, 1, 1, 1, 1}};
  for (const std::vector<int64_t>& blocks : logs) {
    for (const int64_t lanes : {1, 2, 3, 16}) {
      const SamplePlan plan = plan_of(blocks, 5, lanes * 4, lanes);
      for (const int64_t epoch : {0, 1, 2}) {
        const auto all = samples(plan, epoch);
        EXPECT_EQ(static_cast<int64_t>(all.size()), plan.rows());
        const std::set<std::pair<int64_t, int64_t>> distinct(all.begin(), all.end());
        EXPECT_EQ(distinct.size(), all.size());
        for (const auto& [block, index] : distinct) {
          EXPECT_GE(index, 0);
          EXPECT_LT(index, blocks[static_cast<size_t>(block)]);
        }
      }
    }
  }
}

TEST(SamplePlan, LanesDifferByAtMostOneRowAndStepsCoverTheLongest) {
  for (const int64_t rows : {0, 1, 2, 15, 16, 17, 997}) {
    const SamplePlan plan = plan_of({rows}, 1, 48, 16);
    int64_t least = rows, most = 0;
    for (int64_t lane = 0; lane < 16; ++lane) {
      least = std::min(least, plan.lane_rows(lane));
      most = std::max(most, plan.lane_rows(lane));
    }
    EXPECT_LE(most - least, 1);
    EXPECT_EQ(plan.steps_per_epoch(), (most + 2) / 3);
  }
}

TEST(SamplePlan, OrderDependsOnSeedAndEpochOnly) {
  const std::vector<int64_t> blocks = {50, 60, 70, 80, 90};
  const SamplePlan plan = plan_of(blocks, 3, 32, 4);
  EXPECT_EQ(samples(plan, 0), samples(plan_of(blocks, 3, 32, 4), 0));
  EXPECT_NE(samples(plan, 0), samples(plan, 1));
  EXPECT_NE(samples(plan, 0), samples(plan_of(blocks, 4, 32, 4), 0));
}

TEST(SamplePlan, BlocksAndRowsWithinThemAreEachMixedAnewByEpochAndSeed) {
  const auto blocks_of = [](uint64_t seed, int64_t epoch) {
    std::vector<int64_t> blocks;
    for (const LanePiece& piece :
         plan_of(std::vector<int64_t>(20, 10), seed, 8, 1).lane(epoch, 0)) {
      blocks.push_back(piece.block);
    }
    return blocks;
  };
  EXPECT_NE(blocks_of(1, 0), blocks_of(1, 1));
  EXPECT_NE(blocks_of(1, 0), blocks_of(2, 0));
  const auto rows_of = [](uint64_t seed, int64_t epoch, int64_t lane, int64_t block) {
    std::vector<int64_t> order;
    plan_of({40, 40}, seed, 8, 4).piece_order(epoch, lane, {block, 0, 20}, order);
    return order;
  };
  EXPECT_NE(rows_of(1, 0, 0, 0), rows_of(2, 0, 0, 0));
  EXPECT_NE(rows_of(1, 0, 0, 0), rows_of(1, 1, 0, 0));
  EXPECT_NE(rows_of(1, 0, 0, 0), rows_of(1, 0, 1, 0));
  EXPECT_NE(rows_of(1, 0, 0, 0), rows_of(1, 0, 0, 1));
}

std::vector<int64_t> block_order(const SamplePlan& plan, int64_t epoch) {
  std::vector<int64_t> order;
  for (int64_t lane = 0; lane < plan.lanes(); ++lane) {
    for (const LanePiece& piece : plan.lane(epoch, lane)) {
      if (order.empty() || order.back() != piece.block) order.push_back(piece.block);
    }
  }
  return order;
}

// Of 27 blocks, by 2 lanes: groups 0 to 7, 8 to 15, 16 to 23 and 24 to 26, each whole and in log
// order wherever it stands, and every order of the four about equally often.
TEST(SamplePlan, ALargeLogIsReadInGroupsOfNeighboursWhoseOrderIsDrawnAnew) {
  const SamplePlan plan = plan_of(std::vector<int64_t>(27, 10), 3, 8, 2);
  ASSERT_EQ(plan.group_blocks(), kGroupBlocks);
  constexpr int64_t kEpochs = 2400;
  std::map<std::vector<int64_t>, int64_t> seen;
  for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    std::vector<int64_t> groups;
    const std::vector<int64_t> order = block_order(plan, epoch);
    ASSERT_EQ(order.size(), 27u);
    for (size_t at = 0; at < order.size(); ++at) {
      const bool starts = order[at] % kGroupBlocks == 0;
      if (starts) {
        groups.push_back(order[at] / kGroupBlocks);
      } else {
        ASSERT_EQ(order[at], order[at - 1] + 1);
      }
    }
    ++seen[groups];
  }
  EXPECT_EQ(seen.size(), 24u);
  double chi2 = 0;
  for (const auto& [groups, times] : seen) {
    const double off = static_cast<double>(times) - kEpochs / 24.0;
    chi2 += off * off / (kEpochs / 24.0);
  }
  EXPECT_LT(chi2, 58.6);  // 23 degrees of freedom: one seed in 17,000 exceeds it
}

TEST(SamplePlan, ALogOfAtMostTwoBlocksALaneIsMixedBlockByBlock) {
  EXPECT_EQ(plan_of(std::vector<int64_t>(32, 10), 3, 64, 16).group_blocks(), 1);
  EXPECT_EQ(plan_of(std::vector<int64_t>(33, 10), 3, 64, 16).group_blocks(), kGroupBlocks);
  const std::vector<int64_t> order =
      block_order(plan_of(std::vector<int64_t>(32, 10), 3, 64, 16), 0);
  int64_t neighbours = 0;
  for (size_t at = 1; at < order.size(); ++at) neighbours += order[at] == order[at - 1] + 1;
  EXPECT_LE(neighbours, 5);  // one is expected
}

TEST(SamplePlan, RowsOfAPieceAreMixed) {
  const SamplePlan plan = plan_of({1000}, 3, 32, 1);
  std::vector<int64_t> order;
  plan.piece_order(0, 0, plan.lane(0, 0)[0], order);
  int64_t rising = 0;
  for (size_t at = 1; at < order.size(); ++at) rising += order[at] > order[at - 1] ? 1 : 0;
  EXPECT_NEAR(static_cast<double>(rising), 499.5, 5 * 9.13);  // variance of ascents: (n + 1) / 12
}

TEST(LanesOfRank, AreConsecutiveCompleteAndEven) {
  for (int64_t ranks = 1; ranks <= 16; ++ranks) {
    int64_t next = 0;
    for (int64_t rank = 0; rank < ranks; ++rank) {
      const LaneRange range = lanes_of_rank(16, rank, ranks);
      EXPECT_EQ(range.first, next);
      EXPECT_GE(range.last - range.first, 16 / ranks);
      EXPECT_LE(range.last - range.first, (16 + ranks - 1) / ranks);
      next = range.last;
    }
    EXPECT_EQ(next, 16);
  }
}

TEST(LanesOfRank, MoreRanksThanLanesIsTheUsersErrorWithAdvice) {
  try {
    lanes_of_rank(16, 0, 17);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find("at most 16 ranks"), std::string::npos);
  }
}

}  // namespace
}  // namespace alm::io
