// Pairs of a journey and a cluster: which there are, what they weigh, and that what the removal net
// sees of a journey without a cluster is a journey that never touched it.
#include "engine/model/removal_pairs.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/model/compute.h"
#include "engine/model/removal_net.h"
#include "kernels/base/rng.h"
#include "kernels/ops.h"

namespace alm {
namespace {

constexpr int64_t kClusters = 6;
const std::vector<float> kShares = {0.5f, 0.2f, 0.1f, 0.0f, 1.0f, 0.3f};

// Four journeys: one with a mediator that nobody observed, one without touches, one of one cluster.
const std::vector<int64_t> kBegin = {0, 4, 4, 6, 9};
const std::vector<int64_t> kCluster = {2, 0, 2, 1, 3, 3, 1, 1, 0};
const std::vector<uint8_t> kMediator = {1, 0, kMediatorMissing, 1, 0, 1, 1, 0, 1};
const std::vector<float> kWeight = {1, 2, 3, 4};
const std::vector<int64_t> kRow = {10, 11, 12, 13};

RemovalPairs::Source source() {
  return {{kBegin}, kCluster, kMediator, kWeight, kRow, kClusters, kShares};
}

TEST(RemovalPairs, AreTheClustersThatWereObservedAndSomeOfTheAbsent) {
  RemovalPairs pairs;
  pairs.fill(source(), 2, 7, true);
  EXPECT_EQ(pairs.pair_begin, (std::vector<int64_t>{0, 4, 4, 6, 10}));
  struct Present {
    int64_t pair, journey, cluster;
    float touches, left;
  };
  const std::vector<Present> present = {
      {0, 0, 0, 1, 3}, {1, 0, 1, 1, 3}, {6, 3, 0, 1, 2}, {7, 3, 1, 2, 1}};
  size_t next = 0;
  for (int64_t pair = 0; pair < pairs.pairs(); ++pair) {
    SCOPED_TRACE("pair " + std::to_string(pair));
    const size_t at = static_cast<size_t>(pair);
    const size_t journey = static_cast<size_t>(pairs.journey[at]);
    EXPECT_GE(pair, pairs.pair_begin[journey]);
    EXPECT_LT(pair, pairs.pair_begin[journey + 1]);
    const bool is_present = next < present.size() && present[next].pair == pair;
    EXPECT_EQ(pairs.present[at], is_present ? 1 : 0);
    EXPECT_EQ(pairs.part_begin[at + 1], 2 * pair + 2);
    EXPECT_EQ(pairs.part_weight[2 * at], 1);
    const int64_t whole = kBegin[journey + 1] - kBegin[journey];
    if (is_present) {
      const Present& wanted = present[next++];
      EXPECT_EQ(pairs.journey[at], wanted.journey);
      EXPECT_EQ(pairs.cluster[at], wanted.cluster);
      EXPECT_EQ(pairs.part_weight[2 * at + 1], -wanted.touches);
      EXPECT_FLOAT_EQ(pairs.log_left[at], std::log(1 + wanted.left));
      EXPECT_EQ(pairs.weight[at], kWeight[journey]);
      EXPECT_EQ(pairs.weight_of_presence[at], kWeight[journey]);
    } else {
      EXPECT_EQ(pairs.part_weight[2 * at + 1], 0);
      EXPECT_FLOAT_EQ(pairs.log_left[at], std::log(1 + static_cast<float>(whole)));
      // Two of the three, five or four clusters that the journey did not touch.
      const float absent[] = {3, 0, 5, 4};
      EXPECT_FLOAT_EQ(pairs.weight[at], kWeight[journey] * absent[journey] / 2);
      EXPECT_EQ(pairs.weight_of_presence[at], 0);
      for (int64_t touch = kBegin[journey]; touch < kBegin[journey + 1]; ++touch) {
        EXPECT_NE(kCluster[static_cast<size_t>(touch)], pairs.cluster[at]);
      }
    }
    // A share of 0 or 1 has finite odds.
    const double share =
        std::min(std::max(double{kShares[static_cast<size_t>(pairs.cluster[at])]}, 1e-6), 0.999);
    EXPECT_NEAR(pairs.start[at], std::log(share / (1 - share)), 1e-5);
  }
  EXPECT_EQ(next, present.size());
  // Their number at the first touch of each cluster of a journey.
  EXPECT_EQ(pairs.touch_weight, (std::vector<float>{2, 1, 0, 1, 2, 0, 2, 0, 1}));
}

TEST(RemovalPairs, OfAnEstimateAreTheAbsentAlone) {
  RemovalPairs pairs;
  pairs.fill(source(), kClusters, 0, false);
  EXPECT_EQ(pairs.pair_begin, (std::vector<int64_t>{0, 3, 3, 8, 12}));
  for (const float present : pairs.present) EXPECT_EQ(present, 0);
}

// Odds and survival of pairs of journeys with the same context, by a net of random weights.
struct Scored {
  std::vector<float> odds, survival;
};
enum class As { any_pairs, absent };
Scored scored(const std::vector<int64_t>& begin, const std::vector<int64_t>& cluster,
              const RemovalPairs& pairs, As as = As::any_pairs) {
  FeatureStats stats;
  stats.schema.clusters = kClusters;
  ModelOptions options;
  options.cluster_width = 5;
  options.context_width = 3;
  options.head_hidden = 7;
  ParameterLayout layout;
  const RemovalNet net(layout, stats, options);
  std::vector<float> weights(static_cast<size_t>(layout.size()));
  Rng draw(3, Stream::test, 1);
  for (float& weight : weights) weight = static_cast<float>(draw.normal());
  Compute compute(make_cpu_device("auto"), 1);
  ModelInputs inputs;
  inputs.journeys = std::ssize(begin) - 1;
  inputs.touches = std::ssize(cluster);
  inputs.csr = {begin};
  inputs.cluster = cluster;
  inputs.removal = pairs.view();
  const std::vector<float> row = {0.3f, -1.2f, 0.8f};
  std::vector<float> context;
  for (int64_t journey = 0; journey < inputs.journeys; ++journey) {
    context.insert(context.end(), row.begin(), row.end());
  }
  const RemovalNet::ByCluster by_cluster = net.by_cluster(compute.pass(0, weights.data(), nullptr));
  const Pass pass = compute.pass(0, weights.data(), nullptr);
  const Matrix<const float> contexts{context.data(), inputs.journeys, 3};
  const RemovalNet::Scores scores = as == As::absent
                                        ? net.score_absent(pass, inputs, contexts, by_cluster)
                                        : net.score(pass, inputs, contexts);
  return {{scores.odds_logit.begin(), scores.odds_logit.end()},
          {scores.survival_logit.begin(), scores.survival_logit.end()}};
}

TEST(RemovalNet, SeesOfAJourneyWithoutAClusterOneThatNeverTouchedIt) {
  // The second of each two journeys is the first without a cluster: 2, then 1.
  const std::vector<int64_t> begin = {0, 5, 7, 12, 16};
  const std::vector<int64_t> cluster = {2, 0, 2, 1, 2, 0, 1, 4, 1, 4, 5, 3, 4, 4, 5, 3};
  const std::vector<uint8_t> mediator(cluster.size(), 1);
  const std::vector<float> weight(4, 1.0f);
  const std::vector<int64_t> row = {0, 1, 2, 3};
  RemovalPairs pairs;
  pairs.fill({{begin}, cluster, mediator, weight, row, kClusters, kShares}, kClusters, 0, true);
  const Scored found = scored(begin, cluster, pairs);
  const auto place = [&](int64_t journey, int64_t of) {
    for (size_t at = 0; at < pairs.cluster.size(); ++at) {
      if (pairs.journey[at] == journey && pairs.cluster[at] == of) return at;
    }
    ADD_FAILURE() << "no pair of journey " << journey << " and cluster " << of;
    return size_t{0};
  };
  for (const auto& [journey, of] : {std::pair(0, 2), std::pair(2, 1)}) {
    const size_t without = place(journey, of), never = place(journey + 1, of);
    EXPECT_EQ(pairs.present[without], 1);
    EXPECT_EQ(pairs.present[never], 0);
    EXPECT_NEAR(found.odds[without], found.odds[never], 1e-5);
    EXPECT_NEAR(found.survival[without], found.survival[never], 1e-5);
    EXPECT_GT(std::fabs(found.odds[without] - found.odds[place(journey, 0)]), 1e-3);
  }
}

TEST(RemovalNet, OfAbsentClustersIsTheSameAsOfAnyPairs) {
  RemovalPairs pairs;
  pairs.fill(source(), kClusters, 0, false);
  const Scored wanted = scored(kBegin, kCluster, pairs);
  const Scored found = scored(kBegin, kCluster, pairs, As::absent);
  ASSERT_EQ(found.odds.size(), size_t{12});
  ASSERT_EQ(found.survival.size(), size_t{12});
  for (size_t pair = 0; pair < found.odds.size(); ++pair) {
    EXPECT_NEAR(found.odds[pair], wanted.odds[pair], 1e-5);
    EXPECT_NEAR(found.survival[pair], wanted.survival[pair], 1e-5);
    EXPECT_GT(std::fabs(found.odds[pair] - found.survival[pair]), 1e-3);
  }
}

// The sum of a journey is large beside what is left of it.
TEST(RemovalNet, SeesWhatIsLeftOfALongJourneyOfOneCluster) {
  constexpr int64_t kTouches = 4096;
  const std::vector<int64_t> begin = {0, kTouches, kTouches + 1};
  std::vector<int64_t> cluster(kTouches, 2);
  cluster[kTouches / 3] = 1;
  cluster.push_back(1);
  const std::vector<uint8_t> mediator(cluster.size(), 1);
  const std::vector<float> weight(2, 1.0f);
  const std::vector<int64_t> row = {0, 1};
  RemovalPairs pairs;
  pairs.fill({{begin}, cluster, mediator, weight, row, kClusters, kShares}, kClusters, 0, true);
  const Scored found = scored(begin, cluster, pairs);
  ASSERT_EQ(pairs.cluster[1], 2) << "what is left of the long one";
  for (size_t never = 0; never < pairs.cluster.size(); ++never) {
    if (pairs.journey[never] != 1 || pairs.cluster[never] != 2) continue;
    EXPECT_NEAR(found.odds[1], found.odds[never], 5e-3);
    EXPECT_NEAR(found.survival[1], found.survival[never], 5e-3);
  }
}

}  // namespace
}  // namespace alm
