#include "engine/estimate/backdoor.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/base/rng.h"
#include "tests/engine/estimate/thread_world.h"

namespace alm {
namespace {

struct Row {
  std::vector<uint32_t> touched;
  std::vector<float> x;
  double outcome, weight;
};

// Sequence-log rows with known coefficients; the last cluster is never seen.
std::vector<Row> some_rows(int64_t n, int64_t clusters, int64_t dense, bool binary) {
  std::vector<Row> rows;
  for (int64_t i = 0; i < n; ++i) {
    Rng rng(41, Stream::test, static_cast<uint64_t>(i));
    Row row;
    double z = -1;
    for (uint64_t left = rng.below(6); left > 0; --left) {
      const uint32_t k = static_cast<uint32_t>(rng.below(static_cast<uint64_t>(clusters - 1)));
      row.touched.push_back(k);
      z += 0.8 * std::sin(k);
    }
    for (int64_t d = 0; d < dense; ++d) {
      row.x.push_back(static_cast<float>(rng.normal()));
      z += 0.3 * static_cast<double>(d + 1) * static_cast<double>(row.x.back());
    }
    row.weight = static_cast<float>(0.5 + rng.uniform());
    row.outcome = binary ? rng.bernoulli(1 / (1 + std::exp(-z))) : 2000 * z + 500 * rng.normal();
    rows.push_back(std::move(row));
  }
  return rows;
}

BackdoorFit fitted(const std::vector<Row>& rows, int64_t clusters, int64_t dense, bool binary,
                   Communicator& comm) {
  BackdoorFit fit(clusters, dense, binary ? io::OutcomeKind::binary : io::OutcomeKind::continuous);
  BackdoorSums sums(fit.model());
  do {
    sums.clear();
    for (size_t i = rows.size(); i-- > 0;) {
      if (static_cast<int64_t>(i * i) % comm.size() != comm.rank()) continue;
      sums.add(fit.model(), rows[i].touched, rows[i].x, rows[i].outcome, rows[i].weight);
    }
  } while (!fit.step(sums, comm, "test"));
  return fit;
}

// At the optimum of the penalised likelihood every derivative is 0; summed here in plain doubles.
double largest_derivative(const std::vector<Row>& rows, const BackdoorModel& model, bool binary) {
  const auto& c = model.coefficients();
  std::vector<double> gradient(c.size());
  double total = 0;
  for (const Row& row : rows) {
    double z = c[0];
    for (const uint32_t k : row.touched) z += c[1 + k];
    for (size_t d = 0; d < row.x.size(); ++d) {
      z += c[1 + static_cast<size_t>(model.clusters()) + d] * static_cast<double>(row.x[d]);
    }
    const double residual = row.outcome - (binary ? 1 / (1 + std::exp(-z)) : z);
    gradient[0] += row.weight * residual;
    for (const uint32_t k : row.touched) gradient[1 + k] += row.weight * residual;
    for (size_t d = 0; d < row.x.size(); ++d) {
      gradient[1 + static_cast<size_t>(model.clusters()) + d] +=
          row.weight * residual * static_cast<double>(row.x[d]);
    }
    total += row.weight;
  }
  double largest = 0;
  for (size_t i = 0; i < c.size(); ++i) {
    const double penalty = i > 0 ? BackdoorFit::kRidge * c[i] : 0;
    largest = std::max(largest, std::fabs(gradient[i] / total - penalty));
  }
  return largest;
}

TEST(BackdoorFit, SolvesTheFirstOrderConditions) {
  const auto comm = make_self_communicator();
  for (const bool binary : {true, false}) {
    const auto rows = some_rows(3001, 13, 3, binary);
    const auto fit = fitted(rows, 13, 3, binary, *comm);
    EXPECT_TRUE(fit.converged());
    EXPECT_LE(fit.passes(), BackdoorFit::kMaxPasses);
    EXPECT_LT(largest_derivative(rows, fit.model(), binary), binary ? 1e-9 : 1e-8);
    EXPECT_NEAR(fit.model().coefficients()[13], 0, 1e-9) << "the cluster nobody saw";
  }
}

TEST(BackdoorFit, RecoversTheCoefficientsOfItsOwnModel) {
  const auto comm = make_self_communicator();
  const auto fit = fitted(some_rows(40009, 7, 2, true), 7, 2, true, *comm);
  const auto& c = fit.model().coefficients();
  EXPECT_NEAR(c[0], -1, 0.08);
  for (size_t k = 0; k < 6; ++k) EXPECT_NEAR(c[1 + k], 0.8 * std::sin(k), 0.1);
  EXPECT_NEAR(c[8], 0.3, 0.06);
  EXPECT_NEAR(c[9], 0.6, 0.06);
}

TEST(BackdoorFit, BitsDoNotDependOnTheNumberOfRanks) {
  const auto rows = some_rows(2003, 11, 2, true);
  std::vector<double> first;
  for (const int64_t ranks : {1, 2, 3, 6}) {
    std::vector<double> coefficients;
    ThreadWorld(ranks).run([&](Communicator& comm) {
      const auto fit = fitted(rows, 11, 2, true, comm);
      if (comm.rank() == comm.size() - 1) coefficients = fit.model().coefficients();
    });
    if (first.empty()) first = coefficients;
    EXPECT_EQ(first, coefficients);
  }
}

TEST(BackdoorFit, ArmLogsAreIdentifiedByTheRidgeAndGiveTheDifferenceOfRates) {
  // One arm each, so arms add up to the intercept; without X the fit is saturated.
  std::vector<Row> rows;
  const double rate[] = {0.1, 0.25, 0.6};
  for (uint64_t i = 0; i < 30000; ++i) {
    const uint32_t arm = static_cast<uint32_t>(i % 3);
    rows.push_back({{arm}, {}, (i / 3) % 1000 < rate[arm] * 1000 ? 1.0 : 0.0, 1});
  }
  const auto comm = make_self_communicator();
  for (const bool binary : {true, false}) {
    const auto model = fitted(rows, 3, 0, binary, *comm).model();
    for (uint32_t arm = 1; arm < 3; ++arm) {
      const double linear = model.linear(std::vector<uint32_t>{arm}, {});
      EXPECT_NEAR(model.mean(linear), rate[arm], 1e-5);
      EXPECT_NEAR(model.replacement_effect(linear, arm, 0), rate[arm] - rate[0], 1e-5);
    }
  }
}

TEST(BackdoorModel, RemovalTakesOneTouchFromTheCount) {
  const BackdoorModel model(2, 1, io::OutcomeKind::binary, {-1, 0.5, -0.25, 2});
  const std::vector<uint32_t> twice{0, 1, 0}, once{0, 1};
  const std::vector<float> x{0.5f};
  EXPECT_NEAR(model.removal_effect(model.linear(twice, x), 0),
              model.predict(twice, x) - model.predict(once, x), 1e-15);
}

TEST(BackdoorFit, DegenerateOutcomesAndEmptyLogsEndWithFiniteCoefficients) {
  const auto comm = make_self_communicator();
  for (const double outcome : {0.0, 1.0}) {
    auto rows = some_rows(500, 5, 1, true);
    for (Row& row : rows) row.outcome = outcome;
    const auto fit = fitted(rows, 5, 1, true, *comm);
    for (const double c : fit.model().coefficients()) EXPECT_TRUE(std::isfinite(c));
    EXPECT_NEAR(fit.model().predict({}, std::vector<float>{0}), outcome, 1e-3);
  }
  const auto none = fitted({}, 5, 1, true, *comm);
  for (const double c : none.model().coefficients()) EXPECT_EQ(c, 0);
  // A cluster whose journeys all convert is separated: its coefficient grows but stays finite.
  auto rows = some_rows(500, 5, 1, true);
  for (int i = 0; i < 10; ++i) rows.push_back({{4}, {0}, 1, 1});
  const auto fit = fitted(rows, 5, 1, true, *comm);
  EXPECT_GT(fit.model().coefficients()[5], 5);
  EXPECT_LT(fit.model().coefficients()[5], 50);
}

TEST(BackdoorFit, HandlesAThousandClusters) {
  const auto comm = make_self_communicator();
  const auto rows = some_rows(5003, 1000, 16, true);
  const auto fit = fitted(rows, 1000, 16, true, *comm);
  EXPECT_TRUE(fit.converged());
  EXPECT_LT(largest_derivative(rows, fit.model(), true), 1e-9);
}

}  // namespace
}  // namespace alm
