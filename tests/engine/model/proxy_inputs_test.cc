// What proxy mode reads of a log, by hand: pairs of uploads and touches, indicators of proxies, and
// which logs it refuses.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/model/compute.h"
#include "engine/model/model.h"
#include "kernels/base/check.h"

namespace alm {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

ModelOptions proxy_options(ProxyInput input) {
  ModelOptions options = model_options_by_name("tiny");
  options.mediator = MediatorMode::proxy;
  options.proxy_input = input;
  return options;
}

io::LogSchema proxy_schema() {
  io::LogSchema schema;
  schema.clusters = 3;
  schema.match = schema.weight = schema.mediator = true;
  schema.proxies = 2;
  schema.proxy_leaky = {1, 0};
  return schema;
}

FeatureStats some_stats() {
  FeatureStats stats;
  stats.schema = proxy_schema();
  stats.cluster_log_share = {-1.0f, -2.0f, -3.0f};
  return stats;
}

// Four journeys: an upload with two matches, none, one without an outcome whose match was filled
// in, an upload without a match.
io::Journeys four_journeys() {
  io::Journeys rows;
  rows.row = {0, 1, 2, 3};
  rows.user = {0, 1, 2, 3};
  rows.outcome = {1, 0, 0, 1};
  rows.weight = {2, 1, 1, 4};
  rows.touch_begin = {0, 3, 4, 6, 7};
  rows.cluster = {0, 1, 1, 2, 0, 1, 2};
  rows.mediator = {1, 0, 1, 0, 1, 0, 1};
  rows.match = {0.5f, 0.4f, 1.0f, kNan, 1.0f, 0.0f, 0.1f};
  rows.proxy = {0, 1, 1, 0, 255, 255, 1, 1, 0, 0, 0, 255, 1, 0};
  return rows;
}

Inputs filled(ProxyInput input) {
  Inputs inputs;
  static const io::Journeys rows = four_journeys();
  inputs.fill(rows, some_stats(), proxy_options(input), 4);
  return inputs;
}

TEST(ProxyInputs, PairsAreUploadsWithTheTouchesThatMatchThem) {
  const ProxyInputs of = filled(ProxyInput::none).proxy;
  EXPECT_EQ(of.uploads, 1);
  EXPECT_EQ(of.pair_touch, (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(of.pair_upload, (std::vector<int64_t>{0, 0}));
  EXPECT_EQ(of.pair_weight, (std::vector<float>{1, 1}));
  EXPECT_EQ(of.pair_ids, (std::vector<int64_t>{0, 0, 1, 0}));
  EXPECT_EQ(of.touch_ids, (std::vector<int64_t>{0, 0, 1, -1, 1, 0, 2, -1, 0, -1, 1, -1, 2, -1}));
  EXPECT_EQ(of.log_frequency, (std::vector<float>{-1, -2, -2, -3, -1, -2, -3}));
  EXPECT_EQ(of.pairs(), 2);
}

TEST(ProxyInputs, EachJourneyCountsOnceForTheAdversary) {
  const ProxyInputs of = filled(ProxyInput::none).proxy;
  const std::vector<float> wanted = {2.0f / 3, 2.0f / 3, 2.0f / 3, 1, 0.5f, 0.5f, 4};
  for (size_t touch = 0; touch < wanted.size(); ++touch) {
    EXPECT_FLOAT_EQ(of.journey_weight[touch], wanted[touch]);
  }
  EXPECT_EQ(of.outcome, (std::vector<float>{1, 1, 1, 0, 0, 0, 1}));
  EXPECT_EQ(of.touch_weight, (std::vector<float>{2, 2, 2, 1, 1, 1, 4}));
}

TEST(ProxyInputs, ReadTheProxiesAskedForAndNoMediator) {
  EXPECT_EQ(filled(ProxyInput::none).proxy.columns, 0);
  const ProxyInputs clean = filled(ProxyInput::clean).proxy;
  EXPECT_EQ(clean.columns, 2);
  EXPECT_EQ(clean.seen, (std::vector<float>{1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1}));
  const ProxyInputs all = filled(ProxyInput::all).proxy;
  EXPECT_EQ(all.columns, 4);
  EXPECT_EQ(std::vector<float>(all.seen.begin(), all.seen.begin() + 8),
            (std::vector<float>{0, 1, 1, 0, 1, 0, 0, 1}));
  for (const uint8_t mediator : filled(ProxyInput::all).mediator) {
    EXPECT_EQ(mediator, kMediatorMissing);
  }
}

TEST(ProxyInputs, UndefinedMatchesTeachNothing) {
  Compute compute(make_cpu_device("auto"), 1);
  const std::unique_ptr<Model> model =
      make_model(std::make_shared<FeatureStats>(some_stats()), proxy_options(ProxyInput::none), 4);
  const ModelWeights weights = model->fresh_weights(1);
  const auto sums = [&](const io::Journeys& rows) {
    Inputs& inputs = compute.thread(0).inputs;
    inputs.fill(rows, model->stats(), model->options(), 4);
    LossSums result;
    model->loss(compute.pass(0, weights.dense.data(), nullptr), inputs, weights, result, nullptr);
    return result;
  };
  io::Journeys rows = four_journeys();
  const LossSums defined = sums(rows);
  EXPECT_EQ(defined.proxy_weight, 2 + 2 + 2 + 1 + 1 + 4);
  EXPECT_TRUE(std::isfinite(defined.proxy));
  rows.match.assign(7, kNan);
  const LossSums none = sums(rows);
  EXPECT_EQ(none.proxy_weight, 0);
  EXPECT_EQ(none.proxy, 0);
  EXPECT_EQ(none.contrastive_weight, 0);
  EXPECT_EQ(none.adversary, defined.adversary);
  EXPECT_EQ(none.outcome, defined.outcome);
  EXPECT_EQ(defined.mediator, 0);
}

void expect_refused(const io::LogSchema& schema, ProxyInput input, const char* word) {
  try {
    check_mediator_mode(proxy_options(input), schema);
    FAIL() << "not refused: " << word;
  } catch (const UserError& error) {
    EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
  }
}

TEST(ProxyMode, RefusesLogsThatLackWhatItNeedsAndNamesIt) {
  check_mediator_mode(proxy_options(ProxyInput::all), proxy_schema());
  io::LogSchema schema = proxy_schema();
  schema.match = false;
  expect_refused(schema, ProxyInput::none, "/touch/match is absent");
  schema = proxy_schema();
  schema.outcome = io::OutcomeKind::continuous;
  expect_refused(schema, ProxyInput::none, "/journey/outcome");
  schema = proxy_schema();
  schema.reference_cluster = 0;
  expect_refused(schema, ProxyInput::none, "arm log");
  schema = proxy_schema();
  schema.proxies = 0;
  check_mediator_mode(proxy_options(ProxyInput::none), schema);
  expect_refused(schema, ProxyInput::clean, "/touch/proxy is absent");
  schema = proxy_schema();
  schema.proxy_leaky = {1, 1};
  expect_refused(schema, ProxyInput::clean, "/meta/proxy_leaky");
  check_mediator_mode(proxy_options(ProxyInput::all), schema);
}

}  // namespace
}  // namespace alm
