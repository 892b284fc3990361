// What controls move, against counting: nothing is lost, nothing stays, cells keep what they hold.
#include "engine/estimate/control_log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "engine/model/scan.h"
#include "kernels/base/rng.h"
#include "tests/engine/estimate/thread_world.h"
#include "tests/engine/memory_log.h"

namespace alm {
namespace {

constexpr int64_t kClusters = 5;

// Journeys of 0 to 4 touches; the stratum of a journey is its one context id. Every touch's item is
// a number of its own.
std::shared_ptr<const io::Log> log_of(int64_t rows, bool arms) {
  io::LogSchema schema;
  schema.clusters = kClusters;
  schema.cat = 1;
  schema.mediator = schema.item = schema.time = schema.touch_time = true;
  schema.truth = schema.randomised = true;
  if (arms) schema.reference_cluster = 0;
  io::Journeys journeys;
  for (int64_t row = 0; row < rows; ++row) {
    Rng rng(11, Stream::test, static_cast<uint64_t>(row));
    journeys.row.push_back(row);
    journeys.user.push_back(rng.below(static_cast<uint64_t>(rows)));
    journeys.time.push_back(1000 * static_cast<int64_t>(rng.below(50)));
    journeys.outcome.push_back(rng.bernoulli(0.4) ? 1.0f : 0.0f);
    journeys.cat.push_back(static_cast<int64_t>(rng.below(3)));
    const int64_t touches = arms ? 1 : static_cast<int64_t>(rng.below(5));
    for (int64_t j = 0; j < touches; ++j) {
      journeys.cluster.push_back(static_cast<uint32_t>(rng.below(kClusters)));
      journeys.item.push_back(static_cast<uint64_t>(10 * row + j));
      journeys.touch_time.push_back(journeys.time.back() - 10 + j);
      journeys.mediator.push_back(rng.bernoulli(0.1) ? 255 : rng.bernoulli(0.3));
      journeys.randomised.push_back(0);
      journeys.delta_do.push_back(0);
      journeys.delta_ett.push_back(0);
    }
    journeys.p_do.push_back(0);
    journeys.p_none.push_back(0);
    journeys.touch_begin.push_back(static_cast<int64_t>(journeys.cluster.size()));
  }
  return std::make_shared<MemoryLog>(schema, journeys);
}

int64_t stratum(const io::Journeys& journeys, int64_t row) {
  return journeys.cat[static_cast<size_t>(row)];
}

io::Journeys block_of(const io::Log& log, int64_t block) {
  io::Journeys journeys;
  log.read_block(block, io::ColumnSet::all(), journeys);
  return journeys;
}

TEST(Rotation, OfEveryArrangementOfSixKeepsCellsAndLeavesNothing) {
  // All ways to put six movables into three groups of two strata.
  for (int64_t code = 0; code < 6 * 6 * 6 * 6 * 6 * 6; ++code) {
    std::vector<Movable> items;
    for (int64_t at = 0, rest = code; at < 6; ++at, rest /= 6) {
      items.push_back({rest % 6 / 2, rest % 2, static_cast<uint64_t>((at * 7) % 5)});
    }
    const std::vector<int64_t> from = rotation(items);
    std::set<int64_t> taken(from.begin(), from.end());
    ASSERT_EQ(taken.size(), items.size());
    std::map<int64_t, int64_t> of_group;
    std::map<std::pair<int64_t, int64_t>, int64_t> of_cell;
    for (const Movable& item : items) {
      ++of_group[item.group];
      ++of_cell[{item.group, item.stratum}];
    }
    for (size_t at = 0; at < items.size(); ++at) {
      const Movable& here = items[at];
      const Movable& there = items[static_cast<size_t>(from[at])];
      ASSERT_EQ(here.group, there.group);
      ASSERT_EQ(from[at] == static_cast<int64_t>(at), of_group[here.group] == 1);
      const int64_t other = of_cell.count({here.group, 1 - here.stratum})
                                ? of_cell[{here.group, 1 - here.stratum}]
                                : 0;
      if (of_cell[{here.group, here.stratum}] > 1 && other != 1) {
        ASSERT_EQ(here.stratum, there.stratum) << code;
      }
    }
  }
}

TEST(ControlLog, ShuffledMediatorsStayInTheirClusterAndStratumAndMissingOnesInTheirPlace) {
  const auto log = log_of(300, false);
  const ControlLog control(log, Control::shuffled_mediator, 3, stratum);
  int64_t changed = 0;
  for (int64_t block = 0; block < static_cast<int64_t>(log->blocks().size()); ++block) {
    const io::Journeys before = block_of(*log, block), after = block_of(control, block);
    EXPECT_EQ(before.item, after.item);
    EXPECT_EQ(before.cluster, after.cluster);
    EXPECT_EQ(before.outcome, after.outcome);
    std::map<std::tuple<uint32_t, int64_t, uint8_t>, int64_t> counts;
    for (int64_t row = 0; row < before.size(); ++row) {
      for (int64_t at = before.touch_begin[static_cast<size_t>(row)];
           at < before.touch_begin[static_cast<size_t>(row) + 1]; ++at) {
        const size_t j = static_cast<size_t>(at);
        ++counts[{before.cluster[j], stratum(before, row), before.mediator[j]}];
        --counts[{before.cluster[j], stratum(before, row), after.mediator[j]}];
        EXPECT_EQ(before.mediator[j] == 255, after.mediator[j] == 255);
        changed += before.mediator[j] != after.mediator[j];
      }
    }
    for (const auto& [cell, count] : counts) EXPECT_EQ(count, 0);
  }
  EXPECT_GT(changed, 100);
}

TEST(ControlLog, ShuffledTouchesMoveTogetherWithTheirMediatorsWithinTheStratum) {
  const auto log = log_of(300, false);
  const ControlLog control(log, Control::shuffled_treatment, 3, stratum);
  for (int64_t block = 0; block < static_cast<int64_t>(log->blocks().size()); ++block) {
    const io::Journeys before = block_of(*log, block), after = block_of(control, block);
    EXPECT_EQ(before.user, after.user);
    EXPECT_EQ(before.outcome, after.outcome);
    EXPECT_EQ(before.cat, after.cat);
    // What was one journey's is one journey's: mediators, clusters and distances in time by item.
    std::map<uint64_t, std::tuple<uint32_t, uint8_t, int64_t, int64_t>> was, is;
    std::map<uint64_t, int64_t> was_in, is_in;
    const auto put = [](const io::Journeys& from, auto& touches, auto& rows) {
      for (int64_t row = 0; row < from.size(); ++row) {
        const size_t i = static_cast<size_t>(row);
        for (int64_t at = from.touch_begin[i]; at < from.touch_begin[i + 1]; ++at) {
          const size_t j = static_cast<size_t>(at);
          touches[from.item[j]] = {from.cluster[j], from.mediator[j],
                                   from.time[i] - from.touch_time[j], stratum(from, row)};
          rows[from.item[j]] = row;
        }
      }
    };
    put(before, was, was_in);
    put(after, is, is_in);
    EXPECT_EQ(was, is);
    for (const auto& [item, row] : was_in) {
      EXPECT_NE(is_in[item], row);
      EXPECT_EQ(is_in[item], is_in[item - item % 10]) << "touches of a journey were parted";
    }
  }
}

TEST(ControlLog, InArmLogsTheArmMovesAloneAndMarginsStay) {
  const auto log = log_of(300, true);
  const ControlLog control(log, Control::shuffled_treatment, 3, stratum);
  for (int64_t block = 0; block < static_cast<int64_t>(log->blocks().size()); ++block) {
    const io::Journeys before = block_of(*log, block), after = block_of(control, block);
    EXPECT_EQ(before.mediator, after.mediator);
    EXPECT_EQ(before.item, after.item);
    std::map<std::pair<int64_t, uint32_t>, int64_t> counts;
    for (int64_t row = 0; row < before.size(); ++row) {
      ++counts[{stratum(before, row), before.cluster[static_cast<size_t>(row)]}];
      --counts[{stratum(before, row), after.cluster[static_cast<size_t>(row)]}];
    }
    for (const auto& [cell, count] : counts) EXPECT_EQ(count, 0);
    EXPECT_NE(before.cluster, after.cluster);
  }
}

TEST(ControlLog, FutureTouchesAreThoseOfTheUsersNextJourney) {
  const auto log = log_of(300, false);
  const ControlLog control(log, Control::future_touches, 3, stratum);
  int64_t given = 0;
  for (int64_t block = 0; block < static_cast<int64_t>(log->blocks().size()); ++block) {
    const io::Journeys before = block_of(*log, block), after = block_of(control, block);
    ASSERT_EQ(before.row, after.row);
    for (int64_t row = 0; row < before.size(); ++row) {
      const size_t i = static_cast<size_t>(row);
      int64_t next = -1;  // by looking at all
      for (int64_t other = 0; other < before.size(); ++other) {
        const size_t o = static_cast<size_t>(other);
        if (before.user[o] != before.user[i]) continue;
        if (std::pair(before.time[o], other) <= std::pair(before.time[i], row)) continue;
        if (next < 0 || std::pair(before.time[o], other) <
                            std::pair(before.time[static_cast<size_t>(next)], next)) {
          next = other;
        }
      }
      ASSERT_EQ(after.touches_of(row), next < 0 ? 0 : before.touches_of(next));
      for (int64_t at = 0; at < after.touches_of(row); ++at) {
        const size_t a = static_cast<size_t>(after.touch_begin[i] + at);
        const size_t b = static_cast<size_t>(before.touch_begin[static_cast<size_t>(next)] + at);
        EXPECT_EQ(after.item[a], before.item[b]);
        EXPECT_EQ(after.mediator[a], before.mediator[b]);
        ++given;
      }
    }
  }
  EXPECT_GT(given, 20);
}

TEST(ControlLog, IsTheSameForAnyReaderAndAnotherForAnotherSeed) {
  const auto log = log_of(500, false);
  for (const Control kind : controls_by_name("all", false)) {
    const ControlLog control(log, kind, 3, stratum), other(log, kind, 4, stratum);
    const io::Journeys once = block_of(control, 2);
    block_of(control, 0);
    EXPECT_EQ(once.mediator, block_of(control, 2).mediator);
    EXPECT_EQ(once.item, block_of(control, 2).item);
    const io::Journeys again = block_of(other, 2);
    EXPECT_EQ(once.mediator == again.mediator && once.item == again.item,
              kind == Control::future_touches);
    ControlReach alone;
    for (int64_t ranks = 1; ranks <= 4; ++ranks) {
      ThreadWorld world(ranks);
      world.run([&](Communicator& comm) {
        const ControlReach reach = control.reach(comm);
        if (comm.rank() != 0) return;
        if (ranks == 1) alone = reach;
        EXPECT_EQ(reach.touches, alone.touches);
        EXPECT_EQ(reach.moved, alone.moved);
        EXPECT_GT(reach.moved, 0);
      });
    }
  }
}

TEST(DroppedProxyLog, KnowsAllButOneProxy) {
  io::LogSchema schema;
  schema.clusters = 2;
  schema.proxies = 3;
  io::Journeys journeys;
  for (int64_t row = 0; row < 70; ++row) {
    journeys.row.push_back(row);
    journeys.user.push_back(static_cast<uint64_t>(row));
    journeys.outcome.push_back(0);
    for (int64_t touch = 0; touch < row % 3; ++touch) {
      journeys.cluster.push_back(1);
      for (int64_t v = 0; v < 3; ++v) journeys.proxy.push_back(static_cast<uint8_t>((row + v) % 2));
    }
    journeys.touch_begin.push_back(static_cast<int64_t>(journeys.cluster.size()));
  }
  const auto log = std::make_shared<MemoryLog>(schema, journeys);
  const DroppedProxyLog dropped(log, 1);
  const io::Journeys before = block_of(*log, 1), after = block_of(dropped, 1);
  ASSERT_EQ(before.proxy.size(), after.proxy.size());
  for (size_t at = 0; at < before.proxy.size(); ++at) {
    EXPECT_EQ(after.proxy[at], at % 3 == 1 ? 255 : before.proxy[at]);
  }
}

}  // namespace
}  // namespace alm
