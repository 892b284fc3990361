#include "launch/effects_table.h"

#include <gtest/gtest.h>

#include "kernels/base/text.h"

namespace alm {
namespace {

io::Json effect(const std::string& name, double value, int64_t touches) {
  io::Json estimate{{"one_step", value}, {"ci95", {value - 1e-5, value + 1e-5}}};
  return {{"name", name},          {"touches", touches}, {"naive", -123456.789},
          {"backdoor", -1.23e-10}, {"do", estimate},     {"ett", estimate}};
}

io::Json estimates(const char* kind) {
  return {{"log_kind", kind}, {"effects", io::Json::array()}};
}

std::vector<std::string> lines_with(const std::string& text, const std::string& what) {
  std::vector<std::string> found;
  for (const std::string& line : split(text, '\n')) {
    if (line.find(what) != line.npos) found.push_back(line);
  }
  return found;
}

TEST(EffectsTable, KeepsColumnsApartWhateverTheNumbers) {
  for (const char* kind : {"arm", "sequence"}) {
    io::Json json = estimates(kind);
    json["effects"] = {effect("e-mail to everybody in town", -0.000012345678, 123456789),
                       effect("b", 1234567.8, 30)};
    const std::string text = effects_table(json);
    const std::vector<std::string> rows = lines_with(text, " to ");
    ASSERT_EQ(rows.size(), 2u) << text;
    EXPECT_EQ(rows[0].size(), rows[1].size()) << text;
    EXPECT_EQ(lines_with(text, "back-door").back().size(), rows[0].size()) << text;
    EXPECT_NE(rows[1].find("  123,456,789  -1.235e-05  -2.235e-05 to -2.346e-06  -1.235e+05  "
                           "-1.23e-10"),
              std::string::npos)
        << text;
  }
}

TEST(EffectsTable, NamesOfStrangersBreakNoLine) {
  io::Json json = estimates("sequence");
  json["effects"] = {effect("b\n\x1b[31mred", 1, 30)};
  EXPECT_EQ(lines_with(effects_table(json), "  b??[31mred  ").size(), 1u);
}

TEST(EffectsTable, SaysWhatATenthOfTheExposuresIsWorth) {
  io::Json json = estimates("sequence");
  json["policy"] = {{{"budget", 0.05}, {"model", 9}},
                    {{"budget", 0.10},
                     {"model", 85.85},
                     {"backdoor", nullptr},
                     {"random", 26.5},
                     {"ci95", {{"model", {77.21, 94.68}}}}}};
  EXPECT_NE(effects_table(json).find("per 1,000 exposures if only a tenth is kept, chosen by: "
                                     "model 85.8 (77.21 to 94.68)  random 26.5\n"),
            std::string::npos)
      << effects_table(json);
  json["policy"] = nullptr;
  EXPECT_EQ(effects_table(json).find("per 1,000"), std::string::npos);
}

TEST(EffectsTable, SaysHowManyAreHiddenAndWhy) {
  io::Json json = estimates("sequence");
  for (int k = 0; k < 4; ++k) json["effects"].push_back(effect("c" + std::to_string(k), k, 30));
  for (const int k : {1, 3}) {
    json["effects"][k]["ett"]["ci95"] = nullptr;
    json["effects"][k]["ett"]["ci95_why"] = "too little data";
  }
  json["effects"][0]["ett"] = {{"one_step", nullptr}, {"why", "no mediator observed"}};
  const std::string text = effects_table(json);
  EXPECT_NE(text.find("not shown: 2 of 4 clusters, too little data\n"), std::string::npos) << text;
  EXPECT_NE(text.find("not shown: 1 of 4 clusters, no mediator observed\n"), std::string::npos);
  EXPECT_EQ(lines_with(text, "  c3").size(), 0u) << text;
  EXPECT_EQ(lines_with(text, "  c2").size(), 1u) << text;
  EXPECT_EQ(text.find("no front-door value"), std::string::npos);
}

TEST(EffectsTable, ShowsBothEndsOfALongRanking) {
  io::Json json = estimates("sequence");
  for (int k = 0; k < 13; ++k) json["effects"].push_back(effect("c" + std::to_string(k), k, 30));
  const std::string text = effects_table(json);
  EXPECT_NE(text.find("... 3 more"), std::string::npos) << text;
  for (const char* shown : {"  c12 ", "  c8 ", "  c4 ", "  c0 "}) {
    EXPECT_EQ(lines_with(text, shown).size(), 1u) << shown << text;
  }
  for (const char* hidden : {"  c7 ", "  c6 ", "  c5 "}) {
    EXPECT_EQ(lines_with(text, hidden).size(), 0u) << hidden << text;
  }
}

TEST(EffectsTable, OfProxyModeCallsEverythingAScoreAndGivesNoInterval) {
  io::Json json = estimates("sequence");
  json["mediator_mode"] = "proxy";
  json["effects"] = nullptr;
  for (int k = 0; k < 3; ++k) {
    json["scores"].push_back({{"name", "c" + std::to_string(k)},
                              {"touches", 30},
                              {"paper", 0.01 * k},
                              {"do", nullptr},
                              {"naive", 0.5},
                              {"backdoor", 0.25}});
  }
  json["scores"][1]["do"] = {{"plugin", 0.125}};
  json["identification"] = {{"warnings", {"a warning"}}};
  const std::string text = effects_table(json);
  EXPECT_NE(text.find("scores per touch, not effects"), std::string::npos) << text;
  EXPECT_EQ(text.find("interval"), std::string::npos) << text;
  EXPECT_EQ(text.find("ront-door effect"), std::string::npos) << text;
  EXPECT_NE(lines_with(text, "  c1 ").at(0).find("0.125"), std::string::npos) << text;
  EXPECT_LT(text.find("  c2 "), text.find("  c1 ")) << text;
  EXPECT_EQ(lines_with(text, "a warning").size(), 1u);
}

TEST(EffectsTable, OfNoTouchesSaysSo) {
  EXPECT_NE(effects_table(estimates("sequence")).find("no scored journey has a touch"),
            std::string::npos);
}

TEST(EffectsTable, HasALineForEveryNegativeControl) {
  io::Json json = estimates("sequence");
  json["identification"]["negative_controls"] = {
      {{"control", "shuffled_mediator"}, {"verdict", "pass"}, {"sentence", "They vanish"}},
      {{"control", "future_touches"}, {"verdict", nullptr}, {"why", "no user has two"}}};
  const std::string text = effects_table(json);
  EXPECT_EQ(lines_with(text, "  control shuffled_mediator: pass. They vanish").size(), 1u) << text;
  EXPECT_EQ(lines_with(text, "  control future_touches: not made: no user has two").size(), 1u);
}

}  // namespace
}  // namespace alm
