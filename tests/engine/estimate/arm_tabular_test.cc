#include "engine/estimate/arm_tabular.h"

#include <gtest/gtest.h>

#include "engine/estimate/arm_effects.h"
#include "kernels/base/check.h"
#include "kernels/base/rng.h"
#include "tests/engine/estimate/thread_world.h"

namespace alm {
namespace {

constexpr uint8_t kMissing = 255;

TEST(TabularNuisances, CountWhatIsThere) {
  TabularNuisances counted(2, 2);
  const int64_t here[] = {5, -1}, there[] = {5, 0};
  counted.add(here, 0, 0, 3.0, 2.0);
  counted.add(here, 0, 1, 4.0);
  counted.add(here, 0, 1, 6.0);
  counted.add(here, 1, 1, 10.0);
  counted.add(here, 1, 0, 1.0);
  counted.add(here, 1, kMissing, 99.0, 5.0);
  counted.add(there, 1, 1, 7.0);
  counted.finish();
  EXPECT_EQ(counted.strata(), 2);
  const auto n = counted.at(here);
  EXPECT_DOUBLE_EQ(n.p(1, 0), 0.5);
  EXPECT_DOUBLE_EQ(n.p(1, 1), 0.5);
  EXPECT_DOUBLE_EQ(n.mu(0, 0), 3);
  EXPECT_DOUBLE_EQ(n.mu(1, 0), 5);
  EXPECT_DOUBLE_EQ(n.mu(1, 1), 10);
  EXPECT_DOUBLE_EQ(n.pi(1), 7.0 / 11);
}

TEST(TabularNuisances, EmptyCellsBorrowAndAreCounted) {
  TabularNuisances counted(2, 1);
  const int64_t full[] = {0}, thin[] = {1}, unseen[] = {2};
  for (int64_t arm = 0; arm < 2; ++arm) {
    for (uint8_t m = 0; m < 2; ++m) counted.add(full, arm, m, 10.0 * m + static_cast<double>(arm));
  }
  counted.finish();
  EXPECT_EQ(counted.empty_cells(), 0);
  counted.add(thin, 0, 1, 4.0);
  counted.finish();
  EXPECT_GT(counted.empty_cells(), 0);
  const auto n = counted.at(thin);
  EXPECT_DOUBLE_EQ(n.mu(1, 1), 4);   // the stratum over all arms
  EXPECT_DOUBLE_EQ(n.mu(0, 1), 1);   // all strata
  EXPECT_DOUBLE_EQ(n.p(1, 1), 0.5);  // all strata
  EXPECT_DOUBLE_EQ(n.pi(1), 0);
  EXPECT_TRUE(counted.known(thin));
  EXPECT_FALSE(counted.known(unseen));
  EXPECT_DOUBLE_EQ(counted.at(unseen).pi(0), 3.0 / 5);
}

TEST(TabularNuisances, PackedCountsComeBackTheSame) {
  TabularNuisances counted(3, 1), restored(3, 1);
  for (uint64_t i = 0; i < 500; ++i) {
    Rng rng(51, Stream::test, i);
    const int64_t cat[] = {static_cast<int64_t>(rng.below(7)) - 3};
    counted.add(cat, static_cast<int64_t>(rng.below(3)), rng.bernoulli(0.4), -1e4 * rng.normal());
  }
  restored.merge_packed(counted.pack());
  EXPECT_EQ(restored.pack(), counted.pack());
}

TEST(TabularNuisances, RanksThatSawDifferentStrataAgree) {
  std::vector<int64_t> packed[3];
  ThreadWorld(3).run([&](Communicator& comm) {
    TabularNuisances counted(2, 1);
    for (int64_t i = 0; i < 5 * comm.rank(); ++i) {
      const int64_t cat[] = {i};
      counted.add(cat, i % 2, 1, static_cast<double>(i));
    }
    counted.reduce(comm, "test");
    EXPECT_EQ(counted.strata(), 10);
    packed[comm.rank()] = counted.pack();
  });
  EXPECT_EQ(packed[0], packed[1]);
  EXPECT_EQ(packed[0], packed[2]);
}

TEST(TabularNuisances, TooManyStrataAreTheUsersError) {
  TabularNuisances counted(2, 1);
  EXPECT_THROW(
      for (int64_t i = 0; i <= TabularNuisances::kMaxStrata;
           ++i) { counted.add(std::array{i}, 0, 0, 0); },
      UserError);
}

TEST(ArmEffectSums, FloorsAreCountedAndRawValuesKeptBeside) {
  // Arm 1 always has the mediator, but a journey of it says otherwise: its law there is .001.
  const std::vector<double> mediator{0.5, 0.999}, zero{0.1, 0.1}, one{0.3, 0.3}, pi{0.5, 0.5};
  const ArmNuisances nuisances{mediator, zero, one, pi};
  ArmEffectSums sums(2, 0);
  sums.add(1, 1, 0, 1.0, 1, nuisances);
  sums.add(2, 1, 1, 0.0, 1, nuisances);
  sums.add(3, 0, 1, 0.0, 1, nuisances);
  sums.add(4, 0, 0, 0.0, 1, nuisances);
  const auto comm = make_self_communicator();
  sums.reduce(*comm, "test");
  const auto effect = sums.effect(1);
  EXPECT_DOUBLE_EQ(effect.do_effect.clipped_share, 0.25);
  // p(0|0)/p(0|1) is 500 raw and 50 floored; its residual is .9, a quarter of the journeys.
  EXPECT_NEAR(effect.do_effect.one_step.mean - effect.do_effect.one_step_raw.mean,
              (500.0 - 50) * 0.9 / 4 - (0.001 / 0.001 - 0.001 / 0.01) * 0.9 / 4, 1e-9);
  EXPECT_LT(effect.ett.ess, 2);
}

TEST(ArmEffectSums, ZeroDenominatorsMakeRawValuesNullNotInfinite) {
  const std::vector<double> mediator{0.5, 1.0}, zero{0.1, 0.1}, one{0.3, 0.3}, pi{1.0, 0.0};
  ArmEffectSums sums(2, 0);
  sums.add(1, 1, 0, 1.0, 1, {mediator, zero, one, pi});
  sums.add(2, 0, 0, 1.0, 1, {mediator, zero, one, pi});
  const auto comm = make_self_communicator();
  sums.reduce(*comm, "test");
  const auto json = to_json(sums.effect(1), "b");
  EXPECT_TRUE(json["do"]["one_step_raw"].is_null());
  EXPECT_TRUE(json["do"]["one_step"].is_number());
}

TEST(ArmEffectSums, JourneysWithoutAMediatorCountForPlugInAndNaiveOnly) {
  const std::vector<double> mediator{0.5, 0.6}, zero{0.1, 0.1}, one{0.3, 0.3}, pi{0.5, 0.5};
  ArmEffectSums sums(2, 0);
  sums.add(1, 1, kMissing, 1.0, 1, {mediator, zero, one, pi});
  sums.add(2, 0, kMissing, 0.0, 1, {mediator, zero, one, pi});
  const auto comm = make_self_communicator();
  sums.reduce(*comm, "test");
  EXPECT_EQ(sums.mediator_missing(), 2);
  const auto json = to_json(sums.effect(1), "b");
  EXPECT_NEAR(json["do"]["plugin"].get<double>(), 0.1 * 0.2, 1e-12);
  EXPECT_EQ(json["naive"], 1.0);
  EXPECT_TRUE(json["do"]["one_step"].is_null());
  EXPECT_TRUE(json["do"].contains("one_step_why"));
}

}  // namespace
}  // namespace alm
