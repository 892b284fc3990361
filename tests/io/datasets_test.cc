#include "io/datasets.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "io/import.h"
#include "kernels/base/check.h"
#include "table_folder.h"

namespace alm::io {
namespace {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

class Datasets : public TableFolder {
 protected:
  // A table in the folder; gzip when the name says so.
  std::string write(const std::string& name, const std::string& text) const {
    if (!name.ends_with(".gz")) return TableFolder::write(name, text);
    const std::string path = TableFolder::write(name, "");
    gzFile file = gzopen(path.c_str(), "wb");
    gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
    gzclose(file);
    return path;
  }

  ImportSummary run(const DatasetChoice& choice, const Strings& files,
                    OnBadRow on_bad_row = OnBadRow::fail) {
    fs::remove_all(folder_ / "out");
    dataset_ = open_dataset(choice, files);
    return import_tables(dataset_.tables, dataset_.mapping, (folder_ / "out").string(),
                         {on_bad_row});
  }

  // What the log just written holds, through the reader.
  Journeys log() {
    opened_ = Log::open({(folder_ / "out").string()}, LogOptions());
    Journeys all, block;
    for (int64_t number = 0; number < static_cast<int64_t>(opened_->blocks().size()); ++number) {
      opened_->read_block(number, ColumnSet::all(), block);
      for (int64_t row = 0; row < block.size(); ++row) all.append(block, row, opened_->schema());
    }
    return all;
  }
  const LogSchema& schema() const { return opened_->schema(); }

  std::string error_of(const DatasetChoice& choice, const Strings& files) {
    try {
      run(choice, files);
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  }

  Dataset dataset_;
  std::shared_ptr<const Log> opened_;
};

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

std::string repeated(int count, const std::string& prefix, const std::string& value) {
  std::string text;
  for (int number = 0; number < count; ++number) {
    text += "," + (value.empty() ? prefix + std::to_string(number) : value);
  }
  return text;
}

TEST_F(Datasets, WhatIsNotOfferedIsRefusedWithWhatIs) {
  const auto error = [&](const DatasetChoice& choice) { return error_of(choice, {"no-such.csv"}); };
  expect_contains(error({"iris", "", ""}), "there are jtpa, hillstrom");
  expect_contains(error({"jtpa", "wage", ""}), "jtpa offers earnings");
  expect_contains(error({"jtpa", "", "pooled"}), "jtpa offers no choice");
  expect_contains(error({"hillstrom", "", "exposure"}), "hillstrom offers three, pooled");
  expect_contains(error({"hillstrom", "", "", {"visit"}}), "hillstrom offers recency");
  expect_contains(error({"paths", "", "", {"x"}}), "paths offers none");
  expect_contains(error({"jtpa", "", "", {"sex", "sex"}}), "given twice");
  expect_contains(error({"kuairand", "", "", {}, "is_like"}), "kuairand offers is_click");
  expect_contains(error({"jtpa", "", ""}), "no-such.csv: cannot be opened");
}

TEST_F(Datasets, PathsExpandToOneJourneyForEachThatWasCounted) {
  const std::string table = write("paths.csv.gz",
                                  "path,total_conversions,total_conversion_value,total_null\n"
                                  "eta > iota > eta,2,5,1\n"
                                  "iota,0,0,2\n"
                                  "beta,1,0.25,0\n"
                                  "eta,0,0,0\n");
  const ImportSummary summary = run({"paths", "", ""}, {table});
  EXPECT_EQ(summary.journeys, 6);
  EXPECT_EQ(summary.touches, 9 + 2 + 1);
  const Journeys journeys = log();
  EXPECT_EQ(schema().cluster_names, (Strings{"beta", "eta", "iota"}));
  EXPECT_EQ(journeys.touch_begin, (std::vector<int64_t>{0, 3, 6, 9, 10, 11, 12}));
  EXPECT_EQ(journeys.cluster, (std::vector<uint32_t>{1, 2, 1, 1, 2, 1, 1, 2, 1, 2, 2, 0}));
  EXPECT_EQ(journeys.outcome, (std::vector<float>{1, 1, 0, 0, 0, 1}));
  EXPECT_FALSE(schema().is_arm_log());
  EXPECT_FALSE(schema().time || schema().touch_time || schema().mediator || schema().outcome_time);
  const std::set<uint64_t> users(journeys.user.begin(), journeys.user.end());
  EXPECT_EQ(users.size(), 6u);

  run({"paths", "value", ""}, {table});
  EXPECT_EQ(log().outcome, (std::vector<float>{2.5, 2.5, 0, 0, 0, 0.25}));
  EXPECT_EQ(schema().outcome, OutcomeKind::continuous);
}

TEST_F(Datasets, PathsOfSeveralTablesStayJourneysOfTheirOwn) {
  const std::string head = "path,total_conversions,total_conversion_value,total_null\n";
  const std::string may = write("may.csv", head + "a > b,1,2,1\n");
  const std::string june = write("june.csv", head + "c,1,4,1\n");
  const ImportSummary summary = run({"paths", "", ""}, {may, june});
  EXPECT_EQ(summary.journeys, 4);
  const Journeys journeys = log();
  EXPECT_EQ(journeys.touch_begin, (std::vector<int64_t>{0, 2, 4, 5, 6}));
  EXPECT_EQ(journeys.cluster, (std::vector<uint32_t>{0, 1, 0, 1, 2, 2}));
  EXPECT_EQ(journeys.outcome, (std::vector<float>{1, 0, 1, 0}));
}

TEST_F(Datasets, APathThatIsNoneIsABadRow) {
  const std::string head = "path,total_conversions,total_conversion_value,total_null\na,1,1,1\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a > > b,1,1,0\n", "line 3, column 'path': 'a > > b' has a channel without a name"},
      {",1,1,0\n", "line 3, column 'path'"},
      {"a,-1,1,0\n", "line 3, column 'total_conversions': '-1' is not a count"},
      {"a,1.5,1,0\n", "'1.5' is not a count"},
      {"a,1,1,10000001\n", "line 3, column 'total_null': '10000001' is not a count"},
      {"a,1,x,0\n", "line 3, column 'total_conversion_value': 'x' is not a number"},
      {"a,1,1\n", "line 3: 3 fields where the header has 4"},
  };
  for (const auto& [row, expected] : cases) {
    const std::string table = write("bad.csv", head + row);
    expect_contains(error_of({"paths", "", ""}, {table}), expected);
    const ImportSummary summary = run({"paths", "", ""}, {table}, OnBadRow::skip);
    EXPECT_EQ(summary.journeys, 2);
    EXPECT_EQ(summary.rows_read - summary.rows_kept, 1);
  }
  expect_contains(error_of({"paths", "", ""}, {write("other.csv", "a,b\n1,2\n")}),
                  "no column is called 'path'; there are a, b");
}

const char* const kDisplays =
    "timestamp\tuid\tcampaign\tconversion\tconversion_timestamp\tconversion_"
    "id\tattribution\tclick\t"
    "click_pos\tclick_nb\tcost\tcpo\ttime_since_last_"
    "click\tcat1\tcat2\tcat3\tcat4\tcat5\tcat6\tcat7"
    "\tcat8\tcat9\n"
    "0\t7\t90\t1\t50\t300\t0\t1\t0\t2\t1e-5\t.39\t-1\t1\t2\t3\t4\t5\t6\t7\t8\t9\n"
    "3\t8\t91\t0\t-1\t-1\t0\t0\t-1\t-1\t1e-5\t.39\t20\t1\t2\t3\t4\t5\t6\t7\t8\t9\n"
    "5\t7\t91\t1\t50\t300\t1\t1\t1\t2\t1e-5\t.39\t5\t1\t2\t3\t4\t5\t6\t7\t8\t9\n"
    "6\t7\t90\t0\t-1\t-1\t0\t0\t-1\t-1\t1e-5\t.39\t-1\t1\t2\t3\t4\t5\t6\t7\t8\t9\n";

TEST_F(Datasets, CriteoAttributionGroupsTheDisplaysBeforeEachConversion) {
  const ImportSummary summary =
      run({"criteo-attribution", "", ""}, {write("criteo_attribution_dataset.tsv.gz", kDisplays)});
  EXPECT_EQ(summary.journeys, 3);
  const Journeys journeys = log();
  EXPECT_EQ(journeys.user, (std::vector<uint64_t>{7, 8, 7}));
  EXPECT_EQ(journeys.touch_begin, (std::vector<int64_t>{0, 2, 3, 4}));
  EXPECT_EQ(journeys.outcome, (std::vector<float>{1, 0, 0}));
  EXPECT_EQ(journeys.outcome_time, (std::vector<int64_t>{50000, -1, -1}));
  EXPECT_EQ(journeys.touch_time, (std::vector<int64_t>{0, 5000, 3000, 6000}));
  EXPECT_EQ(journeys.mediator, (std::vector<uint8_t>{1, 1, 0, 0}));
  EXPECT_EQ(schema().cluster_names, (Strings{"90", "91"}));
  EXPECT_EQ(schema().touch_cat, 9);
  EXPECT_TRUE(std::isnan(journeys.touch_dense[0]));
  EXPECT_EQ(journeys.touch_dense[1], 5);
}

TEST_F(Datasets, CriteoUpliftTakesExposureOrTheRandomisedTreatmentAsTheArm) {
  const std::string table =
      write("criteo-research-uplift-v2.1.csv.gz",
            "f0,f1,f2,f3,f4,f5,f6,f7,f8,f9,f10,f11,treatment,conversion,visit,exposure\n"
            "1,2,3,4,5,6,7,8,9,10,11,12.5,1,1,1,1\n"
            "1,2,3,4,5,6,7,8,9,10,11,-12.5,1,0,0,0\n"
            "1,2,3,4,5,6,7,8,9,10,11,0,0,0,1,0\n");
  run({"criteo-uplift", "", "", {"f11", "f0"}}, {table});
  Journeys journeys = log();
  EXPECT_EQ(schema().cluster_names, (Strings{"exposed", "not exposed"}));
  EXPECT_EQ(schema().reference_cluster, 1);
  EXPECT_EQ(journeys.cluster, (std::vector<uint32_t>{0, 1, 1}));
  EXPECT_EQ(journeys.mediator, (std::vector<uint8_t>{1, 0, 1}));
  EXPECT_EQ(journeys.outcome, (std::vector<float>{1, 0, 0}));
  EXPECT_EQ(journeys.randomised, (std::vector<uint8_t>{0, 0, 0}));
  EXPECT_EQ(journeys.dense, (std::vector<float>{12.5, 1, -12.5, 1, 0, 1}));

  run({"criteo-uplift", "", "treatment", {"all"}}, {table});
  journeys = log();
  EXPECT_EQ(schema().cluster_names, (Strings{"not treated", "treated"}));
  EXPECT_EQ(schema().reference_cluster, 0);
  EXPECT_EQ(journeys.cluster, (std::vector<uint32_t>{1, 1, 0}));
  EXPECT_EQ(journeys.randomised, (std::vector<uint8_t>{1, 1, 1}));
  EXPECT_EQ(schema().dense, 12);
}

TEST_F(Datasets, LazadaIsRandomisedInItsTestFileOnly) {
  const std::string head = "data_id,label,is_treat" + repeated(83, "f", "") + "\n";
  const std::string train =
      write("full_trainset.csv", head + "1,1,1" + repeated(83, "", "0.5") + "\n");
  const std::string test =
      write("full_testset.csv.gz", head + "1,0,0" + repeated(83, "", "2") + "\n");
  run({"lazada", "", "", {"all"}}, {train, test});
  const Journeys journeys = log();
  EXPECT_EQ(schema().cluster_names, (Strings{"not treated", "treated"}));
  EXPECT_EQ(journeys.cluster, (std::vector<uint32_t>{1, 0}));
  EXPECT_EQ(journeys.randomised, (std::vector<uint8_t>{0, 1}));
  EXPECT_EQ(journeys.outcome, (std::vector<float>{1, 0}));
  EXPECT_EQ(schema().dense, 83);
  EXPECT_EQ(journeys.dense[82], 0.5f);
  EXPECT_FALSE(schema().mediator);
  expect_contains(error_of({"lazada", "", ""}, {write("set.csv", head)}), "full_testset.csv");
}

TEST_F(Datasets, OpenBanditKeepsTheLoggedPropensities) {
  const std::string head =
      ",timestamp,item_id,position,click,propensity_score,user_feature_0,user_feature_1,"
      "user_feature_2,user_feature_3,user-item_affinity_0\n";
  write("random/men/item_context.csv", "item_id,item_feature_0\n0,1\n");
  write("random/men/men.csv",
        head +
            "0,2019-11-24 00:00:00.250000+00:00,3,1,0,0.25,81ce,ce5f,8ec3,0d0e,0.0\n"
            "1,2019-11-24 00:00:01+00:00,0,2,1,0.5,81ce,ce5f,8ec3,0d0e,0.0\n");
  const std::string bts = write(
      "bts/men/men.csv", head + "0,2019-11-24 00:00:02,3,1,0,0.125,81ce,ce5f,8ec3,0d0e,0.0\n");
  run({"open-bandit", "", "", {"position", "user_feature_2"}},
      {(folder_ / "random" / "men").string(), bts});
  const Journeys journeys = log();
  EXPECT_EQ(schema().cluster_names, (Strings{"0", "3"}));
  EXPECT_EQ(schema().reference_cluster, 0);
  EXPECT_EQ(journeys.cluster, (std::vector<uint32_t>{1, 0, 1}));
  EXPECT_EQ(journeys.propensity, (std::vector<float>{0.25, 0.5, 0.125}));
  EXPECT_EQ(journeys.randomised, (std::vector<uint8_t>{1, 1, 0}));
  EXPECT_EQ(journeys.touch_time,
            (std::vector<int64_t>{1574553600250, 1574553601000, 1574553602000}));
  EXPECT_EQ(journeys.cat[2], 2);
  EXPECT_EQ(journeys.cat[1], signed_label_id("8ec3"));
  expect_contains(error_of({"open-bandit", "", ""}, {bts, write("bts/all/all.csv", head)}),
                  "another campaign");
  expect_contains(error_of({"open-bandit", "", ""}, {write("men.csv", head)}), "random/CAMPAIGN/");
}

// KuaiRand-1K in small, with the published names.
class KuaiRand : public Datasets {
 protected:
  void SetUp() override {
    Datasets::SetUp();
    const std::string head =
        "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,"
        "is_hate,long_view,play_time_ms,duration_ms,profile_stay_time,comment_stay_time,"
        "is_profile_enter,is_rand,tab\n";
    standard_ = write("data/log_standard_4_08_to_4_21_1k.csv",
                      head +
                          "5,11,20220408,400,1649400000000,1,0,0,1,0,0,0,9000,10000,0,33,0,0,1\n"
                          "5,12,20220408,401,1649400060000,0,0,0,0,0,0,1,100,7000,0,0,1,0,1\n"
                          "6,99,20220409,1200,1649500000000,1,0,1,0,0,0,0,1,2,0,0,0,0,4\n");
    random_ = write("data/log_random_4_22_to_5_08_1k.csv.gz",
                    head + "6,12,20220422,0,1650600000000,0,0,0,0,1,0,0,1,7000,0,0,0,1,1\n");
    videos_ = write("data/video_features_basic_1k.csv",
                    "video_id,author_id,video_type,upload_dt,upload_type,visible_status,"
                    "video_duration,server_width,server_height,music_id,music_type,tag\n"
                    "12,1,AD,2022-04-01,Web,1,,720,1280,5,4,8\n"
                    "11,2,NORMAL,2022-04-01,ShortImport,1,10000.0,720,1280,5,4,\"12,65\"\n"
                    "13,2,NORMAL,2022-04-01,ShortImport,1,10000.0,720,1280,5,4,\n");
    users_ = write("data/user_features_1k.csv",
                   "user_id,user_active_degree,is_lowactive_period,is_live_streamer,"
                   "is_video_author,follow_user_num,follow_user_num_range,fans_user_num,"
                   "fans_user_num_range,friend_user_num,friend_user_num_range,register_days,"
                   "register_days_range" +
                       repeated(18, "onehot_feat", "") + "\n" +
                       "5,full_active,0,0,1,17,\"(10,50]\",3,\"[1,10)\",0,0,200,181-365" +
                       repeated(18, "", "2") + "\n" + "6,UNKNOWN,0,0,0,,500+,0,0,0,0,10,15-30" +
                       repeated(18, "", " ") + "\n");
  }
  std::string standard_, random_, videos_, users_;
};

TEST_F(KuaiRand, EachExposureCarriesItsVideoItsUserAndWhetherItWasRandom) {
  write("data/video_features_statistic_1k.csv", "video_id,counts\n11,3\n");
  const ImportSummary summary =
      run({"kuairand", "", "", {"user_active_degree", "follow_user_num", "onehot_feat3"}},
          {(folder_ / "data").string()});
  EXPECT_EQ(summary.journeys, 4);
  const Journeys journeys = log();
  // The folder is read in the order of its names: the random log first.
  EXPECT_EQ(schema().cluster_names, (Strings{"12", "8", "unknown"}));
  EXPECT_EQ(journeys.cluster, (std::vector<uint32_t>{1, 0, 1, 2}));
  EXPECT_EQ(journeys.user, (std::vector<uint64_t>{6, 5, 5, 6}));
  EXPECT_EQ(journeys.item, (std::vector<uint64_t>{12, 11, 12, 99}));
  EXPECT_EQ(journeys.randomised, (std::vector<uint8_t>{1, 0, 0, 0}));
  EXPECT_EQ(journeys.mediator, (std::vector<uint8_t>{0, 1, 0, 1}));
  EXPECT_EQ(journeys.outcome, (std::vector<float>{0, 1, 0, 0}));
  EXPECT_EQ(journeys.touch_time[1], 1649400000000);
  EXPECT_EQ(journeys.touch_dense, (std::vector<float>{7000, 10000, 7000, 2}));
  EXPECT_EQ(schema().touch_cat_names, (Strings{"tab", "video_type", "upload_type"}));
  EXPECT_EQ(journeys.touch_cat[1], signed_label_id("AD"));
  EXPECT_EQ(journeys.touch_cat[3 + 2], signed_label_id("ShortImport"));
  EXPECT_EQ(journeys.touch_cat[9 + 1], signed_label_id(""));  // a video without features
  EXPECT_EQ(schema().cat_names, (Strings{"user_active_degree", "onehot_feat3"}));
  EXPECT_EQ(journeys.cat[2], signed_label_id("full_active"));
  EXPECT_EQ(journeys.cat[3], 2);
  EXPECT_EQ(journeys.cat[1], signed_label_id(""));
  EXPECT_EQ(journeys.dense[1], 17);
  EXPECT_TRUE(std::isnan(journeys.dense[0]));
  ASSERT_EQ(dataset_.notes.size(), 1u);
  expect_contains(dataset_.notes[0], "counts outcomes");
}

TEST_F(KuaiRand, OutcomeAndMediatorAreChosen) {
  run({"kuairand", "is_forward", "", {}, "long_view"}, {random_, standard_, videos_});
  Journeys journeys = log();
  EXPECT_EQ(journeys.outcome, (std::vector<float>{1, 0, 0, 0}));
  EXPECT_EQ(journeys.mediator, (std::vector<uint8_t>{0, 0, 1, 0}));
  run({"kuairand", "is_follow", "", {}, "comment_stay"}, {standard_, videos_});
  journeys = log();
  EXPECT_EQ(journeys.outcome, (std::vector<float>{0, 0, 1}));
  EXPECT_EQ(journeys.mediator, (std::vector<uint8_t>{1, 0, 0}));
  expect_contains(dataset_.notes.at(0), "no exposure of this log was randomised");
}

TEST_F(KuaiRand, AWindowHoldsADayOfExposuresAndTheOutcomesOfTheNext) {
  // User 5 saw two videos on the 8th and commented on the first; what it does on the 9th is the
  // outcome. Times are UTC: 1649400000000 is 2022-04-08 06:40.
  const std::string head =
      "user_id,video_id,time_ms,is_click,is_comment,duration_ms,"
      "comment_stay_time,is_rand,tab\n";
  const std::string log =
      write("log_standard_4_08_to_4_21_1k.csv", head +
                                                    "5,11,1649400000000,1,1,7,0,0,1\n"
                                                    "5,12,1649400060000,0,0,7,0,0,1\n"
                                                    "5,11,1649490000000,0,1,7,3,0,1\n"
                                                    "6,12,1649490000000,0,0,7,0,0,1\n"
                                                    "6,12,1649900000000,0,0,7,0,0,1\n");
  run({"kuairand", "", "", {}, "", "window"}, {log, videos_});
  const Journeys journeys = this->log();
  ASSERT_EQ(journeys.size(), 3);
  std::map<std::pair<uint64_t, int64_t>, std::pair<float, int64_t>> found;
  for (int64_t row = 0; row < 3; ++row) {
    const auto at = static_cast<size_t>(row);
    found[{journeys.user[at], journeys.time[at]}] = {journeys.outcome[at],
                                                     journeys.touches_of(row)};
  }
  const int64_t ninth = 1649462400000, tenth = ninth + 86400000;
  EXPECT_EQ(found.at({5, ninth}), (std::pair<float, int64_t>{1, 2}));
  EXPECT_EQ(found.at({5, tenth}), (std::pair<float, int64_t>{0, 1}));
  EXPECT_EQ(found.at({6, tenth}), (std::pair<float, int64_t>{0, 1}));
  EXPECT_EQ(schema().outcome, OutcomeKind::binary);
}

TEST_F(KuaiRand, MissingAndForeignFilesAreNamed) {
  expect_contains(error_of({"kuairand", "", ""}, {standard_}),
                  "kuairand lacks video_features_basic_1k.csv, which lies beside " + standard_);
  expect_contains(error_of({"kuairand", "", "", {"all"}}, {standard_, videos_}),
                  "kuairand lacks user_features_1k.csv");
  expect_contains(error_of({"kuairand", "", ""}, {videos_}), "at least one log");
  fs::create_directories(folder_ / "copy");
  const fs::path copy = folder_ / "copy" / fs::path(standard_).filename();
  fs::copy_file(standard_, copy);
  expect_contains(error_of({"kuairand", "", ""}, {standard_, copy.string(), videos_}),
                  copy.string() + ": has the name of " + standard_);
  const std::string pure = write("log_standard_4_08_to_4_21_pure.csv", "a\n");
  expect_contains(error_of({"kuairand", "", ""}, {standard_, pure}),
                  "KuaiRand-pure among files of KuaiRand-1k");
  expect_contains(error_of({"kuairand", "", ""}, {write("log_standard.csv", "a\n")}),
                  "is no file of KuaiRand");
}

TEST_F(KuaiRand, AListOfCategoriesTakesThePlaceOfTheTags) {
  const std::string list = write("kuairand_video_categories.csv",
                                 "final_video_id,first_level_category_id,second_level_category_id\n"
                                 "12,3,30\n11,-124,40\n99,7,-124\n");
  dataset_ = open_dataset({"kuairand", "", "", {}, "", "", true}, {random_, standard_});
  ClusterChoice clusters{list, 0, "first_level_category_id"};
  clusters.unknown = dataset_.unknown_clusters;
  dataset_.mapping.cluster_table = read_clusters(clusters);
  import_tables(dataset_.tables, dataset_.mapping, (folder_ / "out").string(), {});
  const Journeys journeys = log();
  EXPECT_EQ(schema().cluster_names, (Strings{"3", "7", "unknown"}));
  EXPECT_EQ(journeys.cluster, (std::vector<uint32_t>{0, 2, 0, 1}));
  EXPECT_EQ(schema().touch_cat_names, (Strings{"tab"}));
}

// Folder of the real files: ALM_DATA. Without it these tests skip, or fail when ALM_REQUIRE wants
// them.
class RealData : public Datasets {
 protected:
  void SetUp() override {
    Datasets::SetUp();
    const char* data = std::getenv("ALM_DATA");
    if (data != nullptr) {
      data_ = data;
      return;
    }
    const char* required = std::getenv("ALM_REQUIRE");
    if (required != nullptr && std::string(required).find("real-data") != std::string::npos) {
      FAIL() << "ALM_REQUIRE wants real-data, but ALM_DATA does not name its folder";
    }
    GTEST_SKIP() << "ALM_DATA does not name the folder of the real data sets";
  }
  std::string jtpa() const { return (data_ / "jtpa" / "jtpa.csv").string(); }
  std::string hillstrom() const { return (data_ / "hillstrom" / "hillstrom.csv").string(); }

  fs::path data_;
};

TEST_F(RealData, JtpaHasThePublishedCountsRatesAndEffect) {
  const ImportSummary summary = run({"jtpa", "", ""}, {jtpa()});
  EXPECT_EQ(summary.rows_read, 11204);
  EXPECT_EQ(summary.rows_kept, 11204);
  ASSERT_EQ(summary.clusters.size(), 2u);
  EXPECT_EQ(summary.clusters[0].name, "no offer");
  EXPECT_EQ(summary.clusters[1].name, "offer");
  EXPECT_NEAR(summary.clusters[0].mediator_rate, 0.0145, 5e-5);
  EXPECT_NEAR(summary.clusters[1].mediator_rate, 0.6416, 5e-5);
  EXPECT_NEAR(summary.clusters[1].mean_outcome - summary.clusters[0].mean_outcome, 1159.4, 0.05);
  const Journeys journeys = log();
  EXPECT_EQ(schema().outcome, OutcomeKind::continuous);
  EXPECT_EQ(schema().reference_cluster, 0);
  EXPECT_EQ(journeys.user[0], 300001u);
  EXPECT_EQ(journeys.outcome[0], 1353.0f);
  EXPECT_EQ(std::count(journeys.randomised.begin(), journeys.randomised.end(), 1), 11204);
}

TEST_F(RealData, JtpaBySexHasThePublishedEffects) {
  run({"jtpa", "", "", {"sex", "age", "prevearn", "site"}}, {jtpa()});
  const Journeys journeys = log();
  EXPECT_EQ(schema().cat_names, (Strings{"sex", "site"}));
  EXPECT_EQ(schema().dense_names, (Strings{"age", "prevearn"}));
  EXPECT_EQ(journeys.dense[0], 46.0f);
  double sums[2][2] = {}, counts[2][2] = {};
  for (size_t row = 0; row < journeys.user.size(); ++row) {
    const int64_t sex = journeys.cat[2 * row];
    sums[sex][journeys.cluster[row]] += journeys.outcome[row];
    counts[sex][journeys.cluster[row]] += 1;
  }
  EXPECT_EQ(counts[1][0] + counts[1][1], 5102);  // men
  EXPECT_EQ(counts[0][0] + counts[0][1], 6102);
  EXPECT_NEAR(sums[1][1] / counts[1][1] - sums[1][0] / counts[1][0], 1116.6, 0.05);
  EXPECT_NEAR(sums[0][1] / counts[0][1] - sums[0][0] / counts[0][0], 1242.6, 0.05);
}

TEST_F(RealData, HillstromHasThePublishedArmsAndRates) {
  const ImportSummary summary = run({"hillstrom", "", "three"}, {hillstrom()});
  EXPECT_EQ(summary.rows_kept, 64000);
  ASSERT_EQ(summary.clusters.size(), 3u);
  const char* names[] = {"Mens E-Mail", "No E-Mail", "Womens E-Mail"};
  const int64_t rows[] = {21307, 21306, 21387};
  const double visits[] = {.18276, .10617, .15140};
  const double conversions[] = {.01253, .00573, .00884};
  for (size_t arm = 0; arm < 3; ++arm) {
    EXPECT_EQ(summary.clusters[arm].name, names[arm]);
    EXPECT_EQ(summary.clusters[arm].touches, rows[arm]);
    EXPECT_NEAR(summary.clusters[arm].mediator_rate, visits[arm], 5e-6);
    EXPECT_NEAR(summary.clusters[arm].mean_outcome, conversions[arm], 5e-6);
  }
  log();
  EXPECT_EQ(schema().reference_cluster, 1);
  EXPECT_EQ(schema().outcome, OutcomeKind::binary);
}

TEST_F(RealData, HillstromSpendWithPooledArmsAndAllCovariates) {
  const ImportSummary summary = run({"hillstrom", "spend", "pooled", {"all"}}, {hillstrom()});
  ASSERT_EQ(summary.clusters.size(), 2u);
  EXPECT_EQ(summary.clusters[0].name, "E-Mail");
  EXPECT_EQ(summary.clusters[0].touches, 21307 + 21387);
  EXPECT_NEAR(summary.clusters[0].mean_outcome, (21307 * 1.42262 + 21387 * 1.07720) / 42694, 1e-5);
  EXPECT_NEAR(summary.clusters[1].mean_outcome, .65279, 5e-6);
  const Journeys journeys = log();
  EXPECT_EQ(schema().outcome, OutcomeKind::continuous);
  EXPECT_EQ(schema().cat, 7);
  EXPECT_EQ(schema().dense, 1);
  EXPECT_EQ(journeys.dense[0], 142.44f);
  EXPECT_EQ(journeys.cat[0], 10);
  EXPECT_EQ(journeys.cat[1], signed_label_id("2) $100 - $200"));
}

TEST_F(RealData, StarbucksHasThePublishedCountsInBothFilesAndNoMediator) {
  const struct {
    const char* file;
    int64_t rows[2];
    double bought[2];
  } cases[] = {{"starbucks_training.csv.gz", {42170, 42364}, {319, 721}},
               {"starbucks_test.csv.gz", {20902, 20748}, {141, 339}}};
  for (const auto& [file, rows, bought] : cases) {
    const ImportSummary summary =
        run({"starbucks", "", "", {"all"}}, {(data_ / "starbucks_promo" / file).string()});
    ASSERT_EQ(summary.clusters.size(), 2u);
    EXPECT_EQ(summary.clusters[0].name, "no promotion");
    for (size_t arm = 0; arm < 2; ++arm) {
      EXPECT_EQ(summary.clusters[arm].touches, rows[arm]);
      EXPECT_NEAR(summary.clusters[arm].mean_outcome * static_cast<double>(rows[arm]), bought[arm],
                  1e-6);
    }
    EXPECT_FALSE(summary.schema.mediator);
    EXPECT_EQ(summary.schema.cat, 5);
    EXPECT_EQ(summary.schema.dense, 2);
  }
}

TEST_F(RealData, PathsHaveTheSumsOfTheFile) {
  const std::string file = (data_ / "mta_paths" / "paths.csv").string();
  ImportSummary summary = run({"paths", "", ""}, {file});
  EXPECT_EQ(summary.journeys, 19785 + 68602);
  EXPECT_EQ(summary.clusters.size(), 12u);
  // Counted by awk: 'NR>1{n=split($1,c," > "); t+=n*($2+$4); for(i=1;i<=n;i++)k[c[i]]+=$2+$4}'.
  EXPECT_EQ(summary.touches, 378209);
  const std::map<std::string, int64_t> touches = {
      {"alpha", 159556}, {"beta", 41018}, {"delta", 42},    {"epsilon", 6219},
      {"eta", 43383},    {"gamma", 1788}, {"iota", 76162},  {"kappa", 2961},
      {"lambda", 19875}, {"mi", 15},      {"theta", 22832}, {"zeta", 4358}};
  for (const ImportSummary::Cluster& channel : summary.clusters) {
    EXPECT_EQ(channel.touches, touches.at(channel.name)) << channel.name;
  }
  EXPECT_NEAR(summary.mean_outcome * static_cast<double>(summary.journeys), 19785, 1e-6);
  summary = run({"paths", "value", ""}, {file});
  EXPECT_NEAR(summary.mean_outcome * static_cast<double>(summary.journeys), 74802.97, 0.005);
}

}  // namespace
}  // namespace alm::io
