#include "io/batch_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "fake_log.h"
#include "kernels/base/hash.h"

namespace alm::io {
namespace {

bool trains(uint64_t user) {
  return !in_holdout(user, 0.2);
}

std::vector<int64_t> training_rows(const FakeLog& log) {
  std::vector<int64_t> rows;
  for (int64_t row = 0; row < log.rows(); ++row) {
    if (trains(static_cast<uint64_t>(row * 7 + 1))) rows.push_back(row);
  }
  return rows;
}

std::shared_ptr<const SamplePlan> plan_of(const FakeLog& log, int64_t batch, int64_t lanes) {
  SamplePlanInput input;
  input.block_rows.assign(log.blocks().size(), 0);
  for (const int64_t row : training_rows(log)) {
    ++input.block_rows[static_cast<size_t>(row / log.schema().block_rows)];
  }
  input.seed = 9;
  input.batch = batch;
  input.lanes = lanes;
  return std::make_shared<SamplePlan>(std::move(input));
}

using Rows = std::vector<int64_t>;
using Steps = std::vector<std::vector<Rows>>;  // [step][lane] rows

// `count` steps from (epoch, step) on, by `ranks` streams with `threads` threads each.
Steps take(std::shared_ptr<const FakeLog> log, std::shared_ptr<const SamplePlan> plan,
           int64_t epoch, int64_t step, int64_t count, int64_t ranks, int64_t threads,
           int64_t depth = 3) {
  Steps steps(static_cast<size_t>(count));
  for (int64_t rank = 0; rank < ranks; ++rank) {
    TrainStream::Options options;
    options.lanes = lanes_of_rank(plan->lanes(), rank, ranks);
    options.first_epoch = epoch;
    options.first_step = step;
    options.filter = trains;
    options.threads = threads;
    options.depth = depth;
    TrainStream stream(log, plan, options);
    for (std::vector<Rows>& lanes : steps) {
      for (const Journeys& journeys : stream.next()) {
        EXPECT_TRUE(holds_fake_rows(journeys));
        lanes.push_back(journeys.row);
      }
    }
  }
  return steps;
}

TEST(TrainStream, GivesEveryTrainingRowOnceInEveryEpoch) {
  for (const int64_t rows : {1, 2, 13, 100, 997}) {
    auto log = std::make_shared<FakeLog>(rows, 64);
    const Rows expected = training_rows(*log);
    if (expected.empty()) continue;
    for (const int64_t lanes : {1, 4, 16}) {
      auto plan = plan_of(*log, lanes * 8, lanes);
      const int64_t steps = plan->steps_per_epoch();
      const Steps taken = take(log, plan, 0, 0, 3 * steps, 1, 2);
      for (int64_t epoch = 0; epoch < 3; ++epoch) {
        Rows seen;
        for (int64_t step = 0; step < steps; ++step) {
          for (const Rows& lane : taken[static_cast<size_t>(epoch * steps + step)]) {
            EXPECT_LE(lane.size(), 8u);
            seen.insert(seen.end(), lane.begin(), lane.end());
          }
        }
        std::sort(seen.begin(), seen.end());
        EXPECT_EQ(seen, expected) << rows << " rows, " << lanes << " lanes, epoch " << epoch;
      }
    }
  }
}

TEST(TrainStream, FollowsThePlanRowByRow) {
  auto log = std::make_shared<FakeLog>(500, 64);
  auto plan = plan_of(*log, 40, 4);
  std::vector<Rows> of_block(log->blocks().size());
  for (const int64_t row : training_rows(*log))
    of_block[static_cast<size_t>(row / 64)].push_back(row);
  const Steps taken = take(log, plan, 2, 0, plan->steps_per_epoch(), 1, 2);
  for (int64_t lane = 0; lane < 4; ++lane) {
    Rows expected, seen, order;
    for (const LanePiece& piece : plan->lane(2, lane)) {
      plan->piece_order(2, lane, piece, order);
      for (const int64_t index : order) {
        expected.push_back(of_block[static_cast<size_t>(piece.block)][static_cast<size_t>(index)]);
      }
    }
    for (const auto& step : taken) {
      const Rows& part = step[static_cast<size_t>(lane)];
      seen.insert(seen.end(), part.begin(), part.end());
    }
    EXPECT_EQ(seen, expected);
  }
}

TEST(TrainStream, IsTheSameForAnyNumberOfRanksThreadsAndDepth) {
  for (const int64_t block_rows : {50, 20}) {  // in memory whole, and in groups of blocks
    auto log = std::make_shared<FakeLog>(1009, block_rows);
    auto plan = plan_of(*log, 16 * 5, 16);
    EXPECT_EQ(plan->group_blocks(), block_rows == 50 ? 1 : kGroupBlocks);
    const int64_t count = 2 * plan->steps_per_epoch() + 1;
    const Steps expected = take(log, plan, 0, 0, count, 1, 1);
    for (const int64_t ranks : {1, 2, 3, 6, 16}) {
      for (const int64_t threads : {1, 3, 8}) {
        EXPECT_EQ(take(log, plan, 0, 0, count, ranks, threads, threads), expected);
      }
    }
  }
}

TEST(TrainStream, GoesOnFromAnyStepWithTheSameRest) {
  auto log = std::make_shared<FakeLog>(307, 32);
  auto plan = plan_of(*log, 20, 4);
  const int64_t steps = plan->steps_per_epoch();
  const Steps whole = take(log, plan, 0, 0, 3 * steps, 1, 2);
  for (int64_t from = 0; from <= 2 * steps; ++from) {
    // Step `steps` of an epoch is step 0 of the next: both ways to say it are taken.
    const int64_t epoch = from == steps ? 0 : from / steps;
    const Steps rest = take(log, plan, epoch, from - epoch * steps, 3 * steps - from, 2, 2);
    EXPECT_EQ(rest, Steps(whole.begin() + from, whole.end())) << "from step " << from;
  }
}

TEST(TrainStream, DecodesASmallLogOnceForAllLanesAndEpochs) {
  auto log = std::make_shared<FakeLog>(640, 64);
  auto plan = plan_of(*log, 64, 16);
  take(log, plan, 0, 0, 5 * plan->steps_per_epoch(), 1, 3);
  for (int64_t block = 0; block < 10; ++block) EXPECT_EQ(log->reads(block), 1);
}

TEST(TrainStream, ReadsASmallLogInItsOrderAndAsksForNoMoreMemory) {
  auto log = std::make_shared<FakeLog>(640, 64);
  auto plan = plan_of(*log, 64, 16);
  take(log, plan, 0, 0, plan->steps_per_epoch(), 1, 1);
  Rows expected(10);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(log->order(), expected);
  EXPECT_EQ(log->places_ever, 0);
}

// What a lane reads next lies behind what it has, but at the ends of groups.
TEST(TrainStream, GoesOnInALargeLogWhereEachLaneIs) {
  auto log = std::make_shared<FakeLog>(4000, 20);
  auto plan = plan_of(*log, 16, 4);
  {
    TrainStream::Options options;
    options.lanes = {1, 4};
    options.filter = trains;
    TrainStream stream(log, plan, options);
    for (int64_t step = 0; step < plan->steps_per_epoch(); ++step) stream.next();
    EXPECT_EQ(log->places_now, 3);
  }
  EXPECT_EQ(log->places_now, 0);
  std::vector<int64_t> lane_is_at;
  int64_t goes_on = 0;
  for (const int64_t block : log->order()) {
    const auto place = std::find(lane_is_at.begin(), lane_is_at.end(), block - 1);
    goes_on += place != lane_is_at.end();
    if (place != lane_is_at.end()) {
      *place = block;
    } else {
      lane_is_at.push_back(block);
    }
  }
  const auto reads = static_cast<int64_t>(log->order().size());
  EXPECT_GE(reads, 150);
  EXPECT_LE(reads - goes_on, 150 / kGroupBlocks + 2 * 3);
}

TEST(TrainStream, DecodesABlockAtMostOncePerLanePass) {
  auto log = std::make_shared<FakeLog>(4000, 20);
  auto plan = plan_of(*log, 8, 2);
  std::vector<int64_t> meetings(log->blocks().size(), 0);
  for (const int64_t epoch : {0, 1, 2}) {
    for (const int64_t lane : {0, 1}) {
      for (const LanePiece& piece : plan->lane(epoch, lane)) {
        ++meetings[static_cast<size_t>(piece.block)];
      }
    }
  }
  take(log, plan, 0, 0, 2 * plan->steps_per_epoch(), 1, 3);
  for (size_t block = 0; block < meetings.size(); ++block) {
    EXPECT_LE(log->reads(static_cast<int64_t>(block)), meetings[block]);
  }
}

TEST(TrainStream, ARankDecodesOnlyTheBlocksOfItsLanes) {
  auto log = std::make_shared<FakeLog>(4000, 20);
  auto plan = plan_of(*log, 64, 16);
  TrainStream::Options options;
  options.lanes = lanes_of_rank(16, 1, 4);
  options.filter = trains;
  {
    TrainStream stream(log, plan, options);
    for (int64_t step = 0; step < plan->steps_per_epoch() / 2; ++step) stream.next();
  }
  int64_t reads = 0;
  for (int64_t block = 0; block < 200; ++block) reads += log->reads(block);
  EXPECT_LE(reads, 200 / 4 + 8);
}

TEST(TrainStream, ReusesItsMemory) {
  auto log = std::make_shared<FakeLog>(997, 64);
  auto plan = plan_of(*log, 32, 4);
  TrainStream::Options options;
  options.lanes = {0, 4};
  options.filter = trains;
  options.depth = 2;
  TrainStream stream(log, plan, options);
  const int64_t steps = plan->steps_per_epoch();
  std::vector<const Journeys*> places;
  std::vector<const int64_t*> memory;
  for (int64_t step = 0; step < 4 * steps; ++step) {
    const std::span<const Journeys> lanes = stream.next();
    if (step < 2) {
      places.push_back(lanes.data());
      memory.push_back(lanes[0].row.data());
    } else {
      EXPECT_EQ(lanes.data(), places[static_cast<size_t>(step % 2)]);
    }
    if (step >= 2 && step < 2 + steps / 2) {
      EXPECT_EQ(lanes[0].row.data(), memory[static_cast<size_t>(step % 2)]);
    }
  }
}

TEST(TrainStream, AnErrorOfAReadingThreadIsThrownInNextAndStays) {
  for (const int64_t threads : {1, 4}) {
    auto log = std::make_shared<FakeLog>(1000, 50);
    log->fail_on_block = 7;
    auto plan = plan_of(*log, 32, 4);
    TrainStream::Options options;
    options.lanes = {0, 4};
    options.filter = trains;
    options.threads = threads;
    TrainStream stream(log, plan, options);
    int64_t good = 0;
    EXPECT_THROW(
        {
          for (; good < plan->steps_per_epoch(); ++good) stream.next();
        },
        UserError);
    EXPECT_LT(good, plan->steps_per_epoch());
    EXPECT_THROW(stream.next(), UserError);
  }
}

TEST(TrainStream, EndsAtOnceWhenTheConsumerStopsEarly) {
  for (int64_t taken = 0; taken < 6; ++taken) {
    auto log = std::make_shared<FakeLog>(2000, 50);
    log->read_time = std::chrono::microseconds(300);
    auto plan = plan_of(*log, 32, 4);
    TrainStream::Options options;
    options.lanes = {0, 4};
    options.filter = trains;
    options.threads = 4;
    TrainStream stream(log, plan, options);
    for (int64_t step = 0; step < taken; ++step) stream.next();
  }
}

TEST(TrainStream, CountsTheTimeTheConsumerWaits) {
  auto log = std::make_shared<FakeLog>(100, 100);
  log->read_time = std::chrono::milliseconds(30);
  TrainStream::Options options;
  options.lanes = {0, 1};
  options.filter = trains;
  TrainStream stream(log, plan_of(*log, 8, 1), options);
  stream.next();
  EXPECT_GT(stream.wait_seconds(), 0.02);
}

TEST(TrainStream, ALogWithoutTrainingRowsIsTheUsersError) {
  auto log = std::make_shared<FakeLog>(0, 10);
  TrainStream::Options options;
  options.lanes = {0, 1};
  EXPECT_THROW(TrainStream(log, plan_of(*log, 8, 1), options), UserError);
}

TEST(TrainStream, ALogThatChangedSinceTheCountIsAMachineError) {
  auto log = std::make_shared<FakeLog>(100, 10);
  TrainStream::Options options;
  options.lanes = {0, 1};  // no filter: more rows than the plan counted
  TrainStream stream(log, plan_of(*log, 8, 1), options);
  EXPECT_THROW(for (int64_t step = 0; step < 100; ++step) stream.next(), MachineError);
}

struct Scanned {
  std::vector<int64_t> blocks;
  std::vector<std::vector<Rows>> batches;
  ReadReport report;
};

Scanned scan(std::shared_ptr<const FakeLog> log, ScanStream::Options options) {
  ScanStream stream(log, options);
  Scanned scanned;
  int64_t block = -1;
  while (const std::vector<Journeys>* batches = stream.next(&block)) {
    scanned.blocks.push_back(block);
    scanned.batches.emplace_back();
    for (const Journeys& batch : *batches) {
      EXPECT_TRUE(holds_fake_rows(batch));
      scanned.batches.back().push_back(batch.row);
    }
  }
  EXPECT_EQ(stream.next(&block), nullptr);
  scanned.report = stream.report();
  return scanned;
}

TEST(ScanStream, GivesEveryFilteredRowOnceInOrderInCutsOfOneBlock) {
  for (const int64_t rows : {0, 1, 7, 64, 65, 1009}) {
    auto log = std::make_shared<FakeLog>(rows, 64);
    ScanStream::Options options;
    options.last_block = static_cast<int64_t>(log->blocks().size());
    options.rows = 10;
    options.filter = trains;
    const Scanned one = scan(log, options);
    Rows seen;
    for (size_t block = 0; block < one.batches.size(); ++block) {
      EXPECT_EQ(one.blocks[block], static_cast<int64_t>(block));
      for (size_t batch = 0; batch < one.batches[block].size(); ++batch) {
        const Rows& part = one.batches[block][batch];
        if (batch + 1 < one.batches[block].size()) {
          EXPECT_EQ(part.size(), 10u);
        }
        for (const int64_t row : part) EXPECT_EQ(row / 64, static_cast<int64_t>(block));
        seen.insert(seen.end(), part.begin(), part.end());
      }
    }
    EXPECT_EQ(seen, training_rows(*log));
    EXPECT_EQ(one.report.rows, rows);
    options.threads = 4;
    options.depth = 5;
    EXPECT_EQ(scan(log, options).batches, one.batches);
  }
}

TEST(ScanStream, WithoutAFilterGivesAllRowsOfTheAskedBlocks) {
  auto log = std::make_shared<FakeLog>(1000, 100);
  ScanStream::Options options;
  options.first_block = 3;
  options.last_block = 5;
  options.rows = 1000;
  const Scanned scanned = scan(log, options);
  EXPECT_EQ(scanned.blocks, (std::vector<int64_t>{3, 4}));
  Rows seen = scanned.batches[0][0];
  seen.insert(seen.end(), scanned.batches[1][0].begin(), scanned.batches[1][0].end());
  Rows expected(200);
  std::iota(expected.begin(), expected.end(), 300);
  EXPECT_EQ(seen, expected);
}

TEST(ScanStream, SumsTheReportsInBlockOrder) {
  auto log = std::make_shared<FakeLog>(1000, 100);
  ScanStream::Options options;
  options.last_block = 10;
  options.threads = 4;
  const Scanned scanned = scan(log, options);
  EXPECT_EQ(scanned.report.rows, 1000);
  EXPECT_EQ(scanned.report.bad_rows, 3);
  EXPECT_EQ(scanned.report.first_bad_row, "block 2");
}

TEST(ScanStream, ThrowsAReadersErrorAfterTheBlocksBeforeIt) {
  auto log = std::make_shared<FakeLog>(1000, 100);
  log->fail_on_block = 4;
  ScanStream::Options options;
  options.last_block = 10;
  ScanStream stream(log, options);
  int64_t block = -1;
  EXPECT_THROW(while (stream.next(&block) != nullptr){}, UserError);
  EXPECT_EQ(block, 3);
}

TEST(ScanStream, EndsAtOnceWhenTheConsumerStopsEarly) {
  auto log = std::make_shared<FakeLog>(1000, 10);
  log->read_time = std::chrono::microseconds(300);
  ScanStream::Options options;
  options.last_block = 100;
  options.threads = 4;
  ScanStream stream(log, options);
  int64_t block = -1;
  stream.next(&block);
}

}  // namespace
}  // namespace alm::io
