// Targeted estimates against the exact law of level A: doubly robust as the one-step value, means
// of predictions, and at the end the mean of the influence function by the moved nuisances.
#include "engine/estimate/targeting.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/engine/estimate/level_a_nuisances.h"
#include "tests/engine/estimate/thread_world.h"

namespace alm {
namespace {

using level_a::kArms;
using level_a::Owned;

// Those of the law; some of them replaced.
Owned nuisances(int x, bool wrong_p, bool wrong_mu, bool wrong_pi) {
  Owned n = level_a::exact(x);
  for (size_t t = 0; t < static_cast<size_t>(kArms); ++t) {
    if (wrong_p) n.mediator[t] = 0.25 + 0.5 * n.mediator[t];
    if (wrong_mu) n.outcome0[t] = 0.1 + 0.03 * static_cast<double>(t);
    if (wrong_mu) n.outcome1[t] = 0.15 + 0.03 * static_cast<double>(t);
    if (wrong_pi) n.propensity[t] = 0.25;
  }
  return n;
}

// Rows of the law, weighted by their probability: a sample without sampling error. Outcomes are
// low + (high - low) y.
struct Law {
  Owned at[2];
  double low = 0, high = 1;

  template <class Use>
  void each(const Use& use) const {
    uint64_t user = 0;
    for (int x = 0; x < 2; ++x) {
      for (int t = 0; t < kArms; ++t) {
        for (int m = 0; m < 2; ++m) {
          for (int y = 0; y < 2; ++y) {
            use(user++, x, ArmObservation{t, m, y ? high : low}, level_a::joint(x, t, m, y));
          }
        }
      }
    }
  }
  Targeted targeted(const TargetingSetting& setting) const {
    return target(kArms, [&](const Targeting& targeting) {
      TargetingSums sums(kArms, setting);
      each([&](uint64_t user, int x, const ArmObservation& o, double weight) {
        sums.add(user, o, weight, at[x].view(), targeting);
      });
      return sums;
    });
  }
};

TEST(Targeting, IsDoublyRobustAsTheOneStepValueInTheTableOfTheMethod) {
  struct Case {
    bool p, mu, pi;
  };
  const double contrasts[] = {0, 0.068474, 0.024656, 0.002282};
  for (const Case& wrong :
       {Case{false, false, false}, Case{true, false, false}, Case{false, true, false},
        Case{false, false, true}, Case{false, true, true}}) {
    const Law law{
        {nuisances(0, wrong.p, wrong.mu, wrong.pi), nuisances(1, wrong.p, wrong.mu, wrong.pi)}};
    const Targeted targeted = law.targeted({});
    EXPECT_TRUE(targeted.done()) << targeted.sums.largest_score();
    EXPECT_LE(targeted.passes, 12);
    for (int t = 1; t < kArms; ++t) {
      EXPECT_NEAR(targeted.sums.effect(t).mean, contrasts[t], 1e-6)
          << wrong.p << wrong.mu << wrong.pi;
    }
    EXPECT_NEAR(targeted.sums.arm_mean(0), level_a::truth(0), 1e-8);
  }
}

TEST(Targeting, HasTheErrorOfTheInfluenceFunction) {
  const Law law{{nuisances(0, false, false, false), nuisances(1, false, false, false)}};
  const Targeted targeted = law.targeted({});
  const double contrast_sd[] = {0, 0.510349, 0.268790, 0.156897};
  for (int t = 1; t < kArms; ++t) {
    // Every row is a user of its own: se^2 = sum of w^2 (phi - mean)^2, here with weights that sum
    // to 1 and are no counts.
    double squares = 0;
    double check = 0;
    law.each([&](uint64_t, int x, const ArmObservation& o, double weight) {
      const double phi = do_influence(law.at[x].view(), o, t, {}).phi -
                         do_influence(law.at[x].view(), o, 0, {}).phi;
      const double off = phi - (level_a::truth(t) - level_a::truth(0));
      squares += weight * weight * off * off;
      check += weight * off * off;
    });
    EXPECT_NEAR(std::sqrt(check), contrast_sd[t], 1e-6);
    EXPECT_NEAR(targeted.sums.effect(t).se, std::sqrt(squares), 1e-8);
  }
}

// Where everything is wrong there is no right answer, but still the same equation.
TEST(Targeting, EndsAtTheMeanOfTheInfluenceFunctionByTheMovedNuisances) {
  const Law law{{nuisances(0, true, true, true), nuisances(1, true, true, true)}};
  const Targeted targeted = law.targeted({});
  ASSERT_TRUE(targeted.done());
  const auto moved = [](double p, double by) {
    return 1 / (1 + std::exp(-std::log(p / (1 - p)) - by));
  };
  for (int a = 0; a < kArms; ++a) {
    const size_t at = static_cast<size_t>(a);
    EXPECT_NE(targeted.targeting.outcome[at], 0);
    EXPECT_NE(targeted.targeting.mediator[at], 0);
    Owned by[2];
    for (int x = 0; x < 2; ++x) {
      by[x] = law.at[x];
      for (size_t arm = 0; arm < kArms; ++arm) {
        by[x].outcome0[arm] = moved(law.at[x].outcome0[arm], targeted.targeting.outcome[at]);
        by[x].outcome1[arm] = moved(law.at[x].outcome1[arm], targeted.targeting.outcome[at]);
      }
      const double gap = xi(by[x].view(), 1) - xi(by[x].view(), 0);
      by[x].mediator[at] = moved(law.at[x].mediator[at], targeted.targeting.mediator[at] * gap);
    }
    double mean = 0;
    law.each([&](uint64_t, int x, const ArmObservation& o, double weight) {
      mean += weight * do_influence(by[x].view(), o, a, {}).phi;
    });
    EXPECT_NEAR(targeted.sums.arm_mean(a), mean, 1e-8);
  }
}

// An outcome head that hardly knows the mediator leaves the mediator's law a short direction to
// move along.
TEST(Targeting, MovesTheMediatorAlongAFlatOutcomeHead) {
  Law law{{nuisances(0, true, true, false), nuisances(1, true, true, false)}};
  for (Owned& of : law.at) {
    for (size_t t = 0; t < kArms; ++t) of.outcome1[t] = of.outcome0[t] + 1e-4;
  }
  const Targeted targeted = law.targeted({});
  EXPECT_TRUE(targeted.done()) << targeted.sums.largest_score();
  EXPECT_GT(std::fabs(targeted.targeting.mediator[1]), 100);
}

TEST(Targeting, OfContinuousOutcomesFollowsTheirScale) {
  Law law{{nuisances(0, false, true, false), nuisances(1, false, true, false)}, 100, 150};
  for (Owned& of : law.at) {
    for (double& mu : of.outcome0) mu = 80 + 50 * mu;
    for (double& mu : of.outcome1) mu = 120 + 20 * mu;
  }
  TargetingSetting setting;
  setting.binary = false;
  setting.scale = 20;
  const Targeted targeted = law.targeted(setting);
  EXPECT_TRUE(targeted.done());
  for (int t = 1; t < kArms; ++t) {
    EXPECT_NEAR(targeted.sums.effect(t).mean, 50 * (level_a::truth(t) - level_a::truth(0)), 1e-6);
  }
  EXPECT_NEAR(targeted.sums.arm_mean(0), 100 + 50 * level_a::truth(0), 1e-6);
}

// A sample of level A, of which an outcome counts with a chance of `keep`, else it is 0.
Targeted of_sample(int64_t n, double keep, const Owned (&at)[2], Communicator& comm,
                   std::vector<double>* one_step = nullptr) {
  if (one_step) one_step->assign(kArms, 0);
  return target(kArms, [&](const Targeting& targeting) {
    TargetingSums sums(kArms, {});
    if (one_step) one_step->assign(kArms, 0);
    for (int64_t i = 0; i < n; ++i) {
      if ((i * i) % comm.size() != comm.rank()) continue;
      const auto row = level_a::sample(3, static_cast<uint64_t>(i));
      Rng rng(9, Stream::test, static_cast<uint64_t>(i));
      const ArmObservation o{row.arm, row.mediator,
                             row.outcome == 1 && rng.bernoulli(keep) ? 1.0 : 0.0};
      sums.add(static_cast<uint64_t>(i), o, 1, at[row.x].view(), targeting);
      for (int a = 0; a < kArms && one_step; ++a) {
        (*one_step)[static_cast<size_t>(a)] +=
            do_influence(at[row.x].view(), o, a, {}).phi / static_cast<double>(n);
      }
    }
    sums.reduce(comm);
    return sums;
  });
}

// Both are the estimate of the first order; what is between them is of the second, so in units of
// the standard error it falls with the root of the sample.
TEST(Targeting, OfALargeSampleIsTheOneStepValue) {
  const Owned at[2] = {nuisances(0, false, false, false), nuisances(1, false, false, false)};
  const auto comm = make_self_communicator();
  const auto between = [&](int64_t n) {
    std::vector<double> one_step;
    const Targeted targeted = of_sample(n, 1, at, *comm, &one_step);
    double sum = 0;
    for (int t = 1; t < kArms; ++t) {
      const MeanEstimate effect = targeted.sums.effect(t);
      sum += std::fabs(effect.mean - (one_step[static_cast<size_t>(t)] - one_step[0])) / effect.se;
    }
    return sum / (kArms - 1);
  };
  const double small = between(1250);
  const double large = between(80000);  // 64 times as many: an eighth
  EXPECT_GT(small, 0);
  EXPECT_LT(large, small / 3);
  EXPECT_LT(large, 0.1);
}

TEST(Targeting, IsTheSameOnAnyRanks) {
  const Owned at[2] = {nuisances(0, true, true, true), nuisances(1, true, true, true)};
  std::vector<double> first;
  for (const int64_t ranks : {1, 2, 3}) {
    std::vector<double> values;
    ThreadWorld(ranks).run([&](Communicator& comm) {
      const Targeted targeted = of_sample(2011, 1, at, comm);
      if (comm.rank() != comm.size() - 1) return;
      for (int t = 1; t < kArms; ++t) {
        const MeanEstimate effect = targeted.sums.effect(t);
        values.insert(values.end(), {effect.mean, effect.se, targeted.sums.arm_mean(t)});
      }
    });
    if (first.empty()) first = values;
    EXPECT_EQ(first, values);
  }
}

TEST(Targeting, StaysWithinTheBoundsOfRareOutcomes) {
  // Nuisances of a world in which outcomes are a hundred times as frequent.
  const Owned at[2] = {nuisances(0, false, false, false), nuisances(1, false, false, false)};
  const auto comm = make_self_communicator();
  std::vector<double> one_step;
  const Targeted targeted = of_sample(80, 0.01, at, *comm, &one_step);
  bool beyond = false;
  for (int a = 0; a < kArms; ++a) {
    beyond = beyond || one_step[static_cast<size_t>(a)] < 0;
    EXPECT_GE(targeted.sums.arm_mean(a), 0);
    EXPECT_LE(targeted.sums.arm_mean(a), 1);
  }
  EXPECT_TRUE(beyond) << "no one-step value of this sample lies beyond the bounds: no test";
}

}  // namespace
}  // namespace alm
