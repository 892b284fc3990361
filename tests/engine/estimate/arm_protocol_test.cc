#include "engine/estimate/arm_protocol.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/engine/estimate/level_a_nuisances.h"
#include "tests/engine/estimate/thread_world.h"

namespace alm {
namespace {

using level_a::exact;
using level_a::kArms;
using level_a::Owned;

io::LogSchema schema_of() {
  io::LogSchema schema;
  schema.clusters = kArms;
  schema.reference_cluster = 0;
  schema.mediator = true;
  return schema;
}

// Rows first, first + step, .. of n level A journeys, all with their exact nuisances.
ArmProtocol summed(int64_t n, int64_t first = 0, int64_t step = 1) {
  const Owned at[2] = {exact(0), exact(1)};
  ArmProtocol protocol(schema_of());
  io::Journeys journeys;
  std::vector<int> x;
  for (int64_t row = first; row < n; row += step) {
    const level_a::Row sampled = level_a::sample(3, static_cast<uint64_t>(row));
    journeys.user.push_back(static_cast<uint64_t>(row));
    journeys.outcome.push_back(static_cast<float>(sampled.outcome));
    journeys.cluster.push_back(static_cast<uint32_t>(sampled.arm));
    journeys.mediator.push_back(static_cast<uint8_t>(sampled.mediator));
    journeys.touch_begin.push_back(static_cast<int64_t>(journeys.cluster.size()));
    x.push_back(sampled.x);
  }
  for (int64_t row = 0; row < journeys.size(); ++row) {
    const ArmNuisances nuisances = at[x[static_cast<size_t>(row)]].view();
    protocol.add(journeys, row, nullptr);
    protocol.add_values(journeys, row, nuisances, nuisances, nullptr);
  }
  return protocol;
}

// The best tenth are journeys of arm 1; their effect is the fall of E[Y] when they get the
// reference's law of the mediator instead, over their share.
TEST(ArmProtocol, ValuesOfChoicesHoldTheEnumeratedEffects) {
  const io::Json policy = summed(60'000).policy_json(false);
  double share[kArms] = {}, effect[kArms] = {};
  double mean_outcome = 0;
  for (int x = 0; x < 2; ++x) {
    for (int t = 0; t < kArms; ++t) {
      for (int m = 0; m < 2; ++m) {
        share[t] += level_a::joint(x, t, m, 0) + level_a::joint(x, t, m, 1);
        mean_outcome += level_a::joint(x, t, m, 1);
      }
    }
  }
  double random = 0;
  for (int t = 1; t < kArms; ++t) {
    effect[t] = (mean_outcome - level_a::truth_replaced(t, 0)) / share[t];
    random += share[t] * effect[t] / (1 - share[0]);
  }
  const io::Json& row = policy[3];
  const auto holds = [&](const char* choice, double truth) {
    const double low = row["ci95"][choice][0], high = row["ci95"][choice][1];
    EXPECT_LT(low, 1000 * truth) << choice;
    EXPECT_GT(high, 1000 * truth) << choice;
    EXPECT_LT(high - low, 40) << choice;
  };
  holds("random", random);
  // Arm 3 has the highest outcome rate: what last touch chooses.
  holds("last_touch", effect[3]);
  // Arm 1 at one of the two x.
  double low = 1, high = 0;
  for (int x = 0; x < 2; ++x) {
    const Owned n = exact(x);
    const double value = replacement_plugin(n.view(), 1, 0);
    low = std::min(low, value);
    high = std::max(high, value);
  }
  EXPECT_GT(row["ci95"]["model"][1].get<double>(), 1000 * low);
  EXPECT_LT(row["ci95"]["model"][0].get<double>(), 1000 * high);
  EXPECT_GT(row["above"]["ci95"]["last_touch"][0].get<double>(), 0);
}

TEST(ArmProtocol, IsTheSameOnAnyRanks) {
  const io::Json wanted = summed(2001).policy_json(true);
  for (const int64_t ranks : {1, 2, 3}) {
    ThreadWorld(ranks).run([&](Communicator& comm) {
      ArmProtocol mine = summed(2001, comm.rank(), ranks);
      mine.reduce(comm);
      EXPECT_EQ(mine.policy_json(true), wanted) << ranks;
    });
  }
}

}  // namespace
}  // namespace alm
