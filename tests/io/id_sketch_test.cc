#include "io/id_sketch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "io/field.h"
#include "io/id_census.h"
#include "kernels/base/hash.h"

namespace alm::io {
namespace {

// Ids of a heavy-tailed law, with the largest id that there is among them.
std::vector<uint64_t> zipf_ids(int64_t count, double ids) {
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> uniform;
  std::vector<uint64_t> drawn;
  for (int64_t draw = 0; draw < count; ++draw) {
    const auto rank = static_cast<uint64_t>(std::exp(uniform(random) * std::log(ids)));
    drawn.push_back(std::numeric_limits<uint64_t>::max() - rank * 977);
  }
  return drawn;
}

std::map<uint64_t, int64_t> counted(const std::vector<uint64_t>& ids) {
  std::map<uint64_t, int64_t> counts;
  for (const uint64_t id : ids) ++counts[id];
  return counts;
}

TEST(IdSketch, FewIdsAreCountedExactly) {
  const std::vector<uint64_t> ids = zipf_ids(20011, 3000);
  const auto counts = counted(ids);
  IdSketch sketch;
  for (const uint64_t id : ids) sketch.add(id);
  EXPECT_TRUE(sketch.is_exact());
  EXPECT_EQ(sketch.distinct(), static_cast<int64_t>(counts.size()));
  int64_t previous = std::numeric_limits<int64_t>::max();
  for (const IdSketch::Hot& hot : sketch.hottest(20)) {
    EXPECT_EQ(hot.count, counts.at(hot.id));
    EXPECT_LE(hot.count, previous);
    previous = hot.count;
  }
  int64_t rare = 0, occurrences = 0, sharing = 0;
  std::map<int64_t, int64_t> ids_of_row;
  for (const auto& [id, count] : counts) {
    rare += count < 50;
    occurrences += count < 50 ? count : 0;
    ++ids_of_row[table_row(id, 3, 4096)];
  }
  for (const auto& [row, of_row] : ids_of_row) sharing += of_row > 1 ? of_row : 0;
  const double distinct = static_cast<double>(counts.size());
  EXPECT_DOUBLE_EQ(sketch.rarer_than(50).ids, static_cast<double>(rare) / distinct);
  EXPECT_DOUBLE_EQ(sketch.rarer_than(50).occurrences, static_cast<double>(occurrences) / 20011);
  const IdSketch::Collisions collisions = sketch.in_table(3, 4096);
  EXPECT_DOUBLE_EQ(collisions.found, static_cast<double>(sharing) / distinct);
  EXPECT_NEAR(collisions.found, collisions.expected, 0.05);
}

TEST(IdSketch, ManyIdsAreEstimatedWithinTheErrorOfASample) {
  const std::vector<uint64_t> ids = zipf_ids(400009, 1e6);
  const auto counts = counted(ids);
  IdSketch sketch(4096);
  for (const uint64_t id : ids) sketch.add(id);
  ASSERT_FALSE(sketch.is_exact());
  const double distinct = static_cast<double>(counts.size());
  EXPECT_NEAR(static_cast<double>(sketch.distinct()) / distinct, 1, 0.08);
  int64_t rare = 0, occurrences = 0;
  for (const auto& [id, count] : counts) {
    rare += count < 5;
    occurrences += count < 5 ? count : 0;
  }
  EXPECT_NEAR(sketch.rarer_than(5).ids, static_cast<double>(rare) / distinct, 0.03);
  EXPECT_NEAR(sketch.rarer_than(5).occurrences, static_cast<double>(occurrences) / 400009, 0.05);
  // The bounds of a frequent-items summary: never too high, too low by the error at most.
  EXPECT_LE(sketch.hot_error(), 400009 / 1024);
  for (const IdSketch::Hot& hot : sketch.hottest(10)) {
    EXPECT_LE(hot.count, counts.at(hot.id));
    EXPECT_GE(hot.count + sketch.hot_error(), counts.at(hot.id));
  }
  EXPECT_TRUE(std::isnan(sketch.in_table(0, 4096).found));
}

TEST(IdSketch, MergedPartsSayWhatTheWholeSays) {
  const std::vector<uint64_t> ids = zipf_ids(60013, 50000);
  const auto counts = counted(ids);
  IdSketch whole(1024);
  std::vector<IdSketch> parts(3, IdSketch(1024));
  for (size_t at = 0; at < ids.size(); ++at) {
    whole.add(ids[at]);
    parts[at < 200 ? 0 : at % 2 + 1].add(ids[at]);  // the first part stays exact
  }
  IdSketch merged = IdSketch::unpack(parts[0].pack());
  EXPECT_TRUE(merged.is_exact());
  merged.merge(IdSketch::unpack(parts[1].pack()));
  merged.merge(parts[2]);
  EXPECT_EQ(merged.total(), whole.total());
  EXPECT_EQ(merged.distinct(), whole.distinct());
  EXPECT_EQ(merged.rarer_than(3).ids, whole.rarer_than(3).ids);
  EXPECT_EQ(merged.rarer_than(3).occurrences, whole.rarer_than(3).occurrences);
  for (const IdSketch::Hot& hot : merged.hottest(5)) {
    EXPECT_LE(hot.count, counts.at(hot.id));
    EXPECT_GE(hot.count + merged.hot_error(), counts.at(hot.id));
  }
}

TEST(IdCensus, EveryIdColumnIsDescribedUnderItsName) {
  LogSchema schema;
  schema.item = true;
  schema.cat = 2;
  schema.cat_names = {"city", "job"};
  schema.touch_cat = 1;
  Journeys journeys;
  journeys.item = {7, 7, std::numeric_limits<uint64_t>::max()};
  const int64_t missing = signed_label_id("");
  journeys.cat = {1, missing, 2, 5, 1, missing};
  journeys.touch_cat = {-4, -4, -4};
  IdCensus one(schema), two(schema);
  one.add(journeys);
  two.merge(one.pack());
  two.add(journeys);
  const Json json = two.json({});
  ASSERT_EQ(json.size(), 4u);
  EXPECT_EQ(json[0]["data_set"], "/touch/item");
  EXPECT_EQ(json[0]["distinct"], 2);
  EXPECT_EQ(json[0]["hot"][0]["id"], 7);
  EXPECT_EQ(json[0]["hot"][1]["id"], std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(json[0]["missing_share"], nullptr);
  EXPECT_EQ(json[1]["name"], "city");
  EXPECT_EQ(json[1]["missing_share"], 0.0);
  EXPECT_DOUBLE_EQ(json[2]["missing_share"].get<double>(), 2.0 / 3);
  EXPECT_EQ(json[3]["data_set"], "/touch/cat");
  EXPECT_EQ(json[3]["values"], 6);
  EXPECT_EQ(json[3]["hot"][0]["id"], -4);
  const std::string text = id_census_text(json);
  EXPECT_NE(text.find("/journey/cat city  2 ids in 6 values"), std::string::npos) << text;
  EXPECT_NE(IdCensus(schema).json({}).size(), 0u);  // of a log without rows
}

}  // namespace
}  // namespace alm::io
