#include "engine/estimate/shapley_sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/base/rng.h"
#include "thread_world.h"

namespace alm {
namespace {

struct Journey {
  std::vector<uint32_t> touched;
  double outcome, weight;
};

std::vector<Journey> journeys(int64_t clusters, size_t n) {
  std::vector<Journey> all;
  for (size_t i = 0; i < n; ++i) {
    Rng rng(31, Stream::test, i);
    Journey journey{{}, 0, 1 + static_cast<double>(rng.below(2))};
    const uint64_t touches = rng.below(4);
    double rate = 0.1;
    for (uint64_t j = 0; j < touches; ++j) {
      journey.touched.push_back(static_cast<uint32_t>(rng.below(static_cast<uint64_t>(clusters))));
      rate += 0.05 * journey.touched.back();
    }
    journey.outcome = rng.bernoulli(std::min(rate, 1.0));
    all.push_back(journey);
  }
  return all;
}

// Every `step`-th, as a batch.
io::Journeys batch_of(const std::vector<Journey>& all, size_t first = 0, size_t step = 1) {
  io::Journeys batch;
  for (size_t i = first; i < all.size(); i += step) {
    batch.user.push_back(i);
    batch.outcome.push_back(static_cast<float>(all[i].outcome));
    batch.weight.push_back(static_cast<float>(all[i].weight));
    batch.cluster.insert(batch.cluster.end(), all[i].touched.begin(), all[i].touched.end());
    batch.touch_begin.push_back(std::ssize(batch.cluster));
  }
  return batch;
}

double value(const std::vector<Journey>& all, uint32_t members) {
  double sum = 0, weight = 0, every = 0, every_weight = 0;
  for (const Journey& journey : all) {
    every += journey.weight * journey.outcome;
    every_weight += journey.weight;
    const bool within = std::all_of(journey.touched.begin(), journey.touched.end(),
                                    [&](uint32_t k) { return members >> k & 1; });
    if (!within) continue;
    sum += journey.weight * journey.outcome;
    weight += journey.weight;
  }
  const double prior = std::max(20.0, 0.001 * every_weight);
  return (sum + prior * every / every_weight) / (weight + prior);
}

TEST(Shapley, SampledOrdersComeWithinTheirErrorsOfAllOrders) {
  const int64_t clusters = 5;
  const auto all = journeys(clusters, 4000);
  std::vector<double> exact(5);
  std::vector<uint32_t> order(5);
  std::iota(order.begin(), order.end(), 0u);
  double orders = 0;
  std::vector<std::vector<double>> of_order;
  do {
    ++orders;
    uint32_t members = 0;
    of_order.emplace_back(5);
    for (const uint32_t k : order) {
      of_order.back()[k] = value(all, members | 1u << k) - value(all, members);
      exact[k] += of_order.back()[k];
      members |= 1u << k;
    }
  } while (std::next_permutation(order.begin(), order.end()));
  ShapleySums sums(clusters);
  sums.add(batch_of(all));
  const ShapleyGain gain = sums.finish();
  ASSERT_EQ(gain.deltas.size(), size_t{128});
  for (const auto& delta : gain.deltas) {
    EXPECT_TRUE(std::any_of(of_order.begin(), of_order.end(), [&](const auto& wanted) {
      double worst = 0;
      for (size_t k = 0; k < 5; ++k) worst = std::max(worst, std::fabs(delta[k] - wanted[k]));
      return worst < 1e-12;
    }));
  }
  double total = 0;
  for (size_t k = 0; k < 5; ++k) {
    EXPECT_GT(gain.se[k], 0);
    EXPECT_NEAR(gain.mean[k], exact[k] / orders, 4 * gain.se[k]) << k;
    total += gain.mean[k];
  }
  // Efficiency holds in every order.
  EXPECT_NEAR(total, value(all, 31) - value(all, 0), 1e-12);
}

TEST(Shapley, IsTheSameOnAnyRanks) {
  const auto all = journeys(40, 501);
  ShapleySums whole(40);
  whole.add(batch_of(all));
  const auto wanted = whole.finish().mean;
  ThreadWorld world(3);
  world.run([&](Communicator& comm) {
    ShapleySums mine(40);
    for (size_t part = 0; part < 2; ++part) {
      mine.add(batch_of(all, static_cast<size_t>(comm.rank()) + 3 * part, 6));
    }
    mine.reduce(comm, "test");
    EXPECT_EQ(mine.finish().mean, wanted);
  });
}

TEST(Shapley, OfNothingOrOfTooManyClustersIsNone) {
  EXPECT_TRUE(std::isnan(ShapleySums(3).finish().mean[0]));
  ShapleySums many(ShapleySums::kMostClusters + 1);
  EXPECT_EQ(many.orders(), 0);
  many.add(batch_of({{{1}, 1, 1}}));
  EXPECT_TRUE(std::isnan(many.finish().mean[0]));
  EXPECT_GE(ShapleySums(ShapleySums::kMostClusters).orders(), 16);
}

}  // namespace
}  // namespace alm
