// KuaiRand (1K, 27K, Pure): videos shown by 15 policies, some replaced at random, with what the
// user did. Video and user features are joined by id.
#include <algorithm>
#include <map>

#include "io/cluster_fit.h"
#include "io/datasets/spec.h"
#include "io/field.h"
#include "io/id_table.h"
#include "io/row_maker.h"
#include "kernels/base/check.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

constexpr int64_t kDay = 86'400'000;  // milliseconds

const char* const kSizes[] = {"1k", "27k", "pure"};

// The files of one of the three releases, by what they are.
struct Files {
  std::string size;
  std::vector<std::string> logs;
  std::vector<std::string> videos;
  std::vector<std::string> users;
  bool has_random = false;
};

std::string size_of(const std::string& stem) {
  for (const std::string& part : split(stem, '_')) {
    for (const char* size : kSizes) {
      if (part == size) return size;
    }
  }
  return "";
}

Files sorted_out(const std::vector<std::string>& tables, std::vector<std::string>& notes) {
  Files files;
  for (const std::string& path : tables) {
    const std::string stem = table_stem(path);
    const auto begins = [&](const char* with) { return stem.starts_with(with); };
    if (begins("video_features_statistic") || begins("kuairand_video_")) {
      notes.push_back(path + (begins("kuairand_video_")
                                  ? " is not joined here; --cluster-file takes it"
                                  : " counts outcomes over the whole month and is left out"));
      continue;
    }
    const std::string size = size_of(stem);
    std::vector<std::string>* list = begins("log_standard") || begins("log_random") ? &files.logs
                                     : begins("video_features_basic")               ? &files.videos
                                     : begins("user_features")                      ? &files.users
                                                                                    : nullptr;
    if (list == nullptr || size.empty()) {
      throw UserError(path + ": is no file of KuaiRand; it has log_standard_*, log_random_*, " +
                      "video_features_basic_* and user_features_*, each with _1k, _27k or _pure");
    }
    if (!files.size.empty() && size != files.size) {
      throw UserError(path + ": is of KuaiRand-" + size + " among files of KuaiRand-" + files.size +
                      "; each release numbers users and videos anew, so import them apart");
    }
    const auto twin = std::find_if(list->begin(), list->end(), [&](const std::string& earlier) {
      return table_stem(earlier) == stem;
    });
    if (twin != list->end()) {  // journeys are told apart by the names of their tables
      throw UserError(path + ": has the name of " + *twin + "; give one of them");
    }
    files.size = size;
    files.has_random = files.has_random || begins("log_random");
    list->push_back(path);
  }
  if (files.logs.empty()) {
    throw UserError(
        "kuairand needs at least one log in --in, such as "
        "log_standard_4_22_to_5_08_pure.csv of KuaiRand-Pure/data");
  }
  return files;
}

[[noreturn]] void lacks(const char* file, const Files& files, const std::string& instead) {
  throw UserError(format("kuairand lacks %s_%s.csv, which lies beside %s: add it to --in, %s", file,
                         files.size.c_str(), files.logs[0].c_str(), instead.c_str()));
}

std::string_view first_of_list(std::string_view text) {
  return text.substr(0, text.find(','));
}

// A join: the columns of a table that a row's id brings along.
struct Join {
  std::string key;
  std::vector<std::string> columns;
  IdTable table;
};
using Joins = std::vector<std::shared_ptr<const Join>>;

std::shared_ptr<const Join> load_join(const std::string& key, const std::vector<std::string>& paths,
                                      const std::vector<IdColumn>& columns) {
  std::vector<std::string> names;
  for (const IdColumn& column : columns) names.push_back(column.name);
  return std::make_shared<Join>(Join{key, names, load_id_table(paths, key, columns)});
}

std::vector<std::string> added_names(const Joins& joins) {
  std::vector<std::string> names = {"journey", "comment_stay"};
  for (const auto& join : joins) {
    names.insert(names.end(), join->columns.begin(), join->columns.end());
  }
  return names;
}

class ExposureRows : public AddedColumns {
 public:
  ExposureRows(const std::string& path, const std::vector<std::string>& header, const Joins& joins)
      : AddedColumns(header, added_names(joins)),
        stem_(table_stem(path)),
        stay_(field_of(path, header, "comment_stay_time")),
        joins_(joins) {
    for (const auto& join : joins) keys_.push_back(field_of(path, header, join->key));
  }

 private:
  void fill(std::span<const std::string_view> record, int64_t line) override {
    key_ = format("%s:%lld", stem_.c_str(), static_cast<long long>(line));
    added(0) = key_;
    const std::optional<int64_t> stay = parse_whole(record[stay_]);
    if (!stay) reject("comment_stay_time", record[stay_], "is no whole number");
    added(1) = *stay > 0 ? "1" : "0";
    size_t column = 2;
    for (size_t number = 0; number < joins_.size(); ++number) {
      const Join& join = *joins_[number];
      const std::optional<size_t> row = join.table.find(label_id(record[keys_[number]]));
      for (size_t part = 0; part < join.columns.size(); ++part, ++column) {
        added(column) = row ? join.table.text(*row, part) : std::string_view();
        if (join.columns[part] == "tag" && added(column).empty()) added(column) = kUnknownCluster;
      }
    }
  }

  std::string stem_;
  size_t stay_;
  Joins joins_;
  std::vector<size_t> keys_;
  std::string key_;
};

void complete(const DatasetChoice& choice, Dataset& dataset) {
  const Files files = sorted_out(dataset.tables, dataset.notes);
  dataset.tables = files.logs;
  Mapping& mapping = dataset.mapping;
  Joins joins;

  if (!files.videos.empty()) {
    joins.push_back(load_join("video_id", files.videos,
                              {{"tag", first_of_list}, {"video_type"}, {"upload_type"}}));
    mapping.columns["touch_cat"] = {"tab", "video_type", "upload_type"};
  } else if (!choice.own_clusters) {
    lacks("video_features_basic", files, "or name the cluster of each video by --cluster-file");
  }
  if (choice.own_clusters) {
    mapping.columns["cluster"] = {"video_id"};
    dataset.unknown_clusters = {"-124", "-124.0"};  // of the published lists of categories
  }

  std::vector<IdColumn> features;
  for (const char* key : {"cat", "dense"}) {
    const auto found = mapping.columns.find(key);
    if (found == mapping.columns.end()) continue;
    for (const std::string& name : found->second) features.push_back({name});
  }
  if (!features.empty()) {
    if (files.users.empty()) lacks("user_features", files, "or import with --covariates none");
    joins.push_back(load_join("user_id", files.users, features));
  }

  if (choice.unit == "window") {
    // A journey is what a user saw in a day before the day in which outcomes are looked for.
    mapping.form = RowForm::event;
    mapping.window = WindowRule{kDay, kDay, kDay, {}};
    mapping.columns.erase("journey");
    mapping.missing[choice.outcome] = {"0"};
  }

  mapping.make_rows = [joins](const std::string& path, const std::vector<std::string>& header) {
    return std::make_unique<ExposureRows>(path, header, joins);
  };
  if (!files.has_random) {
    dataset.notes.push_back(
        "no log_random file was given, so no exposure of this log was randomised");
  }
}

}  // namespace

DatasetSpec kuairand_dataset() {
  DatasetSpec spec;
  spec.name = "kuairand";
  spec.mapping =
      "[file]\n"
      "form = touch\n"
      "[columns]\n"
      "journey = journey\n"
      "user = user_id\n"
      "cluster = tag\n"
      "item = video_id\n"
      "touch_time = time_ms\n"
      "touch_dense = duration_ms\n"
      "touch_cat = tab\n"
      "mediator = is_click\n"
      "randomised = is_rand\n"
      "outcome = is_comment\n";
  spec.outcomes = {"is_comment", "is_forward", "is_follow"};
  spec.units = {"exposure", "window"};
  spec.mediators = {"is_click", "long_view", "is_profile_enter", "comment_stay"};
  spec.cat = {"user_active_degree",    "is_lowactive_period",   "is_live_streamer",
              "is_video_author",       "follow_user_num_range", "fans_user_num_range",
              "friend_user_num_range", "register_days_range"};
  const std::vector<std::string> encrypted = numbered("onehot_feat", 18);
  spec.cat.insert(spec.cat.end(), encrypted.begin(), encrypted.end());
  spec.dense = {"follow_user_num", "fans_user_num", "friend_user_num", "register_days"};
  spec.complete = complete;
  return spec;
}

}  // namespace alm::io
