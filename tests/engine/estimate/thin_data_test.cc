// Where there is too little behind a number to give it.
#include "engine/estimate/thin_data.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/estimate/arm_effects.h"
#include "engine/estimate/coordinator.h"
#include "engine/estimate/few_steps.h"
#include "engine/estimate/mediator_variation.h"
#include "engine/estimate/sequence_sums.h"
#include "kernels/base/check.h"
#include "tests/engine/estimate/thread_world.h"
#include "tests/io/fake_log.h"

namespace alm {
namespace {

TEST(ThinData, AnIntervalTakesTouchesUsersAndAnEffectiveSample) {
  EXPECT_EQ(too_thin(20, 10, 10, false), "");
  EXPECT_NE(too_thin(19, 10, 10, false), "");
  EXPECT_NE(too_thin(20, 9, 10, false), "");
  EXPECT_NE(too_thin(20, 10, 9.99, false), "");
  EXPECT_NE(too_thin(20, 10, NAN, false), "");
  EXPECT_EQ(too_thin(3, 2, 1, false), too_thin(7, 3, 2, false)) << "one reason, to be counted";
}

// Three arms: 0 the reference, 1 and 2; the given journeys of each, a user each.
// `reference_observed`: journeys of the reference whose mediator was observed.
io::Json effect_of_arm_1(int64_t of_reference, int64_t of_arm,
                         int64_t reference_observed = int64_t{1} << 40) {
  ArmEffectSums sums(3, 0);
  const std::vector<double> mediator{.2, .6, .5}, outcome0{.1, .1, .2}, outcome1{.4, .4, .3},
      propensity{.5, .2, .3};
  const ArmNuisances nuisances{mediator, outcome0, outcome1, propensity};
  uint64_t user = 0;
  const auto add = [&](int64_t arm, int64_t journeys) {
    for (int64_t i = 0; i < journeys; ++i) {
      const bool observed = arm != 0 || i < reference_observed;
      sums.add(++user, arm, observed ? static_cast<uint8_t>(i % 2) : 255,
               static_cast<double>(i % 3 == 0), 1, nuisances);
    }
  };
  add(0, of_reference);
  add(1, of_arm);
  add(2, 50);
  sums.reduce(*make_self_communicator(), "arms");
  return to_json(sums.effect(1), "one");
}

TEST(ThinData, AnArmThatNobodyGotHasNoFrontDoorValue) {
  const io::Json effect = effect_of_arm_1(50, 0);
  for (const char* estimand : {"do", "ett"}) {
    for (const char* key : {"plugin", "one_step", "se", "ci95", "ess"}) {
      EXPECT_TRUE(effect[estimand][key].is_null()) << estimand << " " << key;
    }
    EXPECT_EQ(effect[estimand]["why"], "no scored journey of this arm");
  }
  EXPECT_EQ(effect_of_arm_1(0, 50)["do"]["why"], "no scored journey of the reference arm");
}

TEST(ThinData, AnArmOfAFewJourneysHasAValueButNoInterval) {
  for (const auto& [reference, arm] : {std::pair{50, 3}, std::pair{3, 50}}) {
    const io::Json effect = effect_of_arm_1(reference, arm);
    for (const char* estimand : {"do", "ett"}) {
      EXPECT_TRUE(effect[estimand]["one_step"].is_number()) << estimand;
      EXPECT_TRUE(effect[estimand]["ci95"].is_null()) << estimand;
      EXPECT_TRUE(effect[estimand]["se"].is_null()) << estimand;
      EXPECT_NE(effect[estimand]["ci95_why"].get<std::string>().find("too little data"),
                std::string::npos);
    }
  }
  EXPECT_TRUE(effect_of_arm_1(50, 50)["do"]["ci95"].is_array());
}

TEST(ThinData, JourneysWithoutAnObservedMediatorAreNothingBehindAnInterval) {
  for (const char* estimand : {"do", "ett"}) {
    EXPECT_TRUE(effect_of_arm_1(500, 50, 20)[estimand]["ci95"].is_array()) << estimand;
    EXPECT_TRUE(effect_of_arm_1(500, 50, 19)[estimand]["ci95"].is_null()) << estimand;
  }
}

TEST(ThinData, TouchesWithoutAnObservedMediatorAreNothingBehindAnInterval) {
  io::LogSchema schema;
  schema.clusters = 2;
  schema.mediator = true;
  // 40 touches of cluster 1, and as many users; the first touches have a mediator, of few users.
  const auto thin = [&](int64_t observed, int64_t users_of_those) {
    SequenceSums sums(schema, OutcomeHead::separable, 0, 100);
    for (int64_t touch = 0; touch < 40; ++touch) {
      const bool is_observed = touch < observed;
      io::Journeys journey;
      journey.row = {touch};
      journey.user = {static_cast<uint64_t>(is_observed ? touch % users_of_those : touch + 1000)};
      journey.outcome = {static_cast<float>(touch % 2)};
      journey.touch_begin = {0, 1};
      journey.cluster = {1};
      journey.mediator = {static_cast<uint8_t>(is_observed ? 0 : 255)};
      SequenceScores scores;
      scores.predicted = scores.do_effect = scores.ett = scores.p = scores.weight = {.5};
      scores.one_step = scores.raw = {is_observed ? .1 : std::nan("")};
      scores.clipped = {0};
      sums.add(journey, scores, nullptr);
    }
    sums.reduce(*make_self_communicator());
    EXPECT_GE(sums.users.count(1), 10);
    return sums.thin(1);
  };
  EXPECT_EQ(thin(40, 10), "");
  EXPECT_EQ(thin(20, 10), "");
  EXPECT_NE(thin(19, 19), "");
  EXPECT_NE(thin(30, 9), "");
  EXPECT_NE(thin(30, 1), "");
}

TEST(FewSteps, WarnBelowThreeHundredAndWithholdIntervalsWhereTheFitCannotHaveLearned) {
  Bundle bundle;
  EXPECT_EQ(few_steps_warning(bundle) + undertrained(bundle), "") << "steps were not counted";
  bundle.main_steps = kFewSteps;
  EXPECT_EQ(few_steps_warning(bundle) + undertrained(bundle), "");
  bundle.main_steps = kFewSteps - 1;
  EXPECT_NE(few_steps_warning(bundle), "");
  EXPECT_EQ(undertrained(bundle), "");
  bundle.main_steps = kTooFewSteps - 1;
  EXPECT_NE(few_steps_warning(bundle).find("no interval is given"), std::string::npos);
  EXPECT_NE(undertrained(bundle), "");
}

TEST(Weights, OfZeroEverywhereAreRefused) {
  const io::FakeLog log(10, 10);
  EXPECT_NO_THROW(check_weight(log, 0, 0));
  EXPECT_NO_THROW(check_weight(log, 5, 0.1));
  EXPECT_THROW(check_weight(log, 5, 0), UserError);
}

TEST(ScoredJourneys, AreAskedForByTheNameOfTheLog) {
  const io::FakeLog log(10, 10);
  EXPECT_NO_THROW(check_scored(log, 1));
  try {
    check_scored(log, 0);
    FAIL() << "nobody was scored, and nothing said";
  } catch (const UserError& error) {
    EXPECT_EQ(std::string(error.what()).find("memory: no journey"), 0u) << error.what();
  }
}

TEST(MediatorVariation, IsThatOfTheFitWhereClustersLeaveMore) {
  MediatorVariation sums(2);
  for (int i = 0; i < 1000; ++i) {
    const uint8_t mediator = i % 4 == 0;
    sums.add(i % 2 == 0 ? .1 : .4, mediator, 1);
    sums.add_observed(i / 4 % 2, mediator, 1);
  }
  EXPECT_NEAR(sums.share(), (.09 + .24) / 2 / (.25 * .75), 1e-9);
}

TEST(MediatorVariation, IsSeenToBeMissingByAFitThatLearnedNothing) {
  MediatorVariation sums(2);
  for (int i = 0; i < 1000; ++i) {
    const uint8_t mediator = i % 2;  // the cluster settles it
    sums.add(.5, mediator, 1);
    sums.add_observed(i % 2, mediator, 1);
  }
  EXPECT_NEAR(sums.fitted(), 1, 1e-9);
  EXPECT_EQ(sums.share(), 0);
  EXPECT_EQ(mediator_variation_warnings(sums.share()).size(), 1u);
}

TEST(MediatorVariation, OfClustersOfOneTouchSaysNothing) {
  MediatorVariation sums(1000);
  for (int i = 0; i < 1000; ++i) {
    sums.add(.5, i % 2, 1);
    sums.add_observed(i, static_cast<uint8_t>(i % 2), 1);
  }
  EXPECT_TRUE(std::isnan(sums.within_clusters()));
  EXPECT_NEAR(sums.share(), 1, 1e-9);
}

TEST(MediatorVariation, WithinClustersIsUnbiasedInSmallOnes) {
  // 50 clusters of 20 touches at one rate: all variance lies within, whatever the touches show.
  MediatorVariation sums(50);
  for (int i = 0; i < 1000; ++i) {
    const uint8_t mediator = hash(static_cast<uint64_t>(i), Salt::half, 3) % 2;
    sums.add_observed(i / 20, mediator, 1);
  }
  EXPECT_NEAR(sums.within_clusters(), 1, 0.03);
}

TEST(MediatorVariation, DoesNotDependOnTheNumberOfRanks) {
  MediatorVariation whole(3);
  double shares[3] = {};
  const auto add = [](MediatorVariation& to, int i) {
    to.add(.1 + .001 * (i % 700), i % 5 == 0, 1 + i % 3);
    to.add_observed(i % 3, i % 5 == 0, 1 + i % 3);
  };
  for (int i = 0; i < 500; ++i) add(whole, i);
  ThreadWorld(3).run([&](Communicator& world) {
    MediatorVariation mine(3);
    for (int i = 0; i < 500; ++i) {
      if (i % 3 == world.rank()) add(mine, i);
    }
    mine.reduce(world);
    shares[world.rank()] = mine.share();
  });
  for (const double share : shares) EXPECT_EQ(share, whole.share());
}

}  // namespace
}  // namespace alm
