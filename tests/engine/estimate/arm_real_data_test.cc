// The two randomised experiments through the tabular estimators, against the published arithmetic.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "engine/estimate/arm_effects.h"
#include "engine/estimate/arm_tabular.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

struct Row {
  int64_t arm;
  uint8_t mediator;
  double outcome;
  std::vector<int64_t> cat;
};

// Columns by name. Commas within quotes (a level of history_segment) do not count.
std::vector<std::map<std::string, std::string>> read(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::map<std::string, std::string>> rows;
  std::vector<std::string> names;
  for (std::string line; std::getline(file, line);) {
    std::vector<std::string> fields(1);
    bool quoted = false;
    for (const char c : line) {
      if (c == '"') {
        quoted = !quoted;
      } else if (c == ',' && !quoted) {
        fields.emplace_back();
      } else if (c != '\r') {
        fields.back() += c;
      }
    }
    if (names.empty()) {
      names = fields;
      continue;
    }
    auto& row = rows.emplace_back();
    for (size_t i = 0; i < names.size(); ++i) row[names[i]] = fields[i];
  }
  return rows;
}

std::vector<ArmEffect> effects(const std::vector<Row>& rows, int64_t arms) {
  const auto comm = make_self_communicator();
  TabularNuisances counted(arms, static_cast<int64_t>(rows.front().cat.size()));
  for (const Row& row : rows) counted.add(row.cat, row.arm, row.mediator, row.outcome);
  counted.reduce(*comm, "counts");
  ArmEffectSums sums(arms, 0);
  for (size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    sums.add(i, row.arm, row.mediator, row.outcome, 1, counted.at(row.cat));
  }
  sums.reduce(*comm, "effects");
  std::vector<ArmEffect> result;
  for (int64_t a = 1; a < arms; ++a) result.push_back(sums.effect(a));
  return result;
}

class RealData : public testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("ALM_DATA");
    if (!folder) GTEST_SKIP() << "ALM_DATA does not name the folder of the real data";
    folder_ = folder;
  }
  std::string folder_;
};

TEST_F(RealData, JtpaByCounting) {
  for (const bool with_sex : {false, true}) {
    std::vector<Row> rows;
    for (auto& row : read(folder_ + "/jtpa/jtpa.csv")) {
      rows.push_back({std::stoll(row["assignmt"]),
                      static_cast<uint8_t>(std::stoi(row["training"])),
                      std::stod(row["earnings"]),
                      {}});
      if (with_sex) rows.back().cat.push_back(std::stoll(row["sex"]));
    }
    ASSERT_EQ(rows.size(), size_t{11204});
    const auto effect = effects(rows, 2).front();
    EXPECT_NEAR(effect.do_effect.plugin.mean, with_sex ? 1233.7 : 1127.9, 0.05);
    EXPECT_NEAR(effect.do_effect.one_step.mean, effect.do_effect.plugin.mean, 1e-6);
    EXPECT_NEAR(effect.naive.mean, 1159.4, 0.05);
    EXPECT_NEAR(effect.naive.se, 330, 0.5);
    std::printf(
        "JTPA %s: front-door %.1f (se %.1f), experiment %.1f (se %.1f), ett %.1f (se %.1f)\n",
        with_sex ? "with sex" : "no X", effect.do_effect.one_step.mean,
        effect.do_effect.one_step.se, effect.naive.mean, effect.naive.se, effect.ett.one_step.mean,
        effect.ett.one_step.se);
  }
}

TEST_F(RealData, HillstromConversionByCounting) {
  const std::map<std::string, int64_t> arms{
      {"No E-Mail", 0}, {"Mens E-Mail", 1}, {"Womens E-Mail", 2}};
  std::vector<Row> three, pooled;
  for (auto& row : read(folder_ + "/hillstrom/hillstrom.csv")) {
    three.push_back({arms.at(row["segment"]),
                     static_cast<uint8_t>(std::stoi(row["visit"])),
                     std::stod(row["conversion"]),
                     {}});
    pooled.push_back(three.back());
    pooled.back().arm = three.back().arm > 0;
  }
  ASSERT_EQ(three.size(), size_t{64000});
  const auto two = effects(pooled, 2).front();
  EXPECT_NEAR(two.do_effect.plugin.mean, 0.003690, 5e-7);
  EXPECT_NEAR(two.naive.mean, 0.004955, 5e-7);
  EXPECT_NEAR(two.naive.se, 0.00072, 5e-6);
  const auto each = effects(three, 3);
  EXPECT_NEAR(each[0].do_effect.plugin.mean, 0.004617, 5e-7);
  EXPECT_NEAR(each[1].do_effect.plugin.mean, 0.002727, 5e-7);
  std::printf(
      "Hillstrom pooled: front-door %.6f (se %.6f), experiment %.6f (se %.6f); mens %.6f, "
      "womens %.6f\n",
      two.do_effect.one_step.mean, two.do_effect.one_step.se, two.naive.mean, two.naive.se,
      each[0].do_effect.one_step.mean, each[1].do_effect.one_step.mean);
}

}  // namespace
}  // namespace alm
