// The scorer against sums written out: every mediator vector, every subset of touches, one model
// run per edited journey. Only the model's raw outputs are shared.
#include "engine/estimate/sequence_scorer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <memory>

#include "kernels/base/rng.h"
#include "tests/engine/estimate/scored_journeys.h"

namespace alm {
namespace {

double sigmoid(double z) {
  return 1 / (1 + std::exp(-z));
}

// What the model says of one journey, as probabilities.
struct Law {
  std::vector<double> p;
  std::vector<double> potency;  // q_j, or g_j of the additive head
  double h = 0;                 // confounding term
  double lambda = 0;
};

class SequenceScorerTest : public ::testing::TestWithParam<io::OutcomeKind> {
 protected:
  SequenceScorerTest() : compute_(make_cpu_device("auto"), 1) {
    model_ = std::make_unique<AlmMta>(make_stats(GetParam()), make_options(), kPositions);
    weights_ = arbitrary_weights(*model_);
  }

  bool binary() const { return GetParam() == io::OutcomeKind::binary; }

  Law law(const Journey& journey) {
    const io::Journeys packed = pack({journey});
    Inputs& inputs = compute_.thread(0).inputs;
    inputs.fill(packed, model_->stats(), model_->options(), model_->positions());
    const Pass pass = compute_.pass(0, weights_.dense.data(), nullptr);
    const AlmMta::Scores raw = model_->score(pass, inputs, weights_);
    Law law;
    for (size_t touch = 0; touch < journey.touches(); ++touch) {
      law.p.push_back(sigmoid(raw.mediator_logit.data[touch]));
      const double g = raw.potency.data[touch];
      law.potency.push_back(binary() ? 1 - std::exp(-std::log(1 + std::exp(g))) : g);
    }
    const double h = raw.confounding.data[0];
    law.h = binary() ? std::log(1 + std::exp(h)) : h;
    law.lambda = binary() ? sigmoid(raw.second_stage.data[0]) : 0;
    return law;
  }

  // E[Y | m, T, X] for a full mediator vector; `base` = exp(-h), or Lambda under do(T).
  double head(const Law& law, const std::vector<uint8_t>& m, double base) const {
    double survival = base;
    double sum = law.h;
    for (size_t touch = 0; touch < m.size(); ++touch) {
      survival *= m[touch] ? 1 - law.potency[touch] : 1;
      sum += m[touch] ? law.potency[touch] : 0;
    }
    return binary() ? 1 - survival : 5 + 3 * sum;
  }

  // Mean of head() over all values of the mediators that are kMissing in `m`, by enumeration.
  double mean_head(const Law& law, std::vector<uint8_t> m, const std::vector<double>& p,
                   double base) const {
    const auto open = std::find(m.begin(), m.end(), kMissing);
    if (open == m.end()) return head(law, m, base);
    const double one = p[static_cast<size_t>(open - m.begin())];
    *open = 1;
    const double with = mean_head(law, m, p, base);
    *open = 0;
    return one * with + (1 - one) * mean_head(law, m, p, base);
  }

  // p' of all touches of the journey with touch j deleted; p'_j itself is not used.
  std::vector<double> p_without(const Journey& journey, size_t touch) {
    std::vector<double> p = law(journey.without(touch)).p;
    p.insert(p.begin() + static_cast<std::ptrdiff_t>(touch), -1e300);
    return p;
  }

  // Deletions go through the model in other batches than here, and floats round by the batch: about
  // 1e-6 of a logit, on the scale of what the touches add.
  double rounding_of(const Law& law) const {
    double size = 1;
    for (const double g : law.potency) size += binary() ? 0 : 3 * std::fabs(g);
    return 5e-6 * size;
  }

  // Compares the scores of one journey, scored alone, with everything written out. Enumerates, so
  // for short journeys.
  void expect_enumerated(const Journey& journey, const SequenceScores& scores) {
    const Law law_of = law(journey);
    const size_t touches = journey.touches();
    const std::vector<uint8_t> all_open(touches, kMissing);
    const double seen = std::exp(-law_of.h);
    const double mu = mean_head(law_of, journey.mediator, law_of.p, seen);
    EXPECT_NEAR(scores.predicted[0], mu, kTolerance);
    EXPECT_NEAR(scores.lambda[0], law_of.lambda, kTolerance);
    const double do_all = mean_head(law_of, all_open, law_of.p, law_of.lambda);
    const double ett_all = mean_head(law_of, all_open, law_of.p, seen);
    const double rounding = rounding_of(law_of);
    for (size_t j = 0; j < touches; ++j) {
      SCOPED_TRACE(j);
      const std::vector<double> primes = p_without(journey, j);
      std::vector<uint8_t> deleted = all_open;
      deleted[j] = 0;
      EXPECT_NEAR(scores.p[j], law_of.p[j], kTolerance);
      EXPECT_NEAR(scores.do_effect[j], do_all - mean_head(law_of, deleted, primes, law_of.lambda),
                  rounding);
      EXPECT_NEAR(scores.ett[j], ett_all - mean_head(law_of, deleted, primes, seen), rounding);

      // Contract 3: phi_j = Y - w_j [1{M_j=0}/(1-p_j) (Y - mu) + mu(M with m_j=0, T, X)].
      if (journey.mediator[j] == kMissing) {
        EXPECT_TRUE(std::isnan(scores.one_step[j]));
        EXPECT_TRUE(std::isnan(scores.raw[j]));
        continue;
      }
      double w = 1;
      for (size_t l = 0; l < touches; ++l) {
        if (l == j || journey.mediator[l] == kMissing) continue;
        w *= journey.mediator[l] ? primes[l] / law_of.p[l] : (1 - primes[l]) / (1 - law_of.p[l]);
      }
      std::vector<uint8_t> edited = journey.mediator;
      edited[j] = 0;
      const double mu_edited = mean_head(law_of, edited, primes, seen);
      const double none = 1 - law_of.p[j];
      const double floored = none < 0.02 ? 0.02 : none;
      const auto phi = [&](double denominator) {
        const double residual = journey.mediator[j] == 0 ? (journey.outcome - mu) / denominator : 0;
        return journey.outcome - w * (residual + mu_edited);
      };
      const double tolerance = rounding * std::max(1.0, w / none);
      EXPECT_NEAR(scores.one_step[j], phi(floored), tolerance);
      EXPECT_NEAR(scores.raw[j], phi(none), tolerance);
      EXPECT_NEAR(scores.weight[j], journey.mediator[j] == 0 ? w / floored : 0, tolerance);
      EXPECT_EQ(scores.clipped[j], none < 0.02);
      clipped_ += none < 0.02;
    }
  }

  // Over all subsets S of the other touches: |S|! (L-1-|S|)! / L! (v(S + j) - v(S)), where v(S) =
  // E[Y | do(touches of S)] - E[Y | do(none)] at the mediators' law p.
  void expect_shapley(const Law& law_of, const std::vector<double>& credit) {
    ASSERT_EQ(credit.size(), law_of.p.size());
    const size_t touches = law_of.p.size();
    const auto value = [&](uint64_t subset) {
      std::vector<uint8_t> m(touches, 0);
      for (size_t l = 0; l < touches; ++l) {
        if (subset >> l & 1) m[l] = kMissing;
      }
      return mean_head(law_of, m, law_of.p, law_of.lambda);
    };
    std::vector<double> values;
    for (uint64_t subset = 0; subset < uint64_t{1} << touches; ++subset) {
      values.push_back(value(subset));
    }
    for (size_t j = 0; j < touches; ++j) {
      double sum = 0;
      for (uint64_t subset = 0; subset < values.size(); ++subset) {
        if (subset >> j & 1) continue;
        const double size = std::popcount(subset);
        const double length = static_cast<double>(touches);
        const double weight =
            std::tgamma(size + 1) * std::tgamma(length - size) / std::tgamma(length + 1);
        sum += weight * (values[subset | uint64_t{1} << j] - values[subset]);
      }
      EXPECT_NEAR(credit[j], sum, kTolerance) << "touch " << j;
    }
  }

  static constexpr double kTolerance = 1e-10;
  Compute compute_;
  std::unique_ptr<AlmMta> model_;
  ModelWeights weights_;
  int64_t clipped_ = 0;
};

TEST_P(SequenceScorerTest, ShortJourneysEqualTheEnumerationOfMediatorsAndSubsets) {
  SequenceScorer scorer(*model_, weights_, compute_);
  for (const double missing : {0.0, 0.3, 1.0}) {
    std::vector<Journey> journeys;
    for (size_t touches = 0; touches <= 8; ++touches) {
      for (uint64_t copy = 0; copy < 4; ++copy) {
        journeys.push_back(make_journey(100 * touches + copy, touches, missing, binary()));
      }
    }
    for (const Journey& journey : journeys) {
      SCOPED_TRACE(testing::Message()
                   << "missing " << missing << ", " << journey.touches() << " touches");
      const io::Journeys packed = pack({journey});
      expect_enumerated(journey, scorer.score(packed, 0));
      expect_shapley(law(journey), scorer.shapley(packed, 0));
    }
    if (missing == 0) {
      EXPECT_GT(clipped_, 0) << "no touch met the floor";
    }
  }
}

// L = 64, three at once: the edited journeys fill more than one chunk. Sums by recursion over
// touches instead of 2^64 terms.
TEST_P(SequenceScorerTest, LongJourneysEqualProductsAndSubsetSizes) {
  SequenceScorer scorer(*model_, weights_, compute_);
  std::vector<Journey> journeys;
  for (const uint64_t index : {1, 2, 3}) {
    journeys.push_back(make_journey(9000 + index, 64, 0.2, binary()));
  }
  const io::Journeys packed = pack(journeys);
  const SequenceScores scores = scorer.score(packed, 0);
  for (size_t row = 0; row < journeys.size(); ++row) {
    const std::vector<double> credit = scorer.shapley(packed, static_cast<int64_t>(row));
    const Law law_of = law(journeys[row]);
    const double rounding = rounding_of(law_of);
    std::vector<double> a;
    for (size_t l = 0; l < 64; ++l) a.push_back(law_of.potency[l] * law_of.p[l]);
    for (size_t j = 0; j < 64; ++j) {
      SCOPED_TRACE(testing::Message() << "journey " << row << ", touch " << j);
      const size_t at = 64 * row + j;
      const std::vector<double> primes = p_without(journeys[row], j);
      double with = 1, without = 1, with_sum = a[j], without_sum = 0;
      for (size_t l = 0; l < 64; ++l) {
        with *= 1 - a[l];
        if (l == j) continue;
        without *= 1 - law_of.potency[l] * primes[l];
        with_sum += a[l];
        without_sum += law_of.potency[l] * primes[l];
      }
      const double additive = 3 * (with_sum - without_sum);
      EXPECT_NEAR(scores.do_effect[at], binary() ? law_of.lambda * (without - with) : additive,
                  rounding);
      EXPECT_NEAR(scores.ett[at], binary() ? std::exp(-law_of.h) * (without - with) : additive,
                  rounding);
      if (!binary()) {
        EXPECT_NEAR(credit[j], 3 * a[j], rounding);
        continue;
      }
      // e_s: sums of products of 1 - a over subsets of size s of the others; each size weighs 1 /
      // L.
      std::vector<double> e = {1};
      for (size_t l = 0; l < 64; ++l) {
        if (l == j) continue;
        e.push_back(0);
        for (size_t s = e.size() - 1; s > 0; --s) e[s] += e[s - 1] * (1 - a[l]);
      }
      double shapley = 0, choose = 1;  // choose = C(63, s)
      for (size_t s = 0; s < 64; ++s) {
        shapley += e[s] / choose / 64;
        choose *= static_cast<double>(63 - s) / static_cast<double>(s + 1);
      }
      EXPECT_NEAR(credit[j], law_of.lambda * a[j] * shapley, rounding);
    }
  }
}

TEST_P(SequenceScorerTest, ScoresDependOnTheOtherJourneysOfTheBatchByRoundingOnly) {
  SequenceScorer scorer(*model_, weights_, compute_);
  std::vector<Journey> journeys;
  for (uint64_t index = 0; index < 97; ++index) {
    journeys.push_back(make_journey(500 + index, index % 11, 0.2, binary()));
  }
  const SequenceScores together = scorer.score(pack(journeys), 0);
  size_t begin = 0;
  for (size_t row = 0; row < journeys.size(); ++row) {
    const SequenceScores& alone = scorer.score(pack({journeys[row]}), 0);
    const double rounding = rounding_of(law(journeys[row]));
    EXPECT_NEAR(alone.predicted[0], together.predicted[row], rounding);
    for (size_t j = 0; j < journeys[row].touches(); ++j) {
      EXPECT_NEAR(alone.do_effect[j], together.do_effect[begin + j], rounding);
      EXPECT_NEAR(alone.ett[j], together.ett[begin + j], rounding);
      EXPECT_EQ(alone.clipped[j], together.clipped[begin + j]);
    }
    begin += journeys[row].touches();
  }
}

TEST_P(SequenceScorerTest, InfluenceValuesAloneAreTheSameAndComeWithoutEffects) {
  std::vector<Journey> journeys;
  for (uint64_t index = 0; index < 40; ++index) {
    journeys.push_back(make_journey(700 + index, index % 11, 0.2, binary()));
  }
  SequenceScorer scorer(*model_, weights_, compute_);
  const SequenceScores all = scorer.score(pack(journeys), 0);
  const SequenceScores& alone = scorer.score(pack(journeys), 0, Wanted::one_step);
  EXPECT_EQ(all.do_effect.size(), all.p.size());
  EXPECT_TRUE(alone.do_effect.empty());
  EXPECT_TRUE(alone.ett.empty());
  EXPECT_EQ(alone.predicted, all.predicted);
  EXPECT_EQ(alone.weight, all.weight);
  EXPECT_EQ(alone.clipped, all.clipped);
  for (size_t j = 0; j < all.one_step.size(); ++j) {
    EXPECT_EQ(std::bit_cast<uint64_t>(alone.one_step[j]), std::bit_cast<uint64_t>(all.one_step[j]));
  }
}

TEST_P(SequenceScorerTest, NoJourneysGiveNoScores) {
  SequenceScorer scorer(*model_, weights_, compute_);
  scorer.score(pack({make_journey(1, 5, 0, binary())}), 0);
  const SequenceScores& scores = scorer.score(pack({}), 0);
  EXPECT_TRUE(scores.predicted.empty());
  EXPECT_TRUE(scores.do_effect.empty());
  EXPECT_TRUE(scores.one_step.empty());
}

INSTANTIATE_TEST_SUITE_P(Outcomes, SequenceScorerTest,
                         ::testing::Values(io::OutcomeKind::binary, io::OutcomeKind::continuous),
                         [](const auto& outcome) {
                           return outcome.param == io::OutcomeKind::binary ? "Binary"
                                                                           : "Continuous";
                         });

}  // namespace
}  // namespace alm
