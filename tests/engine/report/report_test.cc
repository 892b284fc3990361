#include "engine/report/report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <set>

#include "engine/report/effects.h"
#include "tests/engine/report/render.h"

namespace alm {
namespace {

bool has(const std::string& page, const std::string& what) {
  return page.find(what) != page.npos;
}

SampleRun with_clusters(int64_t clusters, const std::string& name) {
  SampleRun run = sample_run("sequence");
  const io::Json first = run.estimates["effects"][3];
  run.estimates["effects"] = io::Json::array();
  for (int64_t k = 0; k < clusters; ++k) {
    io::Json effect = first;
    effect["cluster"] = k;
    effect["name"] = name + " " + std::to_string(k);
    effect["ett"]["one_step"] = 0.0001 * static_cast<double>(k % 97);
    run.estimates["effects"].push_back(effect);
  }
  return run;
}

// Replaces the value number `left` (parents before children) by another; false when there are
// fewer.
bool replace_value(io::Json& json, int64_t& left, const io::Json& by) {
  if (left-- == 0) {
    json = by;
    return true;
  }
  if (json.is_structured()) {
    for (auto& item : json) {
      if (replace_value(item, left, by)) return true;
    }
  }
  return false;
}

// ALM_REPORT_OUT=DIR keeps the pages, to be looked at.
void keep(const std::string& name, const std::string& page) {
  const char* folder = std::getenv("ALM_REPORT_OUT");
  if (folder != nullptr) std::ofstream(std::string(folder) + "/" + name + ".html") << page;
}

TEST(Report, IsWellFormedAndFetchesNothing) {
  for (const std::string kind : {"sequence", "arm"}) {
    const std::string page = sample_run(kind).render();
    keep(kind, page);
    EXPECT_EQ(markup_fault(page), "") << kind;
    for (const char* outside : {"http:", "https:", "//", "src=", "href=", "url(", "@import",
                                "<script", "<link", "<iframe", "<img", "xmlns"}) {
      EXPECT_FALSE(has(page, outside)) << kind << " holds " << outside;
    }
    EXPECT_LT(page.size(), 400u * 1024);
  }
}

TEST(Report, SaysWhatDroveTheOutcomeAndWhatOtherMethodsWouldHaveSaid) {
  SampleRun run = sample_run("sequence");
  io::Json& effects = run.estimates["effects"];
  for (io::Json& effect : effects) {
    effect["ett"]["one_step"] = 0.01, effect["naive"] = 0.0, effect["backdoor"] = 0.0;
  }
  effects[5]["ett"]["one_step"] = 0.0534;
  effects[5]["ett"]["ci95"] = {0.0411, 0.0657};
  effects[8]["naive"] = 0.2;
  effects[5]["backdoor"] = 0.031;
  const std::string text = visible_text(run.render());
  EXPECT_TRUE(has(text, "“makeup remake” drove the outcome most: +5.34 outcomes per 100 touches"));
  EXPECT_TRUE(has(text, "95 % interval 4.11 to 6.57"));
  EXPECT_TRUE(has(text, "The naive comparison would have put chess puzzles first"));
  EXPECT_TRUE(
      has(text, "Back-door adjustment puts the same cluster first, at +3.10 instead of +5.34"));
}

TEST(Report, SaysHowManyIntervalsOverlapThatOfTheFirst) {
  SampleRun run = sample_run("sequence");
  io::Json& effects = run.estimates["effects"];
  for (io::Json& effect : effects) {
    effect["ett"]["one_step"] = 0.01;
    effect["ett"]["ci95"] = {0.0, 0.02};
  }
  effects[5]["ett"]["one_step"] = 0.05;
  effects[5]["ett"]["ci95"] = {0.04, 0.06};
  EXPECT_FALSE(has(visible_text(run.render()), "not settled"));
  effects[3]["ett"]["ci95"] = {0.01, 0.04};
  EXPECT_TRUE(has(visible_text(run.render()),
                  "The interval of 1 other overlaps that of makeup remake: which is largest is not "
                  "settled"));
  effects[2]["ett"]["ci95"] = {0.045, 0.046};
  EXPECT_TRUE(has(visible_text(run.render()), "The intervals of 2 others overlap that of"));
}

TEST(Report, NamesUsersByTheirWholeId) {
  SampleRun run = sample_run("sequence");
  run.examples[0]["user"] = uint64_t{12706055150335968001u};  // past the signed integers
  EXPECT_TRUE(has(visible_text(run.render()), "User 12706055150335968001"));
}

TEST(Report, RanksNoClusterWithTooFewTouchesFirst) {
  SampleRun run = sample_run("sequence");
  run.estimates["effects"][9]["ett"]["one_step"] = 0.9;
  run.estimates["effects"][9]["touches"] = 3;
  EXPECT_FALSE(has(visible_text(run.render()), "“cat rescue” drove"));
  run.estimates["effects"][9]["touches"] = 20;
  EXPECT_TRUE(has(visible_text(run.render()), "“cat rescue” drove"));
}

TEST(Report, RanksNothingWhoseIntervalWasWithheldAndSaysHowMany) {
  const std::string why = "too little data: an interval takes 20 touches";
  SampleRun run = sample_run("sequence");
  io::Json& effects = run.estimates["effects"];
  effects[9]["ett"]["one_step"] = 0.9;
  EXPECT_TRUE(has(visible_text(run.render()), "“cat rescue” drove"));
  const auto withhold = [&](io::Json& effect) {
    effect["ett"]["ci95"] = effect["ett"]["se"] = nullptr;
    effect["ett"]["ci95_why"] = why;
  };
  withhold(effects[9]);
  std::string text = visible_text(run.render());
  EXPECT_FALSE(has(text, "“cat rescue” drove"));
  const std::string all = std::to_string(effects.size());
  EXPECT_TRUE(has(text, "Left out of the ranking: 1 of " + all + " clusters (" + why));
  for (io::Json& effect : effects) withhold(effect);
  text = visible_text(run.render());
  EXPECT_TRUE(has(text, "No effect here has enough data behind it"));
  EXPECT_FALSE(has(text, "No front-door value can be given"));
  EXPECT_TRUE(has(text, "Left out of the ranking: " + all + " of " + all + " clusters"));
  EXPECT_EQ(markup_fault(run.render()), "");
}

TEST(Report, CallsTheOutcomeByNoNameOfAnotherLog) {
  for (const std::string kind : {"sequence", "arm"}) {
    EXPECT_FALSE(has(visible_text(sample_run(kind).render()), "upload")) << kind;
  }
}

TEST(Report, ShowsAnArmLogInItsOwnUnit) {
  const std::string text = visible_text(sample_run("arm").render());
  EXPECT_TRUE(has(text,
                  "“offered training” raised the outcome: +1,127.9 per journey against "
                  "the reference arm"));
  EXPECT_TRUE(has(text, "In-sample."));
  EXPECT_TRUE(has(text, "not given: the score is constant: no context was used"));
}

TEST(Report, EscapesEveryStringOfTheData) {
  const std::string evil = "<script>alert('x')</script>\"&<!--\xff\xfe\x01\xe2\x80\xae";
  SampleRun run = sample_run("sequence");
  for (io::Json* part : {&run.config, &run.estimates, &run.examples}) {
    // Every string becomes hostile, numbers stay.
    std::vector<io::Json*> open = {part};
    while (!open.empty()) {
      io::Json* json = open.back();
      open.pop_back();
      if (json->is_string()) *json = evil;
      if (json->is_structured()) {
        for (auto& item : *json) open.push_back(&item);
      }
    }
  }
  for (io::Json& report : run.metrics) {
    report["losses"][evil] = 1.0;
    report["phase_shares"][evil] = 0.1;
  }
  run.estimates["identification"]["overlap"][evil] = 0.5;
  run.estimates["policy"][0][evil] = 3.0;
  const std::string page = run.render();
  keep("hostile", page);
  EXPECT_EQ(markup_fault(page), "");
  EXPECT_FALSE(has(page, "<script"));
  EXPECT_FALSE(has(page, "<!--"));
  EXPECT_FALSE(has(page, "\xff"));
  EXPECT_FALSE(has(page, "\x01"));
  EXPECT_FALSE(has(page, "\xe2\x80\xae")) << "a mark that reverses the text beside it";
  EXPECT_TRUE(has(page, "&lt;script&gt;alert(&#39;x&#39;)"));
}

TEST(Report, ShowsWhatChoicesAreWorthAndWhereThereIsNoOverlap) {
  const std::string page = sample_run("sequence").render();
  EXPECT_TRUE(has(page, "118.2 <span class=\"soft\">(106.4 to 130.0)</span>"));
  EXPECT_TRUE(has(page, "true 115.8"));
  EXPECT_TRUE(has(page, "<th>front-door above back-door</th>"));
  EXPECT_TRUE(has(page, "class=\"tick mid\">20\u00a0%</text>"));
  EXPECT_TRUE(has(page, "<strong>no overlap</strong>"));
  EXPECT_TRUE(has(page, "+0.0265 (0.0234 to 0.0296), +0.0167 (0.0138 to 0.0196) above"));
}

TEST(Report, ShowsLambdaTwiceAndNamesTheHolesInTheOverlap) {
  SampleRun run = sample_run("sequence");
  const std::string page = run.render();
  EXPECT_TRUE(has(page, "0.8389"));
  EXPECT_TRUE(has(page, "0.8405"));
  EXPECT_TRUE(has(page, "0.0072"));
  EXPECT_TRUE(has(page, "2 clusters hardly ever shown to some kinds of users"));
  EXPECT_TRUE(has(page, "<bdi>dance duet</bdi></th><td>12.4"));
  EXPECT_FALSE(has(page, "Weights: "));
  run.estimates["identification"]["lambda"]["weights"] = "top 16";
  EXPECT_TRUE(has(run.render(), "Weights: top 16."));
  run.estimates["identification"]["lambda"] = nullptr;
  EXPECT_FALSE(has(run.render(), "The factor of do, twice"));
}

TEST(Report, SaysWhereNobodyLookedForHolesInTheOverlap) {
  SampleRun run = sample_run("sequence");
  const std::string begins = "Clusters that are hardly ever shown to some kinds of users:";
  EXPECT_FALSE(has(visible_text(run.render()), begins));
  io::Json& overlap = run.estimates["identification"]["overlap"];
  overlap["holes"] = nullptr;
  EXPECT_FALSE(has(visible_text(run.render()), begins));
  overlap["holes_why"] = "not looked for <here>";
  const std::string page = run.render();
  EXPECT_EQ(markup_fault(page), "");
  EXPECT_TRUE(has(visible_text(page), begins + " not looked for <here>."));
}

TEST(Report, CutsLongNamesBetweenCharacters) {
  std::string name;
  for (int i = 0; i < 4000; ++i) name += "\xe6\xbc\xa2\xf0\x9f\x8e\xac";  // 漢🎬
  const std::string page = with_clusters(30, name).render();
  keep("long_names", page);
  EXPECT_EQ(markup_fault(page), "");
  EXPECT_FALSE(has(page, "\xef\xbf\xbd")) << "a character was cut in two";
  EXPECT_LT(page.size(), 400u * 1024);
}

TEST(Report, SurvivesAnyOneValueMissingOrOfAnotherType) {
  for (const std::string kind : {"sequence", "arm"}) {
    SampleRun whole = sample_run(kind);
    // A handful of each list is enough: their items are alike.
    if (whole.estimates["effects"].size() > 4) {
      io::Json& effects = whole.estimates["effects"];
      effects.erase(effects.begin() + 2, effects.end());
    }
    if (kind == "sequence") {
      whole.examples.erase(whole.examples.begin() + 1, whole.examples.end());
      io::Json& calibration = whole.estimates["prediction"]["calibration"];
      calibration.erase(calibration.begin() + 2, calibration.end());
      for (const char* method : {"difference", "front_door"}) {
        io::Json& gain = whole.estimates["grouped_auuc"][method];
        gain["buckets"].erase(gain["buckets"].begin() + 1, gain["buckets"].end());
        for (io::Json* part : {&gain["overall"], &gain["buckets"][0]}) {
          (*part)["curve"].erase((*part)["curve"].begin() + 3, (*part)["curve"].end());
        }
      }
    }
    whole.metrics.clear();
    const std::vector<io::Json> replacements = {nullptr,
                                                std::numeric_limits<double>::quiet_NaN(),
                                                "text",
                                                io::Json::array(),
                                                io::Json::object(),
                                                -1e308,
                                                io::Json::array({nullptr, "x"})};
    for (const io::Json& by : replacements) {
      for (int part = 0; part < 3; ++part) {
        for (int64_t at = 0;; ++at) {
          SampleRun run = whole;
          io::Json* const parts[] = {&run.config, &run.estimates, &run.examples};
          int64_t left = at;
          if (!replace_value(*parts[part], left, by)) break;
          std::string page;
          ASSERT_NO_THROW(page = run.render()) << kind << " part " << part << " value " << at;
          ASSERT_EQ(markup_fault(page), "") << kind << " part " << part << " value " << at;
          ASSERT_FALSE(has(page, "nan")) << kind << " part " << part << " value " << at;
        }
      }
    }
  }
}

TEST(Report, ShowsTheLossesOfTheMainFitOnly) {
  SampleRun run = sample_run("sequence");
  const std::string text = visible_text(run.render());
  EXPECT_TRUE(has(text, "second stage, refitted"));
  EXPECT_FALSE(has(text, "mediator, refitted")) << "stands still";
  EXPECT_FALSE(has(text, "propensity")) << "a loss that is always 0 is not there";
  const std::string page = run.render();
  std::erase_if(run.metrics, [](const io::Json& line) { return line["fit"] != "main"; });
  EXPECT_EQ(run.render(), page) << "the other fits are not drawn";
  run = sample_run("sequence");
  std::erase_if(run.metrics, [](const io::Json& line) { return line["fit"] == "main"; });
  EXPECT_TRUE(has(visible_text(run.render()), "mediator"));
}

// Steps of the second stage have other parts, the critic's among them.
TEST(Report, PartsOfAStepAreThoseOfTrainingAndMakeAWhole) {
  SampleRun run = sample_run("sequence");
  run.metrics.clear();
  for (const auto& [phase, shares] :
       {std::pair("train", io::Json{{"compute", 0.7}, {"update", 0.3}}),
        std::pair("second_stage", io::Json{{"compute", 0.2}, {"critic", 0.8}})}) {
    run.metrics.push_back({{"fit", "main"}, {"phase", phase}, {"phase_shares", shares}});
  }
  const std::string text = visible_text(run.render());
  EXPECT_TRUE(has(text, "compute 70.0\u00a0%")) << text.substr(text.find("Where the time"), 200);
  EXPECT_TRUE(has(text, "update 30.0\u00a0%"));
  EXPECT_FALSE(has(text, "critic 80.0\u00a0%"));
}

TEST(Report, SurvivesMetricsOfAnyShape) {
  const SampleRun whole = sample_run("sequence");
  for (const io::Json& by : {io::Json(), io::Json("x"), io::Json::array({1, nullptr}),
                             io::Json(std::numeric_limits<double>::infinity())}) {
    for (int64_t at = 0;; ++at) {
      SampleRun run;
      run.metrics = {whole.metrics[0], whole.metrics[11]};
      io::Json both = run.metrics;
      int64_t left = at;
      if (!replace_value(both, left, by)) break;
      run.metrics.assign({both});
      if (both.is_array()) run.metrics.assign(both.begin(), both.end());
      ASSERT_EQ(markup_fault(run.render()), "") << at;
    }
  }
}

TEST(Report, SurvivesEmptyInputs) {
  for (const io::Json& nothing :
       {io::Json(), io::Json::object(), io::Json::array(), io::Json("x")}) {
    const std::string page = make_report(nothing, nothing, {nothing, nothing}, nothing);
    EXPECT_EQ(markup_fault(page), "");
    EXPECT_TRUE(has(page, "no effects to report"));
  }
}

TEST(Report, SaysWhyThereAreNoEffects) {
  SampleRun run = sample_run("sequence");
  run.estimates["effects"] = nullptr;
  run.estimates["effects_why"] = "the mediator never varies given the touches";
  run.estimates["identification"]["mediator_variance_share"] = 0.004;
  const std::string text = visible_text(run.render());
  EXPECT_TRUE(has(text, "No front-door value can be given"));
  EXPECT_TRUE(has(text, "the mediator never varies given the touches"));
  EXPECT_TRUE(has(text, "The mediator has no variation of its own."));
}

SampleRun proxy_run() {
  SampleRun run = sample_run("sequence");
  run.estimates["mediator_mode"] = "proxy";
  run.estimates["effects"] = nullptr;
  run.estimates["effects_why"] = "scores, not effects";
  run.estimates["scores"] = io::Json::array();
  for (int k = 0; k < 4; ++k) {
    run.estimates["scores"].push_back({{"cluster", k},
                                       {"name", "<b>cluster & " + std::to_string(k)},
                                       {"touches", 100 + k},
                                       {"paper", 0.001 * k},
                                       {"do", {{"plugin", 0.002 * k}}},
                                       {"ett", nullptr},
                                       {"naive", 0.1},
                                       {"backdoor", 0.2},
                                       {"truth", {{"do", 0.003}}}});
  }
  run.estimates["identification"] = {{"mediator_variance_share", 0.0},
                                     {"code",
                                      {{"discriminator_loss", 0.59},
                                       {"entropy_floor", 0.6},
                                       {"match_auc", 0.8},
                                       {"match_auc_without_code", nullptr},
                                       {"match_auc_without_code_why", "nothing to take away"},
                                       {"outcome_auc", 0.63},
                                       {"outcome_auc_backdoor", 0.62}}},
                                     {"warnings", {"scores only"}}};
  run.estimates["truth"] = {{"paper", {{"cluster_spearman", 0.4}, {"ratio", 1.01}}},
                            {"do", nullptr}};
  return run;
}

TEST(Report, OfProxyModeShowsScoresAndTheCodeAndClaimsNoEffect) {
  const std::string page = proxy_run().render();
  keep("proxy", page);
  EXPECT_EQ(markup_fault(page), "");
  const std::string text = visible_text(page);
  EXPECT_TRUE(has(text, "Scores of proxy mode: nothing here is an effect")) << text.substr(0, 400);
  EXPECT_TRUE(has(text, "Discriminator's loss"));
  EXPECT_TRUE(has(text, "no evidence of a sound code"));
  EXPECT_TRUE(has(text, "nothing to take away"));
  EXPECT_TRUE(has(text, "<b>cluster & 3"));
  EXPECT_FALSE(has(text, "drove the outcome most"));
  EXPECT_FALSE(has(page, "id=\"effects\""));
  EXPECT_FALSE(has(page, "id=\"truth\""));
}

TEST(Report, OfProxyModeSurvivesAnyOneValueMissingOrOfAnotherType) {
  const SampleRun whole = proxy_run();
  for (const io::Json& by : {io::Json(), io::Json("text"), io::Json::array(), io::Json(1e300)}) {
    for (int64_t at = 0;; ++at) {
      SampleRun run = whole;
      io::Json part{{"scores", run.estimates["scores"]},
                    {"identification", run.estimates["identification"]},
                    {"truth", run.estimates["truth"]}};
      int64_t left = at;
      if (!replace_value(part, left, by)) break;
      for (const char* key : {"scores", "identification", "truth"}) {
        run.estimates[key] = part.is_object() && part.contains(key) ? part[key] : io::Json();
      }
      EXPECT_EQ(markup_fault(run.render()), "") << at << " by " << by;
    }
  }
}

TEST(Report, WarnsByTheSharesOfTheContract) {
  SampleRun run = sample_run("sequence");
  run.estimates["identification"]["mediator_variance_share"] = 0.049;
  EXPECT_TRUE(has(run.render(), "The mediator hardly varies by itself."));
  run.estimates["identification"]["mediator_variance_share"] = 0.051;
  EXPECT_FALSE(has(run.render(), "hardly varies"));
}

TEST(Report, HandlesZeroAndOneCluster) {
  for (const int64_t clusters : {0, 1}) {
    const std::string page = with_clusters(clusters, "only").render();
    keep("clusters_" + std::to_string(clusters), page);
    EXPECT_EQ(markup_fault(page), "") << clusters;
  }
}

TEST(Report, StaysSmallWithAThousandClusters) {
  std::string longest = "a rather long cluster name & more of it, \xc3\xbc\xc3\xbc\xc3\xbc";
  const std::string page = with_clusters(1000, longest).render();
  keep("clusters_1000", page);
  EXPECT_EQ(markup_fault(page), "");
  EXPECT_LT(page.size(), 2u * 1000 * 1000);
}

TEST(Report, ShowsTheLargestEffectsOfManyClustersAndSaysHowManyThereAre) {
  SampleRun run = with_clusters(5003, "some");
  run.estimates["effects"][17]["ett"]["one_step"] = -0.4;
  run.estimates["effects"][18]["ett"]["one_step"] = 0.9;
  run.estimates["effects"][18]["touches"] = 3;  // too few to be ranked
  const std::string page = run.render();
  EXPECT_EQ(markup_fault(page), "");
  EXPECT_LT(page.size(), 2u * 1000 * 1000);
  EXPECT_TRUE(has(page, "The 1,000 largest effects of 5,003 clusters (estimates.json has all)"));
  EXPECT_TRUE(has(page, "<bdi>some 17</bdi>"));
  EXPECT_FALSE(has(page, "<bdi>some 18</bdi>"));
}

TEST(Report, IsAPureFunction) {
  EXPECT_EQ(sample_run("sequence").render(), sample_run("sequence").render());
}

TEST(Report, GivesEveryElementAnIdOfItsOwn) {
  const std::string page = sample_run("sequence").render();
  std::set<std::string> ids;
  for (size_t at = page.find(" id=\""); at != page.npos; at = page.find(" id=\"", at + 1)) {
    const std::string id = page.substr(at + 5, page.find('"', at + 5) - at - 5);
    EXPECT_TRUE(ids.insert(id).second) << id;
  }
}

TEST(Report, SpearmanUsesMidranks) {
  // By hand: ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4 give 4.5 / sqrt(4.5 * 5).
  const auto value = report::spearman({{1, 10}, {2, 20}, {2, 30}, {3, 40}});
  ASSERT_TRUE(value.has_value());
  EXPECT_NEAR(*value, 4.5 / std::sqrt(4.5 * 5), 1e-12);
  EXPECT_FALSE(report::spearman({{1, 1}, {1, 2}, {1, 3}}).has_value());
}

TEST(Report, NegativeControlsAreShownByVerdictWithTheirSentence) {
  SampleRun run = sample_run("sequence");
  EXPECT_FALSE(has(run.render(), "id=\"controls\""));
  run.estimates["identification"]["negative_controls"] = {
      {{"control", "shuffled_mediator"}, {"verdict", "pass"}, {"sentence", "They <vanish>"}},
      {{"control", "future_touches"}, {"verdict", nullptr}, {"why", "no user has two journeys"}},
      {{"control", "shuffled_treatment"}, {"verdict", "fail\"><b>"}, {"sentence", "x"}},
      {{"control", "dropped_proxy"},
       {"verdict", "warn"},
       {"sentence", "y"},
       {"fits", {{{"changed", "V<1>"}, {"spearman", 0.812}, {"ratio", nullptr}}, 3}}},
      7};
  const std::string page = run.render();
  keep("controls", page);
  EXPECT_EQ(markup_fault(page), "");
  const std::string seen = visible_text(page);
  EXPECT_TRUE(has(seen, "shuffled mediator"));
  EXPECT_TRUE(has(page, "class=\"verdict pass\">pass<"));
  EXPECT_TRUE(has(seen, "They <vanish>."));
  EXPECT_TRUE(has(seen, "no user has two journeys"));
  EXPECT_FALSE(has(page, "verdict fail"));
  EXPECT_TRUE(has(seen, "V<1>: Spearman 0.81, mean times –"));
}

TEST(Report, SensitivityIsATableAndAPlot) {
  SampleRun run = sample_run("sequence");
  EXPECT_FALSE(has(run.render(), "id=\"sensitivity\""));
  const io::Json grid{{"share", 0.05},
                      {"direct", {-0.03, 0}},
                      {"mean_effect", {{0, -0.002, -0.011}, {0.03, 0.028, 0.019}}}};
  run.estimates["identification"]["sensitivity"] = {
      {"mean_effect", 0.03},
      {"clear_clusters", 61},
      {"clear_clusters_turned_by_direct", 0.041},
      {"strengths", {0.25, 2}},
      {"shares", {0.01, 0.05}},
      {"mean_by_strength", {{0.0291, 0.028}, {0.025, 0.019}}},
      {"clear_by_strength", {{60, 55}, {41, nullptr}}},
      {"turning_share", {nullptr, 0.123}},
      {"grid", grid}};
  const std::string page = run.render();
  keep("sensitivity", page);
  EXPECT_EQ(markup_fault(page), "");
  const size_t begin = page.find("id=\"sensitivity\"");
  const std::string part = page.substr(begin, page.find("</section>", begin) - begin);
  EXPECT_TRUE(has(part, "share of 1\u00a0%"));
  EXPECT_TRUE(has(part, "share of 5\u00a0%"));
  EXPECT_TRUE(has(part, "polyline class=\"line front dashed\""));
  EXPECT_FALSE(has(part, "back\"")) << "no value of the back-door regression is here";
  const std::string seen = visible_text(page);
  EXPECT_TRUE(has(seen, "Of 61 intervals clear of 0, half would need one beyond 0.041"));
  EXPECT_TRUE(has(seen, "12.3"));
  EXPECT_TRUE(has(page, "a line a share"));
  for (const char* key : {"strengths", "shares", "mean_by_strength", "grid", "turning_share"}) {
    run.estimates["identification"]["sensitivity"][key] = "?";
    EXPECT_EQ(markup_fault(run.render()), "") << key;
  }
}

TEST(Report, ShowsTargetedValuesAndRefittedErrorsWhereTheyWereMade) {
  SampleRun arm = sample_run("arm");
  EXPECT_FALSE(has(arm.render(), "<th>tmle</th>"));
  EXPECT_FALSE(has(arm.render(), "<th>refitted se</th>"));
  EXPECT_FALSE(has(visible_text(arm.render()), "Refitted se"));
  for (io::Json& effect : arm.estimates["effects"]) {
    effect["do"]["tmle"] = {{"value", 1126.25}, {"why", nullptr}};
    effect["do"]["bootstrap"] = {{"one_step", {{"se", 345.75}}}, {"plugin", {{"se", 9.5}}}};
  }
  const std::string page = arm.render();
  EXPECT_EQ(markup_fault(page), "");
  EXPECT_TRUE(has(page, "<th>tmle</th>"));
  EXPECT_TRUE(has(page, "<th>refitted se</th>"));
  const std::string seen = visible_text(page);
  EXPECT_TRUE(has(seen, "1,126.2")) << "the targeted value";
  EXPECT_TRUE(has(seen, "345.8")) << "the error of the one-step value, not of the plug-in";
  EXPECT_FALSE(has(seen, "9.50"));
  EXPECT_TRUE(has(seen, "Refitted se: the standard error over replicates"));

  // Where there is no one-step value the error is the plug-in's: do of sequence logs.
  SampleRun sequence = sample_run("sequence");
  for (io::Json& effect : sequence.estimates["effects"]) {
    effect["do"]["bootstrap"] = {{"plugin", {{"se", 0.01234}}}};
  }
  EXPECT_TRUE(has(visible_text(sequence.render()), "0.0123"));
}

TEST(Report, KeepsOptionsInSentencesOnOneLine) {
  SampleRun run = sample_run("sequence");
  run.estimates["policy"] = nullptr;
  run.estimates["policy_why"] = "no halves -- or --folds, --max-touches<b>";
  const std::string page = run.render();
  EXPECT_EQ(markup_fault(page), "");
  EXPECT_TRUE(has(page,
                  "no halves -- or <span class=\"option\">--folds</span>, "
                  "<span class=\"option\">--max-touches</span>&lt;b&gt;"));
  EXPECT_TRUE(has(visible_text(page), "no halves -- or --folds, --max-touches<b>"));
}

TEST(Report, AnAreaWithoutAnIntervalSaysSo) {
  SampleRun run = sample_run("arm");
  io::Json& area = run.estimates["grouped_auuc"]["difference"]["overall"];
  area = {{"auuc_05", 1.0}, {"ci95", nullptr}, {"ci95_why", "a ranking of two clusters"}};
  EXPECT_TRUE(has(visible_text(run.render()), "1.0000 (no interval: a ranking of two clusters)"));
  area.erase("ci95_why");
  EXPECT_TRUE(has(visible_text(run.render()), "1.0000 (no interval)"));
  area["ci95"] = {0.0, 1.0};
  EXPECT_TRUE(has(visible_text(run.render()), "1.0000 (0.000 to 1.000)"));
}

TEST(Report, SaysWhichOutcomeHeadMadeTheNumbersAndHowToCheckIt) {
  SampleRun run = sample_run("sequence");
  run.estimates["outcome_head"] = "separable";
  std::string seen = visible_text(run.render());
  EXPECT_TRUE(has(seen, "These values are by the separable head"));
  EXPECT_TRUE(has(seen, "Train once more with --outcome-head general") ||
              has(seen, "train once more with --outcome-head general"));
  run.estimates["outcome_head"] = "general";
  for (io::Json& effect : run.estimates["effects"]) {
    effect["do"] = {{"plugin", nullptr}, {"one_step", nullptr}, {"why", "no do <here>"}};
    effect["removal"] = effect["do"];
    if (effect.contains("truth")) effect["truth"]["do"] = nullptr;
  }
  const std::string page = run.render();
  keep("general", page);
  EXPECT_EQ(markup_fault(page), "");
  seen = visible_text(page);
  EXPECT_TRUE(has(seen, "These values are by the general head"));
  EXPECT_TRUE(has(seen, "Train once more with --outcome-head separable"));
  EXPECT_TRUE(has(seen, "No value for any of them: no do <here>"));
  EXPECT_TRUE(has(seen, "drove the outcome most")) << "ranked by ett";
  EXPECT_TRUE(has(seen, "True ett of the cluster"));
  EXPECT_FALSE(has(visible_text(sample_run("arm").render()), "head"));
}

TEST(Report, NamesNoModeThatThereIsNot) {
  for (const std::string kind : {"sequence", "arm"}) {
    EXPECT_FALSE(has(visible_text(sample_run(kind).render()), "latent mode")) << kind;
  }
}

}  // namespace
}  // namespace alm
