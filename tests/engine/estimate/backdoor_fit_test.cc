// The regression on a log, against Newton's method written out here on plain doubles.
#include "engine/estimate/backdoor_fit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/base/logistic.h"
#include "kernels/base/rng.h"
#include "tests/engine/estimate/thread_world.h"
#include "tests/engine/memory_log.h"

namespace alm {
namespace {

constexpr int64_t kDense = 2;

io::LogSchema schema_of(int64_t clusters, bool binary) {
  io::LogSchema schema;
  schema.clusters = clusters;
  schema.outcome = binary ? io::OutcomeKind::binary : io::OutcomeKind::continuous;
  schema.dense = kDense;
  schema.weight = true;
  return schema;
}

FeatureStats stats_of(const io::LogSchema& schema) {
  FeatureStats stats;
  stats.schema = schema;
  stats.dense = {{0, 0}, {1, 1}, {-1, -1}, 0};
  return stats;
}

// Odd users are for scoring. Low clusters are touched most; cluster 1 by users for scoring alone.
bool in_training(uint64_t user) {
  return user % 2 == 0;
}

io::Journeys some_journeys(int64_t n, int64_t clusters, bool binary) {
  io::Journeys journeys;
  for (int64_t i = 0; i < n; ++i) {
    Rng rng(43, Stream::test, static_cast<uint64_t>(i));
    const uint64_t user = rng.below(1000);
    double z = -0.5;
    for (uint64_t left = rng.below(6); left > 0; --left) {
      const double u = rng.uniform();
      const uint32_t k = static_cast<uint32_t>(u * u * static_cast<double>(clusters));
      if (k == 1 && in_training(user)) continue;
      journeys.cluster.push_back(k);
      z += 0.6 * std::sin(k + 1);
    }
    for (int64_t d = 0; d < kDense; ++d) {
      journeys.dense.push_back(static_cast<float>(rng.normal()));
      z += 0.3 * static_cast<double>(journeys.dense.back());
    }
    journeys.row.push_back(i);
    journeys.user.push_back(user);
    journeys.weight.push_back(i % 7 == 0 ? 0.0f : static_cast<float>(0.5 + rng.uniform()));
    journeys.outcome.push_back(
        static_cast<float>(binary ? rng.bernoulli(sigmoid(z)) : 3 * z + rng.normal()));
    journeys.touch_begin.push_back(static_cast<int64_t>(journeys.cluster.size()));
  }
  return journeys;
}

// Training touches of each cluster in rows with weight.
std::vector<int64_t> touches_of(const io::Journeys& journeys, int64_t clusters) {
  std::vector<int64_t> touches(static_cast<size_t>(clusters));
  for (size_t i = 0; i < journeys.user.size(); ++i) {
    if (!in_training(journeys.user[i]) || !(journeys.weight[i] > 0)) continue;
    for (int64_t j = journeys.touch_begin[i]; j < journeys.touch_begin[i + 1]; ++j) {
      ++touches[journeys.cluster[static_cast<size_t>(j)]];
    }
  }
  return touches;
}

// Gauss with pivots; both are destroyed.
std::vector<double> solve(std::vector<std::vector<double>>& a, std::vector<double>& b) {
  const size_t n = b.size();
  for (size_t c = 0; c < n; ++c) {
    size_t pivot = c;
    for (size_t r = c; r < n; ++r) {
      if (std::fabs(a[r][c]) > std::fabs(a[pivot][c])) pivot = r;
    }
    std::swap(a[c], a[pivot]);
    std::swap(b[c], b[pivot]);
    for (size_t r = c + 1; r < n; ++r) {
      const double factor = a[r][c] / a[c][c];
      for (size_t j = c; j < n; ++j) a[r][j] -= factor * a[c][j];
      b[r] -= factor * b[c];
    }
  }
  for (size_t c = n; c-- > 0;) {
    for (size_t j = c + 1; j < n; ++j) b[c] -= a[c][j] * b[j];
    b[c] /= a[c][c];
  }
  return b;
}

// slot[k]: the column of cluster k. Coefficients: intercept, slots, dense.
std::vector<double> reference(const io::Journeys& journeys, const std::vector<size_t>& slot,
                              size_t slots, bool binary) {
  const size_t size = 1 + slots + kDense;
  std::vector<double> now(size);
  for (int pass = 0; pass < 20; ++pass) {
    std::vector<std::vector<double>> information(size, std::vector<double>(size));
    std::vector<double> gradient(size);
    double total = 0;
    for (size_t i = 0; i < journeys.user.size(); ++i) {
      if (!in_training(journeys.user[i])) continue;
      std::vector<double> row(size);
      row[0] = 1;
      for (int64_t j = journeys.touch_begin[i]; j < journeys.touch_begin[i + 1]; ++j) {
        row[1 + slot[journeys.cluster[static_cast<size_t>(j)]]] += 1;
      }
      for (size_t d = 0; d < kDense; ++d) {
        row[1 + slots + d] = static_cast<double>(journeys.dense[i * kDense + d]);
      }
      double z = 0;
      for (size_t c = 0; c < size; ++c) z += row[c] * now[c];
      const double mean = binary ? sigmoid(z) : z;
      const double weight = journeys.weight[i];
      total += weight;
      for (size_t c = 0; c < size; ++c) {
        gradient[c] += weight * row[c] * (static_cast<double>(journeys.outcome[i]) - mean);
        for (size_t d = 0; d < size; ++d) {
          information[c][d] += weight * row[c] * row[d] * (binary ? mean * (1 - mean) : 1.0);
        }
      }
    }
    for (size_t c = 1; c < size; ++c) {
      information[c][c] += total * BackdoorFit::kRidge;
      gradient[c] -= total * BackdoorFit::kRidge * now[c];
    }
    const std::vector<double> move = solve(information, gradient);
    for (size_t c = 0; c < size; ++c) now[c] += move[c];
  }
  return now;
}

FittedBackdoor fit(const io::Journeys& journeys, int64_t clusters, bool binary, int64_t most,
                   Communicator& world) {
  const io::LogSchema schema = schema_of(clusters, binary);
  const FeatureStats stats = stats_of(schema);
  Compute compute(make_cpu_device("auto"), 2);
  return fit_backdoor(std::make_shared<MemoryLog>(schema, journeys), stats, in_training, compute,
                      world, most);
}

TEST(FitBackdoor, EqualsTheReferenceWithACoefficientForEachClusterAndWithOneShared) {
  const auto world = make_self_communicator();
  for (const bool binary : {true, false}) {
    for (const int64_t clusters : {1, 2, 13}) {
      const io::Journeys journeys = some_journeys(1501, clusters, binary);
      const std::vector<int64_t> touches = touches_of(journeys, clusters);
      for (const int64_t most : {1, 4, 12, 13}) {
        // Own slots by touches, ties to the lower id; the rest share the last.
        std::vector<int64_t> order;
        for (int64_t k = 0; k < clusters; ++k) order.push_back(k);
        std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
          return touches[static_cast<size_t>(a)] > touches[static_cast<size_t>(b)];
        });
        const size_t own = static_cast<size_t>(std::min(most, clusters));
        std::vector<size_t> slot(static_cast<size_t>(clusters), own);
        for (size_t at = 0; at < own; ++at) slot[static_cast<size_t>(order[at])] = at;
        const std::vector<double> expected = reference(journeys, slot, own + 1, binary);

        const FittedBackdoor fitted = fit(journeys, clusters, binary, most, *world);
        ASSERT_EQ(fitted.coefficients.size(), static_cast<size_t>(1 + clusters + kDense));
        EXPECT_NEAR(fitted.coefficients[0], expected[0], 1e-8);
        for (size_t k = 0; k < slot.size(); ++k) {
          EXPECT_NEAR(fitted.coefficients[1 + k], expected[1 + slot[k]], 1e-8)
              << "cluster " << k << " of " << clusters << ", " << most << " own";
        }
        for (size_t d = 0; d < kDense; ++d) {
          EXPECT_NEAR(fitted.coefficients[slot.size() + 1 + d], expected[own + 2 + d], 1e-8);
        }
        if (clusters <= most) {
          EXPECT_TRUE(fitted.own.empty());
          continue;
        }
        std::vector<int64_t> chosen(order.begin(), order.begin() + static_cast<long>(own));
        std::sort(chosen.begin(), chosen.end());
        std::erase_if(chosen, [&](int64_t k) { return touches[static_cast<size_t>(k)] == 0; });
        EXPECT_EQ(fitted.own, chosen);
      }
    }
  }
}

TEST(FitBackdoor, AClusterThatNoTrainingJourneyTouchesHasTheCoefficientZero) {
  const auto world = make_self_communicator();
  const io::Journeys journeys = some_journeys(1009, 13, true);
  ASSERT_EQ(touches_of(journeys, 13)[1], 0);
  for (const int64_t most : {12, 13}) {
    EXPECT_NEAR(fit(journeys, 13, true, most, *world).coefficients[2], 0, 1e-12);
  }
}

TEST(FitBackdoor, BitsDoNotDependOnTheNumberOfRanks) {
  const io::Journeys journeys = some_journeys(1013, 101, true);
  for (const int64_t most : {17, 101}) {
    FittedBackdoor first;
    for (const int64_t ranks : {1, 2, 3, 4}) {
      std::vector<FittedBackdoor> fitted(static_cast<size_t>(ranks));
      ThreadWorld(ranks).run([&](Communicator& world) {
        fitted[static_cast<size_t>(world.rank())] = fit(journeys, 101, true, most, world);
      });
      if (first.coefficients.empty()) first = fitted[0];
      for (const FittedBackdoor& of : fitted) {
        EXPECT_EQ(of.coefficients, first.coefficients);
        EXPECT_EQ(of.own, first.own);
      }
    }
  }
}

TEST(FitBackdoor, AHundredThousandClustersAreFittedAtOnce) {
  const auto world = make_self_communicator();
  const io::Journeys journeys = some_journeys(997, 100'003, true);
  const FittedBackdoor fitted = fit(journeys, 100'003, true, 32, *world);
  EXPECT_EQ(fitted.own.size(), 32u);
  for (const double c : fitted.coefficients) EXPECT_TRUE(std::isfinite(c));
}

TEST(BackdoorPredictor, ValuesOfABatchAreTheFormulaWrittenOut) {
  constexpr int64_t kClusters = 5;
  const io::LogSchema schema = schema_of(kClusters, true);
  const FeatureStats stats = stats_of(schema);
  const std::vector<double> b = {0.2, 0.5, -0.3, 0.1, 0.7, -0.6, 0.4, -0.8};
  const BackdoorPredictor predictor(stats, b);
  const io::Journeys journeys = some_journeys(200, kClusters, true);
  BackdoorValues values;
  predictor.evaluate(some_journeys(50, kClusters, true), values);  // reused
  predictor.evaluate(journeys, values);
  ASSERT_EQ(values.context_part.size(), journeys.user.size());
  ASSERT_EQ(values.removal.size(), journeys.cluster.size());
  EXPECT_NEAR(values.context_scale, std::sqrt(0.16 + 0.64), 1e-15);
  for (size_t i = 0; i < journeys.user.size(); ++i) {
    const double x =
        b[6] * double{journeys.dense[2 * i]} + b[7] * double{journeys.dense[2 * i + 1]};
    EXPECT_NEAR(values.context_part[i], x, 1e-12);
    double z = b[0] + x;
    const size_t begin = static_cast<size_t>(journeys.touch_begin[i]);
    const size_t end = static_cast<size_t>(journeys.touch_begin[i + 1]);
    for (size_t j = begin; j < end; ++j) z += b[1 + journeys.cluster[j]];
    for (size_t j = begin; j < end; ++j) {
      const double without = 1 / (1 + std::exp(b[1 + journeys.cluster[j]] - z));
      EXPECT_NEAR(values.removal[j], 1 / (1 + std::exp(-z)) - without, 1e-12);
    }
  }
}

}  // namespace
}  // namespace alm
