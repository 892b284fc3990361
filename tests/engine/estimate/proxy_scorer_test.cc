// Scores of proxy mode against sums written out, one model run per journey and per edit; what is
// summed over them against plain loops. Only the model's raw outputs are shared.
#include "engine/estimate/proxy_scorer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <memory>

#include "engine/estimate/proxy_sums.h"
#include "kernels/base/rng.h"
#include "tests/engine/estimate/thread_world.h"

namespace alm {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

double sigmoid(double z) {
  return 1 / (1 + std::exp(-z));
}

io::LogSchema make_schema() {
  io::LogSchema schema;
  schema.clusters = 5;
  schema.dense = 2;
  schema.proxies = 3;
  schema.proxy_leaky = {0, 0, 1};
  schema.match = schema.truth = schema.weight = true;
  return schema;
}

ModelOptions make_options(ProxyInput input) {
  ModelOptions options = model_options_by_name("tiny");
  options.mediator = MediatorMode::proxy;
  options.proxy_input = input;
  options.code_width = 4;
  return options;
}

struct Journey {
  std::vector<float> dense;
  float outcome = 0;
  float weight = 1;
  std::vector<uint32_t> cluster;
  std::vector<std::array<uint8_t, 3>> proxy;
  std::vector<float> match;
  std::vector<float> truth;
};

Journey make_journey(uint64_t index, size_t touches) {
  Rng random(11, Stream::bootstrap, index);
  Journey journey;
  journey.dense = {static_cast<float>(random.normal()), static_cast<float>(random.normal())};
  journey.outcome = static_cast<float>(random.below(2));
  journey.weight = index % 3 == 0 ? 2.5f : 1.0f;
  for (size_t touch = 0; touch < touches; ++touch) {
    journey.cluster.push_back(static_cast<uint32_t>(random.below(5)));
    std::array<uint8_t, 3> seen{};
    for (uint8_t& one : seen) {
      const uint64_t draw = random.below(5);
      one = draw == 4 ? kMediatorMissing : static_cast<uint8_t>(draw % 2);
    }
    journey.proxy.push_back(seen);
    const float match = static_cast<float>(random.uniform());
    journey.match.push_back(journey.outcome > 0 ? match : kNan);
    journey.truth.push_back(static_cast<float>(0.1 * random.normal()));
  }
  return journey;
}

io::Journeys pack(const std::vector<Journey>& journeys) {
  io::Journeys packed;
  for (const Journey& journey : journeys) {
    packed.row.push_back(packed.size());
    packed.user.push_back(static_cast<uint64_t>(packed.size()));
    packed.outcome.push_back(journey.outcome);
    packed.weight.push_back(journey.weight);
    packed.dense.insert(packed.dense.end(), journey.dense.begin(), journey.dense.end());
    for (size_t j = 0; j < journey.cluster.size(); ++j) {
      packed.cluster.push_back(journey.cluster[j]);
      packed.proxy.insert(packed.proxy.end(), journey.proxy[j].begin(), journey.proxy[j].end());
      packed.match.push_back(journey.match[j]);
      packed.delta_do.push_back(journey.truth[j]);
    }
    packed.touch_begin.push_back(static_cast<int64_t>(packed.cluster.size()));
  }
  return packed;
}

// What the model says of one journey.
struct Said {
  std::vector<double> value, q, law, discriminator;
  double survival = 1;
  double lambda = 0;

  double predicted() const {
    double none = survival;
    for (size_t j = 0; j < value.size(); ++j) none *= 1 - q[j] * value[j];
    return 1 - none;
  }
};

class ProxyScorerTest : public testing::TestWithParam<ProxyInput> {
 protected:
  ProxyScorerTest() : compute_(make_cpu_device("auto"), 1) {
    auto stats = std::make_shared<FeatureStats>();
    stats->schema = make_schema();
    stats->dense = {{0, 0}, {1, 1}, {-1, -1}, 0};
    stats->cluster_log_share.assign(5, -1.6f);
    model_ = make_model(stats, make_options(GetParam()), 16);
    weights_ = model_->fresh_weights(5);
    Rng draw(3, Stream::weights, 1);
    for (float& weight : weights_.dense) weight += static_cast<float>(0.3 * draw.normal());
    for (size_t at = 0; at < 40; ++at) journeys_.push_back(make_journey(at, (at * 7) % 6));
  }

  const AlmMta& model() const { return dynamic_cast<const AlmMta&>(*model_); }

  Said say(const Journey& journey) {
    const io::Journeys one = pack({journey});
    Inputs& inputs = compute_.thread(0).inputs;
    inputs.fill(one, model_->stats(), model_->options(), model_->positions());
    const AlmMta::Scores raw =
        model().score(compute_.pass(0, weights_.dense.data(), nullptr), inputs, weights_);
    Said said;
    said.survival = std::exp(-std::log1p(std::exp(double{raw.confounding(0, 0)})));
    said.lambda = sigmoid(double{raw.second_stage(0, 0)});
    for (int64_t j = 0; j < one.touches(); ++j) {
      said.value.push_back(sigmoid(double{raw.value_logit(j, 0)}));
      said.q.push_back(1 - std::exp(-std::log1p(std::exp(double{raw.potency(j, 0)}))));
      said.discriminator.push_back(double{raw.discriminator_logit(j, 0)});
      if (model().has_law()) said.law.push_back(sigmoid(double{raw.mediator_logit(j, 0)}));
    }
    return said;
  }

  static Journey without(Journey journey, size_t touch) {
    const auto at = static_cast<std::ptrdiff_t>(touch);
    journey.cluster.erase(journey.cluster.begin() + at);
    journey.proxy.erase(journey.proxy.begin() + at);
    journey.match.erase(journey.match.begin() + at);
    journey.truth.erase(journey.truth.begin() + at);
    return journey;
  }

  Compute compute_;
  std::unique_ptr<Model> model_;
  ModelWeights weights_;
  std::vector<Journey> journeys_;
};

INSTANTIATE_TEST_SUITE_P(Inputs, ProxyScorerTest,
                         testing::Values(ProxyInput::none, ProxyInput::clean, ProxyInput::all),
                         [](const auto& input) {
                           return input.param == ProxyInput::none    ? "none"
                                  : input.param == ProxyInput::clean ? "clean"
                                                                     : "all";
                         });

TEST_P(ProxyScorerTest, ScoresAreThoseOfOneModelRunPerEdit) {
  ProxyScorer scorer(model(), weights_, compute_);
  const io::Journeys packed = pack(journeys_);
  const ProxyScores scores = scorer.score(packed, 0);
  EXPECT_EQ(model().has_law(), GetParam() != ProxyInput::none);
  double largest = 0;
  for (size_t i = 0; i < journeys_.size(); ++i) {
    const Said whole = say(journeys_[i]);
    EXPECT_NEAR(scores.predicted[i], whole.predicted(), 1e-6);
    const size_t begin = static_cast<size_t>(packed.touch_begin[i]);
    for (size_t touch = 0; touch < journeys_[i].cluster.size(); ++touch) {
      const size_t j = begin + touch;
      const Said edited = say(without(journeys_[i], touch));
      EXPECT_NEAR(scores.paper[j], whole.predicted() - edited.predicted(), 2e-6);
      EXPECT_NEAR(scores.value[j], whole.value[touch], 1e-6);
      EXPECT_NEAR(scores.discriminator[j], whole.discriminator[touch], 1e-5);
      largest = std::max(largest, std::fabs(scores.paper[j]));
      if (!model().has_law()) continue;
      double with = 1, gone = 1;
      for (size_t l = 0; l < whole.q.size(); ++l) {
        with *= 1 - whole.q[l] * whole.law[l];
        if (l != touch) gone *= 1 - whole.q[l] * edited.law[l - (l > touch)];
      }
      EXPECT_NEAR(scores.law[j], whole.law[touch], 1e-6);
      EXPECT_NEAR(scores.do_effect[j], whole.lambda * (gone - with), 2e-6);
      EXPECT_NEAR(scores.ett[j], whole.survival * (gone - with), 2e-6);
    }
  }
  EXPECT_GT(largest, 0.01);
  EXPECT_EQ(scores.do_effect.empty(), GetParam() == ProxyInput::none);
}

// The law must not see the proxies: it is what the code's value is averaged to.
TEST_P(ProxyScorerTest, ProxiesMoveTheCodeThatReadsThemAndNothingElse) {
  for (Journey& journey : journeys_) {
    const Said before = say(journey);
    for (std::array<uint8_t, 3>& seen : journey.proxy) {
      for (size_t column = 0; column < 3; ++column) {
        const bool read = GetParam() == ProxyInput::all || column < 2;
        if (GetParam() != ProxyInput::none && !read) continue;  // the others move below
        seen[column] = seen[column] == 1 ? 0 : 1;
      }
    }
    const Said after = say(journey);
    for (size_t j = 0; j < before.value.size(); ++j) {
      EXPECT_EQ(before.value[j] == after.value[j], GetParam() == ProxyInput::none);
      EXPECT_EQ(before.q[j], after.q[j]);
    }
    EXPECT_EQ(before.law, after.law);
    if (GetParam() != ProxyInput::clean) continue;
    for (std::array<uint8_t, 3>& seen : journey.proxy) seen[2] = seen[2] == 1 ? 0 : 1;
    EXPECT_EQ(say(journey).value, after.value) << "a leaky proxy was read";
  }
}

TEST_P(ProxyScorerTest, MonitorsAreThePlainAverages) {
  ProxyScorer scorer(model(), weights_, compute_);
  ProxySums sums(make_schema(), 4, model().has_law(), 40);
  const io::Journeys packed = pack(journeys_);
  sums.add(packed, scorer.score(packed, 0), nullptr);
  ThreadWorld world(1);
  world.run([&](Communicator& comm) { sums.reduce(comm); });

  double weight = 0, value = 0, off_law = 0, loss = 0, journeys = 0, ones = 0, match = 0,
         matched = 0;
  std::map<uint32_t, std::pair<double, double>> paper;
  for (const Journey& journey : journeys_) {
    const Said said = say(journey);
    const size_t touches = journey.cluster.size();
    if (touches == 0) continue;
    journeys += double{journey.weight};
    ones += double{journey.weight} * double{journey.outcome};
    for (size_t j = 0; j < touches; ++j) {
      const double against = journey.outcome > 0 ? -said.discriminator[j] : said.discriminator[j];
      loss += double{journey.weight} * std::log1p(std::exp(against)) / static_cast<double>(touches);
      weight += double{journey.weight};
      value += double{journey.weight} * said.value[j];
      if (model().has_law()) {
        off_law += double{journey.weight} * std::pow(said.value[j] - said.law[j], 2);
      }
      auto& [total, of] = paper[journey.cluster[j]];
      total += double{journey.weight} * (said.predicted() - say(without(journey, j)).predicted());
      of += double{journey.weight};
      if (std::isnan(journey.match[j])) continue;
      match += double{journey.weight} * double{journey.match[j]};
      matched += double{journey.weight};
    }
  }
  const CodeMonitor& code = sums.code;
  const std::pair<CodeMonitor::Sum, double> wanted[] = {{CodeMonitor::kWeight, weight},
                                                        {CodeMonitor::kValue, value},
                                                        {CodeMonitor::kOffLaw, off_law},
                                                        {CodeMonitor::kDiscriminatorLoss, loss},
                                                        {CodeMonitor::kJourneyWeight, journeys},
                                                        {CodeMonitor::kJourneyOutcome, ones},
                                                        {CodeMonitor::kMatch, match},
                                                        {CodeMonitor::kMatchWeight, matched}};
  for (const auto& [which, expected] : wanted) {
    EXPECT_NEAR(code.sum(which), expected, 1e-5 * (1 + std::fabs(expected))) << which;
  }
  EXPECT_EQ(code.matches_without_outcome, 0);
  std::map<uint32_t, std::pair<double, double>> of_cluster;  // sum and weight
  double squares = 0;
  for (const Journey& journey : journeys_) {
    const Said said = say(journey);
    for (size_t j = 0; j < said.value.size(); ++j) {
      of_cluster[journey.cluster[j]].first += double{journey.weight} * said.value[j];
      of_cluster[journey.cluster[j]].second += double{journey.weight};
      squares += double{journey.weight} * std::pow(said.value[j] - value / weight, 2);
    }
  }
  double between = 0;
  for (const auto& [cluster, sum] : of_cluster) {
    between += sum.second * std::pow(sum.first / sum.second - value / weight, 2);
  }
  EXPECT_NEAR(code.cluster_share(sums.paper), between / squares, 1e-5);
  EXPECT_NEAR(code.variance_share(sums.paper), std::min(off_law / squares, 1 - between / squares),
              1e-5);
  for (const auto& [cluster, sum] : paper) {
    EXPECT_NEAR(sums.paper.estimate(cluster).mean, sum.first / sum.second, 2e-6);
  }
}

TEST_P(ProxyScorerTest, OmegaIsGivenForUploadsWithAMatchAndIsACosine) {
  ProxyScorer scorer(model(), weights_, compute_);
  const io::Journeys packed = pack(journeys_);
  const ProxyScores& scores = scorer.score(packed, 0);
  for (size_t i = 0; i < journeys_.size(); ++i) {
    bool matched = false;
    for (const float match : journeys_[i].match) matched = matched || match >= 0.5f;
    for (int64_t j = packed.touch_begin[i]; j < packed.touch_begin[i + 1]; ++j) {
      const double omega = scores.omega[static_cast<size_t>(j)];
      EXPECT_EQ(std::isnan(omega), !matched);
      EXPECT_FALSE(std::fabs(omega) > 1 + 1e-6);
    }
  }
}

}  // namespace
}  // namespace alm
