#include "engine/estimate/user_sums.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "engine/estimate/bootstrap.h"
#include "kernels/base/rng.h"
#include "tests/engine/estimate/thread_world.h"

namespace alm {
namespace {

struct Row {
  int64_t cluster;
  uint64_t user;
  double value, weight;
};

std::vector<Row> some_rows(int64_t n, int64_t clusters, uint64_t users) {
  std::vector<Row> rows;
  for (int64_t i = 0; i < n; ++i) {
    Rng rng(3, Stream::test, static_cast<uint64_t>(i));
    const int64_t cluster = static_cast<int64_t>(rng.below(static_cast<uint64_t>(clusters)));
    rows.push_back({cluster, rng.below(users), rng.normal() + static_cast<double>(cluster),
                    0.5 + rng.uniform()});
  }
  return rows;
}

TEST(UserGroups, ArePowersOfTwoWithinBounds) {
  EXPECT_EQ(user_group_count(1), 4096);
  EXPECT_EQ(user_group_count(3), 4096);
  EXPECT_EQ(user_group_count(100), 2048);
  EXPECT_EQ(user_group_count(1000), 256);
  EXPECT_EQ(user_group_count(1000000), 256);
}

TEST(GroupedSums, MeanAndErrorEqualThePlainFormulaOverUserGroups) {
  const auto rows = some_rows(997, 3, 211);
  GroupedSums sums(3);
  for (const Row& row : rows) sums.add(row.cluster, row.user, row.value, row.weight);
  for (int64_t k = 0; k < 3; ++k) {
    double sum = 0, weight = 0;
    for (const Row& row : rows) {
      if (row.cluster == k) sum += row.value * row.weight, weight += row.weight;
    }
    std::map<int64_t, double> residual;
    for (const Row& row : rows) {
      if (row.cluster != k) continue;
      residual[user_group(row.user, 4096)] += row.weight * (row.value - sum / weight);
    }
    double squares = 0;
    for (const auto& [group, value] : residual) squares += value * value;
    const auto estimate = sums.estimate(k);
    EXPECT_NEAR(estimate.mean, sum / weight, 1e-12);
    EXPECT_NEAR(estimate.se, std::sqrt(squares) / weight, 1e-12);
    EXPECT_NEAR(estimate.weight, weight, 1e-12);
  }
}

TEST(GroupedSums, EmptyClusterHasNoMeanAndSaysWhy) {
  GroupedSums sums(2);
  sums.add(0, 7, 1.0);
  EXPECT_TRUE(std::isnan(sums.estimate(1).mean));
  const auto json = to_json(sums.estimate(1));
  EXPECT_TRUE(json["mean"].is_null());
  EXPECT_TRUE(json.contains("why"));
}

TEST(GroupedSums, BitsDoNotDependOnTheNumberOfRanks) {
  const auto rows = some_rows(1009, 5, 300);
  std::vector<MeanEstimate> first;
  for (const int64_t ranks : {1, 2, 3, 4, 6}) {
    std::vector<MeanEstimate> result(5);
    ThreadWorld(ranks).run([&](Communicator& comm) {
      GroupedSums mine(5);
      // Unequal shares, in reverse: rank r takes every row whose number squared lands on it.
      for (size_t i = rows.size(); i-- > 0;) {
        if (static_cast<int64_t>(i * i) % comm.size() == comm.rank()) {
          mine.add(rows[i].cluster, rows[i].user, rows[i].value, rows[i].weight);
        }
      }
      mine.reduce(comm, "test");
      if (comm.rank() != comm.size() - 1) return;
      for (int64_t k = 0; k < 5; ++k) result[static_cast<size_t>(k)] = mine.estimate(k);
    });
    if (first.empty()) first = result;
    for (size_t k = 0; k < 5; ++k) {
      EXPECT_EQ(first[k].mean, result[k].mean);
      EXPECT_EQ(first[k].se, result[k].se);
      EXPECT_EQ(first[k].touches, result[k].touches);
    }
  }
}

// Rows of few groups, of nearly an eighth, of all; clusters that one rank alone has; most empty.
TEST(GroupedSums, ManyClustersOfAnySizeEqualPlainSumsOnAnyRanks) {
  constexpr int64_t kClusters = 10007;
  std::vector<Row> rows;
  for (int64_t i = 0; i < 6007; ++i) {
    Rng rng(5, Stream::test, static_cast<uint64_t>(i));
    const int64_t cluster = i % 3 == 0   ? 7
                            : i % 3 == 1 ? 11 + static_cast<int64_t>(rng.below(53))
                                         : static_cast<int64_t>(rng.below(kClusters));
    rows.push_back({cluster, rng.below(5000), rng.normal(), i % 11 == 0 ? 0.0 : rng.uniform()});
  }
  std::map<std::pair<int64_t, int64_t>, std::pair<double, double>> plain;
  for (const Row& row : rows) {
    auto& cell = plain[{row.cluster, user_group(row.user, 256)}];
    cell.first += row.value * row.weight;
    cell.second += row.weight;
  }
  std::vector<MeanEstimate> first;
  for (const int64_t ranks : {1, 2, 3, 4}) {
    ThreadWorld(ranks).run([&](Communicator& comm) {
      GroupedSums mine(kClusters), other(kClusters);
      for (size_t i = 0; i < rows.size(); ++i) {
        if (static_cast<int64_t>(i / 5) % comm.size() != comm.rank()) continue;
        (i % 2 == 0 ? mine : other)
            .add(rows[i].cluster, rows[i].user, rows[i].value, rows[i].weight);
      }
      mine.merge(other);
      mine.reduce(comm, "test");
      if (comm.rank() != comm.size() - 1) return;
      int64_t found = 0;
      for (int64_t k = 0; k < kClusters; ++k) {
        int64_t before = -1;
        mine.each_group(k, [&](int64_t group, double sum, double weight) {
          EXPECT_GT(group, before);
          before = group;
          EXPECT_EQ(mine.sum(k, group), sum);
          EXPECT_EQ(mine.weight(k, group), weight);
          const auto cell = plain.find({k, group});
          EXPECT_NEAR(sum, cell == plain.end() ? 0 : cell->second.first, 1e-11);
          EXPECT_NEAR(weight, cell == plain.end() ? 0 : cell->second.second, 1e-11);
          found += weight > 0;
        });
      }
      EXPECT_EQ(found, std::count_if(plain.begin(), plain.end(), [](const auto& cell) {
                  return cell.second.second > 0;  // rows of no weight need no cell
                }));
      std::vector<MeanEstimate> estimates;
      for (int64_t k = 0; k < kClusters; ++k) estimates.push_back(mine.estimate(k));
      if (first.empty()) first = estimates;
      for (size_t k = 0; k < first.size(); ++k) {
        EXPECT_EQ(estimates[k].touches, first[k].touches);
        if (first[k].touches == 0) continue;
        EXPECT_EQ(estimates[k].mean, first[k].mean);
        EXPECT_EQ(estimates[k].weight, first[k].weight);
        EXPECT_EQ(std::isnan(estimates[k].se), std::isnan(first[k].se));
        if (!std::isnan(first[k].se)) {
          EXPECT_EQ(estimates[k].se, first[k].se);
        }
      }
    });
  }
}

TEST(GroupedSums, OfOneGroupEqualPlainSumsOnAnyRanksAndHaveNoError) {
  constexpr int64_t kClusters = 5;
  const auto rows = some_rows(307, kClusters - 1, 100);  // the last cluster stays empty
  for (const int64_t ranks : {1, 3}) {
    ThreadWorld(ranks).run([&](Communicator& comm) {
      GroupedSums mine(kClusters, 1), other(kClusters, 1);
      for (size_t i = 0; i < rows.size(); ++i) {
        if (static_cast<int64_t>(i / 2) % comm.size() != comm.rank()) continue;
        GroupedSums& to = i % 2 == 0 ? mine : other;
        to.prefetch(rows[i].cluster, rows[i].user);
        to.add(rows[i].cluster, rows[i].user, rows[i].value, rows[i].weight);
      }
      mine.merge(other);
      mine.reduce(comm, "test");
      double all = 0, all_weight = 0;
      for (int64_t k = 0; k < kClusters; ++k) {
        double sum = 0, weight = 0;
        int64_t touches = 0;
        for (const Row& row : rows) {
          if (row.cluster != k) continue;
          sum += row.value * row.weight, weight += row.weight, ++touches;
        }
        all += sum, all_weight += weight;
        EXPECT_NEAR(mine.sum(k), sum, 1e-11);
        EXPECT_NEAR(mine.sum(k, 0), sum, 1e-11);
        EXPECT_NEAR(mine.weight(k), weight, 1e-11);
        EXPECT_EQ(mine.touches(k), touches);
        const MeanEstimate estimate = mine.estimate(k);
        EXPECT_TRUE(std::isnan(estimate.se));
        if (touches > 0) {
          EXPECT_NEAR(estimate.mean, sum / weight, 1e-11);
        }
      }
      EXPECT_NEAR(mine.overall().mean, all / all_weight, 1e-11);
      EXPECT_EQ(mine.overall().touches, std::ssize(rows));
    });
  }
}

TEST(GroupedSums, ErrorCoversWhenUsersRepeat) {
  // 40 journeys a user share the user's level: an error by rows would be sqrt(20) too small.
  int held = 0;
  for (uint64_t replicate = 0; replicate < 300; ++replicate) {
    GroupedSums sums(1);
    for (uint64_t user = 0; user < 200; ++user) {
      Rng rng(replicate, Stream::test, user);
      const double level = rng.normal();
      for (int j = 0; j < 40; ++j) sums.add(0, user, level + rng.normal());
    }
    const auto ci = sums.estimate(0).ci95();
    held += ci[0] <= 0 && 0 <= ci[1];
  }
  EXPECT_GE(held, 300 * 0.90);
  EXPECT_LE(held, 300 * 0.985);
}

TEST(Contrast, EqualsTheMeanOfDifferencesWhenRowsAreTheSame) {
  GroupedSums a(1), b(1), difference(1);
  for (const Row& row : some_rows(503, 1, 90)) {
    const double other = 0.9 * row.value + 0.1;
    a.add(0, row.user, row.value, row.weight);
    b.add(0, row.user, other, row.weight);
    difference.add(0, row.user, row.value - other, row.weight);
  }
  const auto paired = contrast(a, 0, b, 0);
  const auto direct = difference.estimate(0);
  EXPECT_NEAR(paired.mean, direct.mean, 1e-12);
  EXPECT_NEAR(paired.se, direct.se, 1e-12);
  EXPECT_LT(paired.se, 0.2 * a.estimate(0).se);
}

TEST(Contrast, WithRestEqualsTheContrastOfTheTwoParts) {
  GroupedSums touched(2), rest(1, touched.groups()), all(1, touched.groups());
  for (const Row& row : some_rows(701, 2, 150)) {
    touched.add(row.cluster, row.user, row.value, row.weight);
    all.add(0, row.user, row.value, row.weight);
    if (row.cluster != 1) rest.add(0, row.user, row.value, row.weight);
  }
  const auto with_rest = contrast_with_rest(touched, 1, all);
  const auto two = contrast(touched, 1, rest, 0);
  EXPECT_NEAR(with_rest.mean, two.mean, 1e-12);
  EXPECT_NEAR(with_rest.se, two.se, 1e-12);
}

TEST(DistinctUsers, ExactBelowTheLimitAndCloseAboveOnAnyRanks) {
  for (const int64_t ranks : {1, 3}) {
    std::vector<int64_t> counts(2000), exact(2000);
    ThreadWorld(ranks).run([&](Communicator& comm) {
      DistinctUsers users(2000);
      for (uint64_t i = 0; i < 40000; ++i) {
        if (static_cast<int64_t>(i) % comm.size() != comm.rank()) continue;
        users.add(1, i);
        users.add(1, i / 2);
        users.add(2, i % 701);
      }
      users.reduce(comm, "test");
      if (comm.rank() != 0) return;
      for (int64_t k = 0; k < 3; ++k) {
        counts[static_cast<size_t>(k)] = users.count(k);
        exact[static_cast<size_t>(k)] = users.exact(k);
      }
    });
    EXPECT_EQ(counts[0], 0);
    EXPECT_TRUE(exact[0]);
    EXPECT_FALSE(exact[1]);
    EXPECT_NEAR(static_cast<double>(counts[1]), 40000, 4 * 40000 / std::sqrt(1024.0));
    EXPECT_EQ(counts[2], 701);
    EXPECT_TRUE(exact[2]);
  }
}

TEST(Bootstrap, WeightsArePoissonOfMeanOne) {
  double sum = 0, squares = 0, zero = 0;
  const int64_t n = 4096 * 50;
  for (int64_t b = 0; b < 50; ++b) {
    for (const double w : replicate_weights(4096, b)) {
      sum += w;
      squares += w * w;
      zero += w == 0;
    }
  }
  EXPECT_NEAR(sum / n, 1, 4 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 2, 4 * std::sqrt(11.0 / n));
  EXPECT_NEAR(zero / n, std::exp(-1), 4 * 0.5 / std::sqrt(n));
}

TEST(GroupedSums, OneUserAloneHasAMeanButNoError) {
  GroupedSums sums(2);
  for (int i = 0; i < 10; ++i) sums.add(0, 7, i);
  const MeanEstimate estimate = sums.estimate(0);
  EXPECT_EQ(estimate.mean, 4.5);
  EXPECT_TRUE(std::isnan(estimate.se));
  EXPECT_TRUE(to_json(estimate)["ci95"].is_null());
}

}  // namespace
}  // namespace alm
