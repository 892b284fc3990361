// Effects under the general head against sums over every mediator vector, each by a forward pass of
// the model as training makes it; and the draws that stand for those sums in long journeys.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/estimate/sequence_scorer.h"
#include "kernels/base/rng.h"
#include "tests/engine/estimate/scored_journeys.h"

namespace alm {
namespace {

constexpr MonteCarlo kNoTable{.draws = 2000, .enumerated = -1};
// Floats of the forward pass and of the scorer's sums round apart.
constexpr double kRounding = 2e-5;

ModelOptions general_options() {
  ModelOptions options = make_options();
  options.outcome_head = OutcomeHead::general;
  return options;
}

// ett, summed over the touches of each cluster, within five of the errors that it says it has.
void expect_within_errors(const Journey& journey, const SequenceScores& scores,
                          const std::vector<double>& wanted) {
  for (uint32_t cluster = 0; cluster < 5; ++cluster) {
    double difference = 0, variance = 0;
    for (size_t j = 0; j < journey.touches(); ++j) {
      if (journey.cluster[j] != cluster) continue;
      difference += scores.ett[j] - wanted[j];
      variance += scores.ett_variance[j];
    }
    EXPECT_GE(variance, -1e-18);
    EXPECT_NEAR(difference, 0, 5 * std::sqrt(std::max(variance, 0.0)) + kRounding) << cluster;
  }
}

class GeneralScorerTest : public ::testing::TestWithParam<io::OutcomeKind> {
 protected:
  GeneralScorerTest()
      : compute_(make_cpu_device("auto"), 1),
        model_(make_stats(GetParam()), general_options(), kPositions),
        weights_(arbitrary_weights(model_)) {}

  bool binary() const { return GetParam() == io::OutcomeKind::binary; }

  // What the model says of a journey whose mediators are all known: E[Y | m, T, X].
  double mu(Journey journey, const std::vector<uint8_t>& m, std::vector<double>* p = nullptr) {
    journey.mediator = m;
    const io::Journeys packed = pack({journey});
    Inputs& inputs = compute_.thread(0).inputs;
    inputs.fill(packed, model_.stats(), model_.options(), model_.positions());
    const Pass pass = compute_.pass(0, weights_.dense.data(), nullptr);
    const AlmMta::Scores raw = model_.score(pass, inputs, weights_);
    double eta = raw.confounding.data[0];
    for (size_t touch = 0; touch < m.size(); ++touch) {
      eta += m[touch] ? double{raw.potency.data[touch]} : 0;
      if (p != nullptr) p->push_back(1 / (1 + std::exp(-double{raw.mediator_logit.data[touch]})));
    }
    return binary() ? 1 / (1 + std::exp(-eta)) : 5 + 3 * eta;
  }

  // Over all values of the mediators that are kMissing in `m`.
  double mean_mu(const Journey& journey, std::vector<uint8_t> m, const std::vector<double>& p) {
    const auto open = std::find(m.begin(), m.end(), kMissing);
    if (open == m.end()) return mu(journey, m);
    const double one = p[static_cast<size_t>(open - m.begin())];
    *open = 1;
    const double with = mean_mu(journey, m, p);
    *open = 0;
    return one * with + (1 - one) * mean_mu(journey, m, p);
  }

  std::vector<double> law(const Journey& journey) {
    std::vector<double> p;
    mu(journey, std::vector<uint8_t>(journey.touches()), &p);
    return p;
  }
  // p' of all touches of the journey without touch j, whose own place is unused.
  std::vector<double> law_without(const Journey& journey, size_t touch) {
    std::vector<double> p = law(journey.without(touch));
    p.insert(p.begin() + static_cast<std::ptrdiff_t>(touch), 0);
    return p;
  }

  struct Expected {
    double mu = 0;
    std::vector<double> ett, one_step;  // one_step: NaN where m_j is not observed
    std::vector<double> shapley;
  };
  // Over all orders of the touches, as they come to be engaged by the law p.
  std::vector<double> shapley(const Journey& journey, const std::vector<double>& p) {
    const size_t touches = journey.touches();
    std::vector<double> worth;  // by subset
    for (size_t set = 0; set < size_t{1} << touches; ++set) {
      std::vector<uint8_t> m(touches);
      for (size_t l = 0; l < touches; ++l) m[l] = (set >> l & 1) != 0 ? kMissing : 0;
      worth.push_back(mean_mu(journey, m, p));
    }
    std::vector<size_t> order(touches);
    std::iota(order.begin(), order.end(), size_t{0});
    std::vector<double> sums(touches);
    double orders = 0;
    do {
      size_t set = 0;
      for (const size_t l : order) {
        sums[l] += worth[set | size_t{1} << l] - worth[set];
        set |= size_t{1} << l;
      }
      ++orders;
    } while (std::next_permutation(order.begin(), order.end()));
    for (double& sum : sums) sum /= orders;
    return sums;
  }
  // By the definitions of method 3.1 and contract 3.
  Expected enumerated(const Journey& journey) {
    const std::vector<double> p = law(journey);
    const std::vector<uint8_t> all(journey.touches(), kMissing);
    Expected expected{mean_mu(journey, journey.mediator, p), {}, {}, shapley(journey, p)};
    const double mean = mean_mu(journey, all, p);
    for (size_t j = 0; j < journey.touches(); ++j) {
      const std::vector<double> without = law_without(journey, j);
      std::vector<uint8_t> deleted = all, edited = journey.mediator;
      deleted[j] = edited[j] = 0;
      expected.ett.push_back(mean - mean_mu(journey, deleted, without));
      const uint8_t own = journey.mediator[j];
      double w = 1;
      for (size_t l = 0; l < journey.touches(); ++l) {
        if (l == j || journey.mediator[l] == kMissing) continue;
        w *= journey.mediator[l] ? without[l] / p[l] : (1 - without[l]) / (1 - p[l]);
      }
      const double residual =
          own == 0 ? (journey.outcome - expected.mu) / std::max(1 - p[j], 0.02) : 0;
      expected.one_step.push_back(
          own == kMissing ? NAN
                          : journey.outcome - w * (residual + mean_mu(journey, edited, without)));
    }
    return expected;
  }

  Compute compute_;
  AlmMta model_;
  ModelWeights weights_;
};

TEST_P(GeneralScorerTest, ShortJourneysEqualTheEnumerationOfMediators) {
  SequenceScorer scorer(model_, weights_, compute_);
  for (const double missing : {0.0, 0.3, 1.0}) {
    for (const size_t touches : {0, 1, 2, 5, 6}) {
      const Journey journey = make_journey(100 * touches + 7, touches, missing, binary());
      SCOPED_TRACE(testing::Message() << "missing " << missing << ", " << touches << " touches");
      const SequenceScores& scores = scorer.score(pack({journey}), 0);
      const std::vector<double> credit = scorer.shapley(pack({journey}), 0);
      const Expected expected = enumerated(journey);
      EXPECT_NEAR(scores.predicted[0], expected.mu, kRounding);
      EXPECT_TRUE(scores.do_effect.empty());
      for (size_t j = 0; j < touches; ++j) {
        EXPECT_NEAR(credit[j], expected.shapley[j], kRounding);
        EXPECT_NEAR(scores.ett[j], expected.ett[j], kRounding);
        EXPECT_EQ(scores.ett_variance[j], 0);
        EXPECT_EQ(std::isnan(scores.one_step[j]), std::isnan(expected.one_step[j]));
        if (std::isnan(expected.one_step[j])) continue;
        EXPECT_NEAR(scores.one_step[j], expected.one_step[j],
                    kRounding * std::max(1.0, scores.weight[j]));
      }
    }
  }
}

TEST_P(GeneralScorerTest, DrawsEqualTheEnumerationWithinTheirError) {
  SequenceScorer scorer(model_, weights_, compute_, kNoTable);
  for (const double missing : {0.0, 0.4}) {
    for (const size_t touches : {0, 1, 2, 5, 7}) {
      const Journey journey = make_journey(100 * touches + 9, touches, missing, binary());
      SCOPED_TRACE(testing::Message() << "missing " << missing << ", " << touches << " touches");
      const SequenceScores& scores = scorer.score(pack({journey}), 0);
      const std::vector<double> credit = scorer.shapley(pack({journey}), 0);
      const Expected expected = enumerated(journey);
      // A mean over 2,000 draws of values within [0, 1]; continuous: within some units.
      const double draws = 5 * (binary() ? 0.5 : 20) / std::sqrt(2000.0);
      EXPECT_NEAR(scores.predicted[0], expected.mu, missing > 0 ? draws : kRounding);
      expect_within_errors(journey, scores, expected.ett);
      for (size_t j = 0; j < touches; ++j) {
        EXPECT_NEAR(credit[j], expected.shapley[j], draws);
        if (std::isnan(expected.one_step[j]) || missing > 0) continue;
        EXPECT_NEAR(scores.one_step[j], expected.one_step[j],
                    kRounding * std::max(1.0, scores.weight[j]))
            << "nothing is drawn where every mediator is known";
      }
    }
  }
}

// Over seeds: the mean of the estimate, and the spread that each says it has, of a touch and of the
// touches of a cluster together.
TEST_P(GeneralScorerTest, FewDrawsAreUnbiasedAndKnowTheirError) {
  Journey journey = make_journey(77, 7, 0, binary());
  for (const size_t touch : {1, 3, 4}) journey.cluster[touch] = 2;
  for (const size_t touch : {0, 2, 5, 6}) journey.cluster[touch] = 1;
  const Expected expected = enumerated(journey);
  constexpr int64_t kSeeds = 400;
  double sum[2] = {}, squares[2] = {}, told[2] = {};
  for (int64_t seed = 0; seed < kSeeds; ++seed) {
    SequenceScorer scorer(model_, weights_, compute_,
                          {.draws = 16, .enumerated = -1, .seed = static_cast<uint64_t>(seed)});
    const SequenceScores& scores = scorer.score(pack({journey}), 0);
    double errors[2] = {}, variances[2] = {};
    for (size_t j = 0; j < 7; ++j) {
      const size_t cluster = journey.cluster[j] - 1;
      errors[cluster] += scores.ett[j] - expected.ett[j];
      variances[cluster] += scores.ett_variance[j];
    }
    for (const size_t cluster : {0, 1}) {
      sum[cluster] += errors[cluster];
      squares[cluster] += errors[cluster] * errors[cluster];
      told[cluster] += variances[cluster];
    }
  }
  for (const size_t cluster : {0, 1}) {
    const double n = kSeeds;
    const double variance = squares[cluster] / n;
    EXPECT_GT(variance, 1e-10) << "nothing was drawn";
    EXPECT_NEAR(sum[cluster] / n, 0, 4 * std::sqrt(variance / n) + kRounding);
    EXPECT_NEAR(told[cluster] / n / variance, 1, 0.35);
  }
}

// Without the part that joins, a continuous outcome is additive: the closed form, from the same
// numbers, of the separable model.
TEST(GeneralScorer, OfAnAdditiveFunctionEqualsTheClosedForm) {
  Compute compute(make_cpu_device("auto"), 1);
  const AlmMta general(make_stats(io::OutcomeKind::continuous), general_options(), kPositions);
  const AlmMta additive(make_stats(io::OutcomeKind::continuous), make_options(), kPositions);
  ModelWeights weights = arbitrary_weights(general);
  const ModelWeights same = arbitrary_weights(additive);
  for (const ParameterLayout::Entry& entry : general.layout().entries()) {
    if (entry.name != "general/join/weight") continue;
    for (float& value : entry.tensor.vector(weights.dense.data())) value = 0;
  }
  SequenceScorer exact(general, weights, compute);
  SequenceScorer drawn(general, weights, compute, kNoTable);
  SequenceScorer closed(additive, same, compute);
  for (const double missing : {0.0, 0.3}) {
    for (const size_t touches : {0, 1, 2, 5, 6, 7, 20}) {
      SCOPED_TRACE(testing::Message() << "missing " << missing << ", " << touches << " touches");
      const Journey journey = make_journey(50 * touches + 3, touches, missing, false);
      const SequenceScores& wanted = closed.score(pack({journey}), 0);
      const SequenceScores& some = drawn.score(pack({journey}), 0);
      expect_within_errors(journey, some, wanted.ett);
      if (touches > 6) continue;
      const SequenceScores& scores = exact.score(pack({journey}), 0);
      EXPECT_NEAR(scores.predicted[0], wanted.predicted[0], kRounding);
      for (size_t j = 0; j < touches; ++j) {
        EXPECT_NEAR(scores.ett[j], wanted.ett[j], kRounding);
        EXPECT_EQ(std::isnan(scores.one_step[j]), std::isnan(wanted.one_step[j]));
        if (std::isnan(wanted.one_step[j])) continue;
        EXPECT_NEAR(scores.one_step[j], wanted.one_step[j],
                    kRounding * std::max(1.0, wanted.weight[j]));
        EXPECT_NEAR(scores.weight[j], wanted.weight[j],
                    kRounding * std::max(1.0, wanted.weight[j]));
        EXPECT_EQ(scores.clipped[j], wanted.clipped[j]);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Outcomes, GeneralScorerTest,
                         ::testing::Values(io::OutcomeKind::binary, io::OutcomeKind::continuous),
                         [](const auto& outcome) {
                           return outcome.param == io::OutcomeKind::binary ? "Binary"
                                                                           : "Continuous";
                         });

}  // namespace
}  // namespace alm
