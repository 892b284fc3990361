#include "engine/estimate/sequence_protocol.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/base/hash.h"
#include "kernels/base/rng.h"
#include "tests/engine/estimate/thread_world.h"

namespace alm {
namespace {

constexpr int64_t kClusters = 7;

io::LogSchema schema_of() {
  io::LogSchema schema;
  schema.clusters = kClusters;
  schema.mediator = schema.truth = schema.randomised = schema.weight = true;
  return schema;
}

// Journeys of 0 to 4 touches; a touch's true effect is its cluster's, and its value that and noise.
struct Log {
  io::Journeys journeys;
  SequenceScores main, half;
};

Log log_of(int64_t n) {
  Log log;
  for (int64_t row = 0; row < n; ++row) {
    Rng rng(41, Stream::test, static_cast<uint64_t>(row));
    log.journeys.row.push_back(row);
    log.journeys.user.push_back(static_cast<uint64_t>(row / 2));
    log.journeys.outcome.push_back(rng.bernoulli(0.3) ? 1.0f : 0.0f);
    log.journeys.weight.push_back(static_cast<float>(1 + rng.below(2)));
    const uint64_t touches = rng.below(5);
    for (uint64_t j = 0; j < touches; ++j) {
      const uint32_t cluster = static_cast<uint32_t>(rng.below(kClusters));
      const double effect = 0.01 * cluster;
      log.journeys.cluster.push_back(cluster);
      log.journeys.mediator.push_back(static_cast<uint8_t>(rng.bernoulli(0.4)));
      log.journeys.randomised.push_back(static_cast<uint8_t>(rng.bernoulli(0.25)));
      log.journeys.delta_do.push_back(static_cast<float>(effect));
      log.journeys.delta_ett.push_back(static_cast<float>(effect * 1.1));
      log.main.do_effect.push_back(std::exp2(-static_cast<double>(rng.below(20))));
      log.half.one_step.push_back(rng.bernoulli(0.1) ? NAN : effect + 0.1 * rng.normal());
      log.half.weight.push_back(rng.bernoulli(0.6) ? 1.5 : 0);
      log.half.clipped.push_back(0);
    }
    log.journeys.touch_begin.push_back(static_cast<int64_t>(log.journeys.cluster.size()));
  }
  return log;
}

// Rows first, first + step, .. as a batch of their own.
Log part_of(const Log& log, int64_t first, int64_t step) {
  Log part;
  const io::LogSchema schema = schema_of();
  for (int64_t row = first; row < log.journeys.size(); row += step) {
    part.journeys.append(log.journeys, row, schema);
    for (int64_t j = log.journeys.touch_begin[static_cast<size_t>(row)];
         j < log.journeys.touch_begin[static_cast<size_t>(row) + 1]; ++j) {
      const size_t at = static_cast<size_t>(j);
      part.main.do_effect.push_back(log.main.do_effect[at]);
      part.half.one_step.push_back(log.half.one_step[at]);
      part.half.weight.push_back(log.half.weight[at]);
      part.half.clipped.push_back(log.half.clipped[at]);
    }
  }
  return part;
}

// As the estimates do: all journeys, then those of either half with their places.
SequenceProtocol summed(const Log& log) {
  const io::LogSchema schema = schema_of();
  SequenceProtocol protocol(schema);
  protocol.add(log.journeys, nullptr);
  for (int half = 0; half < 2; ++half) {
    io::Journeys some;
    SequenceScores scores;
    std::vector<int64_t> rows;
    for (int64_t row = 0; row < log.journeys.size(); ++row) {
      if (half_of(log.journeys.user[static_cast<size_t>(row)]) != half) continue;
      some.append(log.journeys, row, schema);
      rows.push_back(row);
      for (int64_t j = log.journeys.touch_begin[static_cast<size_t>(row)];
           j < log.journeys.touch_begin[static_cast<size_t>(row) + 1]; ++j) {
        const size_t at = static_cast<size_t>(j);
        scores.one_step.push_back(log.half.one_step[at]);
        scores.weight.push_back(log.half.weight[at]);
        scores.clipped.push_back(log.half.clipped[at]);
      }
    }
    protocol.add_values(some, scores, rows, log.journeys, log.main, nullptr);
  }
  return protocol;
}

ClusterTable table_of(const SequenceProtocol& protocol) {
  ClusterTable table;
  for (int64_t k = 0; k < kClusters; ++k) {
    table.score.push_back(static_cast<double>(k));
    table.n.push_back(100 + static_cast<double>(k));
    table.exposure.push_back(protocol.outcomes().touched_total(k).weight);
  }
  table.propensity = protocol.propensity();
  return table;
}

struct Exposure {
  double score, value, weight, true_do, true_ett;
};

double top_mean(std::vector<Exposure> all, double share, double Exposure::*of) {
  std::sort(all.begin(), all.end(),
            [](const Exposure& a, const Exposure& b) { return a.score > b.score; });
  double weight = 0;
  for (const Exposure& one : all) weight += one.weight;
  double sum = 0, used = 0;
  for (size_t i = 0; i < all.size();) {
    double tied = 0, tied_sum = 0;
    size_t end = i;
    for (; end < all.size() && all[end].score == all[i].score; ++end) {
      tied += all[end].weight;
      tied_sum += all[end].weight * all[end].*of;
    }
    const double part = std::clamp((share * weight - used) / tied, 0.0, 1.0);
    sum += part * tied_sum;
    used += part * tied;
    i = end;
  }
  return 1000 * sum / used;
}

TEST(SequenceProtocol, PolicyEqualsChoosingTouchByTouch) {
  const Log log = log_of(3000);
  const io::Json policy = summed(log).policy_json("none here");
  std::vector<Exposure> by_model, by_last[2];
  // Credit of a cluster among the users of a half.
  double last[2][kClusters] = {}, touches[2][kClusters] = {};
  const io::Journeys& j = log.journeys;
  for (int64_t row = 0; row < j.size(); ++row) {
    const size_t i = static_cast<size_t>(row);
    const int half = half_of(j.user[i]);
    const double weight = static_cast<double>(j.weight[i]);
    for (int64_t at = j.touch_begin[i]; at < j.touch_begin[i + 1]; ++at) {
      const uint32_t k = j.cluster[static_cast<size_t>(at)];
      touches[half][k] += weight;
      if (at + 1 == j.touch_begin[i + 1])
        last[half][k] += weight * static_cast<double>(j.outcome[i]);
    }
  }
  for (int64_t row = 0; row < j.size(); ++row) {
    const size_t i = static_cast<size_t>(row);
    const int half = half_of(j.user[i]);
    for (int64_t t = j.touch_begin[i]; t < j.touch_begin[i + 1]; ++t) {
      const size_t at = static_cast<size_t>(t);
      if (std::isnan(log.half.one_step[at])) continue;
      const uint32_t k = j.cluster[at];
      Exposure one{log.main.do_effect[at], log.half.one_step[at], static_cast<double>(j.weight[i]),
                   static_cast<double>(j.delta_do[at]), static_cast<double>(j.delta_ett[at])};
      by_model.push_back(one);
      one.score = last[1 - half][k] / touches[1 - half][k];
      by_last[half].push_back(one);
    }
  }
  ASSERT_EQ(policy.size(), size_t{5});
  for (const io::Json& row : policy) {
    const double budget = row["budget"];
    EXPECT_NEAR(row["model"].get<double>(), top_mean(by_model, budget, &Exposure::value), 1e-7);
    EXPECT_NEAR(row["truth"]["model"]["do"].get<double>(),
                top_mean(by_model, budget, &Exposure::true_do), 1e-7);
    EXPECT_NEAR(row["truth"]["model"]["ett"].get<double>(),
                top_mean(by_model, budget, &Exposure::true_ett), 1e-7);
    EXPECT_NEAR(row["random"].get<double>(), top_mean(by_model, 1, &Exposure::value), 1e-7);
    double weights[2] = {}, wanted = 0;
    for (int half = 0; half < 2; ++half) {
      for (const Exposure& one : by_last[half]) weights[half] += one.weight;
      wanted += weights[half] * top_mean(by_last[half], budget, &Exposure::value);
    }
    EXPECT_NEAR(row["last_touch"].get<double>(), wanted / (weights[0] + weights[1]), 1e-7);
    EXPECT_EQ(row["backdoor_why"], "none here");
  }
}

TEST(SequenceProtocol, GainsOfRandomisedExposuresCompareJourneysWithThem) {
  const Log log = log_of(2000);
  const SequenceProtocol protocol = summed(log);
  const io::Json json = protocol.grouped_json(table_of(protocol), true, "");
  double with[kClusters][2] = {}, all[2] = {};
  const io::Journeys& j = log.journeys;
  for (size_t i = 0; i < j.user.size(); ++i) {
    bool seen[kClusters] = {};
    for (int64_t t = j.touch_begin[i]; t < j.touch_begin[i + 1]; ++t) {
      const size_t at = static_cast<size_t>(t);
      if (j.randomised[at] != 1 || seen[j.cluster[at]]) continue;
      seen[j.cluster[at]] = true;
      for (double* of : {with[j.cluster[at]], all}) {
        of[0] += static_cast<double>(j.weight[i] * j.outcome[i]);
        of[1] += static_cast<double>(j.weight[i]);
      }
    }
  }
  std::vector<double> gain;
  for (auto& of : with) {
    gain.push_back(of[0] / of[1] - (all[0] - of[0]) / (all[1] - of[1]));
  }
  const ClusterTable table = table_of(protocol);
  const GroupedArea wanted = grouped_area(table.score, table.n, {gain, {}});
  EXPECT_NEAR(json["randomised"]["overall"]["raw_area"].get<double>(), *wanted.raw_area.value,
              1e-9);
  EXPECT_NEAR(json["randomised"]["overall"]["auuc_05"].get<double>(), *wanted.auuc_05.value, 1e-9);
}

TEST(SequenceProtocol, IsTheSameOnAnyRanks) {
  const Log log = log_of(701);
  const auto json_of = [](const SequenceProtocol& protocol) {
    return io::Json{protocol.grouped_json(table_of(protocol), true, ""), protocol.policy_json("")};
  };
  const io::Json wanted = json_of(summed(log));
  for (const int64_t ranks : {1, 2, 3}) {
    ThreadWorld(ranks).run([&](Communicator& comm) {
      SequenceProtocol mine = summed(part_of(log, comm.rank(), ranks));
      mine.reduce(comm);
      EXPECT_EQ(json_of(mine), wanted) << ranks;
    });
  }
}

TEST(SequenceProtocol, WithoutValuesSaysWhy) {
  SequenceProtocol protocol(schema_of());
  protocol.add(log_of(50).journeys, nullptr);
  EXPECT_TRUE(protocol.policy_json("").is_null());
  const io::Json json = protocol.grouped_json(table_of(protocol), false, "no halves");
  EXPECT_EQ(json["front_door_why"], "no halves");
  EXPECT_EQ(json["rate_why"], "no halves");
  EXPECT_TRUE(json["randomised"].is_null());
  EXPECT_TRUE(json["shapley"]["overall"].is_object());
}

}  // namespace
}  // namespace alm
