// Open Bandit (ZOZOTOWN): items shown by a random or a Thompson sampling policy with the logged
// probability of each, and a click. Nothing between exposure and click is known.
#include <algorithm>
#include <filesystem>

#include "io/datasets/spec.h"
#include "io/row_maker.h"
#include "kernels/base/check.h"

namespace alm::io {

namespace {

// Of the published layout {random,bts}/{all,men,women}/{all,men,women}.csv.
std::string is_randomised(const std::string& path) {
  for (const std::filesystem::path& part : std::filesystem::path(path)) {
    if (part == "random") return "1";
    if (part == "bts") return "0";
  }
  throw UserError(path +
                  ": open-bandit lies in random/CAMPAIGN/ or bts/CAMPAIGN/, and the folder " +
                  "says which policy showed the items");
}

class BanditRows : public AddedColumns {
 public:
  BanditRows(const std::string& path, const std::vector<std::string>& header)
      : AddedColumns(header, {"timestamp_utc", "randomised"}),
        time_(field_of(path, header, "timestamp")),
        randomised_(is_randomised(path)) {}

 private:
  void fill(std::span<const std::string_view> record, int64_t) override {
    std::string_view time = record[time_];
    if (time.ends_with("+00:00")) time.remove_suffix(6);
    added(0) = time;
    added(1) = randomised_;
  }

  size_t time_;
  std::string randomised_;
};

}  // namespace

DatasetSpec open_bandit_dataset() {
  DatasetSpec spec;
  spec.name = "open-bandit";
  spec.mapping =
      "[file]\n"
      "form = journey\n"
      "reference_arm = 0\n"
      "[columns]\n"
      "cluster = item_id\n"
      "touch_time = timestamp_utc\n"
      "propensity = propensity_score\n"
      "randomised = randomised\n"
      "outcome = click\n";
  spec.outcomes = {"click"};
  spec.cat = {"position", "user_feature_0", "user_feature_1", "user_feature_2", "user_feature_3"};
  spec.complete = [](const DatasetChoice&, Dataset& dataset) {
    std::erase_if(dataset.tables,
                  [](const std::string& table) { return table_stem(table) == "item_context"; });
    for (const std::string& table : dataset.tables) {
      is_randomised(table);
      if (table_stem(table) == table_stem(dataset.tables[0])) continue;
      throw UserError(table + ": is another campaign than " + dataset.tables[0] +
                      "; their item numbers mean different items, so import them apart");
    }
    if (dataset.tables.empty()) {
      throw UserError("open-bandit needs a log such as random/all/all.csv in --in");
    }
    dataset.mapping.make_rows = row_makers<BanditRows>();
    dataset.notes.push_back(
        "no user is named, so every exposure is a user of its own and standard errors are too "
        "small "
        "where one person saw several");
  };
  return spec;
}

}  // namespace alm::io
