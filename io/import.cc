#include "io/import.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <numeric>
#include <optional>
#include <unordered_map>
#include <utility>

#include "io/csv.h"
#include "io/log_writer.h"
#include "io/schema.h"
#include "kernels/base/check.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kWriteRows = 4096;  // journeys handed to the writer at once
constexpr uint8_t kUnknownBinary = 255;
constexpr int64_t kNoTime = -1;

size_t at(int64_t index) {
  return static_cast<size_t>(index);
}

// A column of the table that feeds one of the log.
struct Source {
  std::string name;
  size_t field = 0;                  // in the table being read
  std::vector<std::string> missing;  // texts that mean "unknown", besides the empty one
};

// Why a row cannot be taken; caught where rows are counted.
struct BadRow {
  std::string column;  // empty: the row as a whole
  std::string value;   // "'abc'"; empty: not worth showing
  std::string what;    // "is not a number"
};

[[noreturn]] void reject(const std::string& column, std::string_view value, const char* what) {
  throw BadRow{column, value.empty() ? "" : "'" + std::string(value.substr(0, 80)) + "'", what};
}

// Numbers of texts in the order of their first appearance.
class Names {
 public:
  uint32_t number(const std::string& name) {
    const auto [found, is_new] = numbers_.emplace(name, static_cast<uint32_t>(names_.size()));
    if (is_new) names_.push_back(name);
    return found->second;
  }
  const std::vector<std::string>& names() const { return names_; }

 private:
  std::unordered_map<std::string, uint32_t> numbers_;
  std::vector<std::string> names_;
};

// Whole numbers by size, else bytewise.
void sort_names(std::vector<std::string>& names) {
  const bool whole = std::all_of(names.begin(), names.end(), [](const std::string& name) {
    return parse_whole(name).has_value();
  });
  std::sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
    if (!whole) return a < b;
    return std::pair(*parse_whole(a), a) < std::pair(*parse_whole(b), b);
  });
}

// Takes in the rows of all tables and then writes them as journeys.
class Importer {
 public:
  Importer(const Mapping& mapping, OnBadRow on_bad_row)
      : mapping_(mapping), on_bad_row_(on_bad_row) {
    for_each_column([&](const auto& column) {
      for (const MappingKey& key : mapping_keys()) {
        if (std::strcmp(key.path, column.path) != 0 || !mapping_.has(key.name)) continue;
        keys_[at(column.slot)] = &key;
        for (const std::string& name : mapping_.columns.at(key.name)) {
          sources_[at(column.slot)].push_back(source(name));
        }
        if (column.is_matrix()) {
          schema_.*column.columns = static_cast<int64_t>(sources_[at(column.slot)].size());
        } else if (column.present != nullptr) {
          schema_.*column.present = true;
        }
      }
    });
    if (mapping_.touch_form) {
      key_ = source(mapping_.columns.at(mapping_.has("journey") ? "journey" : "user")[0]);
    }
    set_names("dense", schema_.dense_names);
    set_names("cat", schema_.cat_names);
    set_names("touch_dense", schema_.touch_dense_names);
    set_names("touch_cat", schema_.touch_cat_names);
    set_names("proxy", schema_.proxy_names);
    for (const std::string& proxy : schema_.proxy_names) {
      const bool leaky =
          std::find(mapping_.leaky.begin(), mapping_.leaky.end(), proxy) != mapping_.leaky.end();
      schema_.proxy_leaky.push_back(leaky ? 1 : 0);
    }
  }

  void read(const std::string& path) {
    path_ = path;
    size_t columns = 0;  // of the header
    const char separator = mapping_.separator != 0 ? mapping_.separator : csv_separator(path);
    read_csv(path, separator, [&](std::span<const std::string_view> fields, int64_t line) {
      if (columns == 0) {
        find_columns(fields, line);
        columns = fields.size();
      } else {
        take_row(fields, columns, line);
      }
    });
    if (columns == 0) throw UserError(path + ": is empty; its first line should name the columns");
  }

  ImportSummary write(const std::string& out, int64_t rows_per_file) {
    count_rows();
    const int64_t journeys = summary_.journeys;
    if (journeys == 0) {
      throw UserError(format("%s: no row is left to import (%s read)", path_.c_str(),
                             with_commas(summary_.rows_read).c_str()));
    }
    order_touches();
    number_clusters();
    choose_outcome_kind();
    summary_.schema = schema_;
    int64_t journey = 0;  // of those taken in, dropped ones included
    for (int64_t file = 0; file * rows_per_file < journeys; ++file) {
      const std::string path = (fs::path(out) / log_file_name(file)).string();
      const int64_t rows = std::min(rows_per_file, journeys - file * rows_per_file);
      LogWriter writer(path, schema_, rows, Codec::deflate);
      Journeys part;
      for (int64_t row = 0; row < rows; ++row, ++journey) {
        while (dropped_[at(journey)] != 0) ++journey;
        append_journey(journey, part);
        if (part.size() == kWriteRows || row + 1 == rows) {
          writer.append(part);
          part.clear();
        }
      }
      writer.finish();
      summary_.files.push_back(path);
    }
    describe_clusters();
    return std::move(summary_);
  }

 private:
  Source source(const std::string& name) const {
    Source made;
    made.name = name;
    for (const std::string& from : {std::string("*"), name}) {
      const auto found = mapping_.missing.find(from);
      if (found == mapping_.missing.end()) continue;
      made.missing.insert(made.missing.end(), found->second.begin(), found->second.end());
    }
    return made;
  }

  void set_names(const char* key, std::vector<std::string>& names) const {
    if (mapping_.has(key)) names = mapping_.columns.at(key);
  }

  void find_columns(std::span<const std::string_view> header, int64_t line) {
    const auto find = [&](Source& wanted) {
      const auto found = std::find(header.begin(), header.end(), wanted.name);
      if (found == header.end()) {
        throw UserError(format("%s, line %lld: no column is called '%s'; there are %s",
                               path_.c_str(), static_cast<long long>(line), wanted.name.c_str(),
                               join({header.begin(), header.end()}, ", ").substr(0, 400).c_str()));
      }
      if (std::find(found + 1, header.end(), wanted.name) != header.end()) {
        throw UserError(format("%s, line %lld: two columns are called '%s'", path_.c_str(),
                               static_cast<long long>(line), wanted.name.c_str()));
      }
      wanted.field = static_cast<size_t>(found - header.begin());
    };
    for (std::vector<Source>& sources : sources_)
      std::for_each(sources.begin(), sources.end(), find);
    if (mapping_.touch_form) find(key_);
  }

  static bool is_missing(const Source& from, std::string_view text) {
    return text.empty() ||
           std::find(from.missing.begin(), from.missing.end(), text) != from.missing.end();
  }

  // --- one row
  // ------------------------------------------------------------------------------------

  void take_row(std::span<const std::string_view> fields, size_t columns, int64_t line) {
    ++summary_.rows_read;
    int64_t journey = -1;
    try {
      if (fields.size() != columns) {
        throw BadRow{"", format("%zu fields", fields.size()),
                     format("where the header has %zu", columns)};
      }
      if (mapping_.touch_form) journey = find_journey(fields[key_.field], line);
      parse_row(fields);
      check_times();
      if (journey < 0 || first_rows_[at(journey)].empty) {
        if (journey < 0) journey = add_journey(line);
        store_journey(journey);
      } else {
        check_constant(journey);
      }
      store_touch(journey);
    } catch (const BadRow& bad) {
      count_bad(bad, journey, line);
    }
  }

  void count_bad(const BadRow& bad, int64_t journey, int64_t line) {
    const std::string where = bad.column.empty() ? "" : format("column '%s'", bad.column.c_str());
    const std::string message =
        format("%s, line %lld%s%s: %s%s%s", path_.c_str(), static_cast<long long>(line),
               where.empty() ? "" : ", ", where.c_str(), bad.value.c_str(),
               bad.value.empty() ? "" : " ", bad.what.c_str());
    if (on_bad_row_ == OnBadRow::fail) {
      throw UserError(message + " (--on-bad-row skip leaves such rows out)");
    }
    if (summary_.first_bad_row.empty()) summary_.first_bad_row = message;
    const std::string reason =
        where.empty() ? "number of fields differs from the header" : where + " " + bad.what;
    ++summary_.dropped[reason];
    if (journey < 0) return;
    dropped_[at(journey)] = 1;
    ++bad_rows_of_journeys_;
  }

  // The journey of a row in form = touch, made when it is new.
  int64_t find_journey(std::string_view text, int64_t line) {
    if (is_missing(key_, text)) reject(key_.name, text, "is missing");
    const auto [found, is_new] = journey_of_key_.emplace(std::string(text), journey_count());
    if (is_new) add_journey(line);
    ++rows_[at(found->second)];
    return found->second;
  }

  int64_t journey_count() const { return static_cast<int64_t>(dropped_.size()); }

  // A journey without values yet; they come with its first good row.
  int64_t add_journey(int64_t line) {
    first_rows_.push_back({path_number(), line, summary_.rows_read - 1, true});
    dropped_.push_back(0);
    rows_.push_back(mapping_.touch_form ? 0 : 1);
    for_each_column([&](const auto& column) {
      if (column.scope != Scope::journey) return;
      auto& values = flat_.*column.values;
      values.resize(values.size() + at(column.width(schema_)));
    });
    return journey_count() - 1;
  }

  int64_t path_number() {
    if (paths_.empty() || paths_.back() != path_) paths_.push_back(path_);
    return static_cast<int64_t>(paths_.size()) - 1;
  }

  // Fills row_ with the one journey and at most one touch of this row.
  void parse_row(std::span<const std::string_view> fields) {
    row_.clear();
    const std::vector<Source>& cluster = sources_[at(kClusterSlot)];
    // A row of form = touch that names no cluster tells of a journey but of no touch.
    has_touch_ = !mapping_.touch_form || !is_missing(cluster[0], fields[cluster[0].field]);
    for_each_column([&](const auto& column) {
      if (column.scope == Scope::touch && !has_touch_) return;
      using T = typename std::decay_t<decltype(row_.*column.values)>::value_type;
      for (const Source& from : sources_[at(column.slot)]) {
        (row_.*column.values)
            .push_back(parse<T>(*keys_[at(column.slot)], from, fields[from.field]));
      }
    });
  }

  template <class T>
  T parse(const MappingKey& key, const Source& from, std::string_view text) {
    const bool missing = is_missing(from, text);
    if (missing && key.when_missing == WhenMissing::bad_row) {
      reject(from.name, text, "is missing");
    }
    if constexpr (std::is_same_v<T, float>) {
      if (missing) return std::numeric_limits<float>::quiet_NaN();
      return parse_float(key, from, text);
    } else if constexpr (std::is_same_v<T, uint8_t>) {
      if (missing) return kUnknownBinary;
      const std::optional<uint8_t> value = parse_binary(text);
      if (!value) reject(from.name, text, "is not 0 or 1");
      return *value;
    } else if constexpr (std::is_same_v<T, uint32_t>) {
      const auto renamed = mapping_.clusters.find(std::string(text));
      return clusters_.number(renamed == mapping_.clusters.end() ? std::string(text)
                                                                 : renamed->second);
    } else if constexpr (std::is_same_v<T, uint64_t>) {
      return label_id(text);
    } else {
      // All texts of "unknown" are one level.
      if (key.kind == FieldKind::label) return signed_label_id(missing ? "" : text);
      if (missing) return kNoTime;
      const std::optional<int64_t> value = parse_time(text, mapping_.time_unit);
      if (!value) reject(from.name, text, "is not a time");
      return *value;
    }
  }

  float parse_float(const MappingKey& key, const Source& from, std::string_view text) const {
    std::optional<float> value = parse_number(text);
    if (!value && key.kind == FieldKind::outcome) {
      if (const std::optional<uint8_t> word = parse_binary(text)) value = *word;
    }
    if (!value) reject(from.name, text, "is not a number");
    const std::string name = key.name;
    if (name == "outcome" && mapping_.outcome_kind == OutcomeKind::binary && *value != 0 &&
        *value != 1) {
      reject(from.name, text, "is not 0 or 1");
    }
    if (name == "weight" && *value < 0) reject(from.name, text, "is a negative weight");
    if (name == "propensity" && (*value < 0 || *value > 1)) {
      reject(from.name, text, "is not a probability");
    }
    return *value;
  }

  const std::string& column_of(const char* key) const { return mapping_.columns.at(key)[0]; }

  // Order in time (contract 2), within the one row: journey columns are equal in all its rows.
  void check_times() const {
    if (!has_touch_) return;
    if (schema_.touch_time && schema_.time && row_.touch_time[0] >= row_.time[0]) {
      throw BadRow{column_of("touch_time"), "", "is not before the outcome window starts"};
    }
    if (!schema_.mediator_time || row_.mediator_time[0] == kNoTime) return;
    if (schema_.touch_time && row_.mediator_time[0] < row_.touch_time[0]) {
      throw BadRow{column_of("mediator_time"), "", "is before the touch"};
    }
    if (schema_.outcome_time && row_.outcome_time[0] != kNoTime &&
        row_.mediator_time[0] > row_.outcome_time[0]) {
      throw BadRow{column_of("mediator_time"), "", "is after the outcome"};
    }
  }

  void store_journey(int64_t journey) {
    first_rows_[at(journey)].empty = false;
    if (!mapping_.has("user")) {
      row_.user.assign(1, static_cast<uint64_t>(first_rows_[at(journey)].row));
    }
    for_each_column([&](const auto& column) {
      if (column.scope != Scope::journey) return;
      std::copy((row_.*column.values).begin(), (row_.*column.values).end(),
                (flat_.*column.values).begin() + journey * column.width(schema_));
    });
  }

  // Journey columns must say the same in all rows of a journey.
  void check_constant(int64_t journey) const {
    for_each_column([&](const auto& column) {
      const std::vector<Source>& sources = sources_[at(column.slot)];
      if (column.scope != Scope::journey) return;
      using T = typename std::decay_t<decltype(row_.*column.values)>::value_type;
      for (size_t part = 0; part < sources.size(); ++part) {
        const T& here = (row_.*column.values)[part];
        const T& first = (flat_.*column.values)[at(journey) * sources.size() + part];
        // Bitwise: NaN, the unknown number, equals itself.
        if (std::memcmp(&here, &first, sizeof(T)) == 0) continue;
        const FirstRow& row = first_rows_[at(journey)];
        throw BadRow{sources[part].name, "",
                     on_bad_row_ == OnBadRow::skip
                         ? std::string("differs within a journey")
                         : format("differs from the journey's first row (%s, line %lld)",
                                  paths_[at(row.path)].c_str(), static_cast<long long>(row.line))};
      }
    });
  }

  void store_touch(int64_t journey) {
    if (!has_touch_) return;
    touch_journey_.push_back(journey);
    for_each_column([&](const auto& column) {
      if (column.scope != Scope::touch) return;
      (flat_.*column.values)
          .insert((flat_.*column.values).end(), (row_.*column.values).begin(),
                  (row_.*column.values).end());
    });
  }

  // --- all rows
  // -----------------------------------------------------------------------------------

  void count_rows() {
    int64_t rows_of_dropped = 0;
    for (int64_t journey = 0; journey < journey_count(); ++journey) {
      if (dropped_[at(journey)] != 0) {
        ++summary_.journeys_dropped;
        rows_of_dropped += rows_[at(journey)];
      } else {
        ++summary_.journeys;
        summary_.rows_kept += rows_[at(journey)];
      }
    }
    if (rows_of_dropped > bad_rows_of_journeys_) {
      summary_.dropped["another row of the journey is bad"] =
          rows_of_dropped - bad_rows_of_journeys_;
    }
  }

  // touch_order_ lists the touches journey by journey, each in order of time (equal times and logs
  // without times: of the table).
  void order_touches() {
    touch_order_.resize(touch_journey_.size());
    std::iota(touch_order_.begin(), touch_order_.end(), 0);
    std::stable_sort(touch_order_.begin(), touch_order_.end(), [&](int64_t a, int64_t b) {
      const int64_t first = touch_journey_[at(a)];
      const int64_t second = touch_journey_[at(b)];
      if (first != second || !schema_.touch_time) return first < second;
      return flat_.touch_time[at(a)] < flat_.touch_time[at(b)];
    });
    touch_begin_.assign(dropped_.size() + 1, 0);
    for (const int64_t journey : touch_journey_) ++touch_begin_[at(journey) + 1];
    std::partial_sum(touch_begin_.begin(), touch_begin_.end(), touch_begin_.begin());
  }

  bool is_kept(int64_t touch) const { return dropped_[at(touch_journey_[at(touch)])] == 0; }

  void number_clusters() {
    std::vector<uint8_t> used(clusters_.names().size(), 0);
    for (int64_t touch = 0; touch < static_cast<int64_t>(touch_journey_.size()); ++touch) {
      if (!is_kept(touch)) continue;
      used[flat_.cluster[at(touch)]] = 1;
      ++summary_.touches;
    }
    std::vector<std::string> names;
    for (size_t name = 0; name < used.size(); ++name) {
      if (used[name] != 0) names.push_back(clusters_.names()[name]);
    }
    if (names.empty()) throw UserError(path_ + ": no row names a cluster, so there are no touches");
    sort_names(names);
    Names sorted;
    for (const std::string& name : names) sorted.number(name);
    std::vector<uint32_t> id_of;
    for (const std::string& name : clusters_.names()) id_of.push_back(sorted.number(name));
    for (uint32_t& cluster : flat_.cluster) cluster = id_of[cluster];
    schema_.clusters = static_cast<int64_t>(names.size());
    schema_.cluster_names = names;
    if (mapping_.touch_form) return;
    const auto reference = std::find(names.begin(), names.end(), mapping_.reference_arm);
    if (reference == names.end()) {
      throw UserError(format("%s: the reference_arm '%s' does not occur; the arms are %s",
                             mapping_.name.c_str(), mapping_.reference_arm.c_str(),
                             join(names, ", ").substr(0, 400).c_str()));
    }
    schema_.reference_cluster = reference - names.begin();
  }

  void choose_outcome_kind() {
    bool binary = true;
    double sum = 0;
    for (int64_t journey = 0; journey < journey_count(); ++journey) {
      if (dropped_[at(journey)] != 0) continue;
      const float outcome = flat_.outcome[at(journey)];
      binary = binary && (outcome == 0 || outcome == 1);
      sum += outcome;
    }
    summary_.mean_outcome = sum / static_cast<double>(summary_.journeys);
    schema_.outcome =
        mapping_.outcome_kind.value_or(binary ? OutcomeKind::binary : OutcomeKind::continuous);
  }

  void append_journey(int64_t journey, Journeys& out) const {
    const int64_t begin = touch_begin_[at(journey)];
    const int64_t end = touch_begin_[at(journey) + 1];
    for_each_column([&](const auto& column) {
      const auto& values = flat_.*column.values;
      auto& target = out.*column.values;
      const int64_t width = column.width(schema_);
      const auto copy = [&](int64_t index) {
        target.insert(target.end(), values.begin() + index * width,
                      values.begin() + (index + 1) * width);
      };
      if (column.scope == Scope::journey) {
        copy(journey);
      } else {
        for (int64_t touch = begin; touch < end; ++touch) copy(touch_order_[at(touch)]);
      }
    });
    out.touch_begin.push_back(out.touch_begin.back() + end - begin);
  }

  void describe_clusters() {
    summary_.clusters.resize(at(schema_.clusters));
    std::vector<int64_t> observed(at(schema_.clusters), 0);
    for (size_t id = 0; id < summary_.clusters.size(); ++id) {
      summary_.clusters[id].name = schema_.cluster_names[id];
    }
    for (int64_t touch = 0; touch < static_cast<int64_t>(touch_journey_.size()); ++touch) {
      if (!is_kept(touch)) continue;
      const uint32_t id = flat_.cluster[at(touch)];
      ImportSummary::Cluster& cluster = summary_.clusters[id];
      ++cluster.touches;
      cluster.mean_outcome += flat_.outcome[at(touch_journey_[at(touch)])];
      if (!schema_.mediator || flat_.mediator[at(touch)] == kUnknownBinary) continue;
      ++observed[id];
      cluster.mediator_rate += flat_.mediator[at(touch)];
    }
    for (size_t id = 0; id < summary_.clusters.size(); ++id) {
      summary_.clusters[id].mean_outcome /= static_cast<double>(summary_.clusters[id].touches);
      summary_.clusters[id].mediator_rate /= static_cast<double>(observed[id]);
    }
  }

  struct FirstRow {
    int64_t path = 0;
    int64_t line = 0;
    int64_t row = 0;    // of all tables, from 0
    bool empty = true;  // no good row yet
  };

  const Mapping& mapping_;
  OnBadRow on_bad_row_;
  LogSchema schema_;
  std::array<std::vector<Source>, kSlots> sources_;
  std::array<const MappingKey*, kSlots> keys_{};
  Source key_;  // form = touch
  std::string path_;
  std::vector<std::string> paths_;
  ImportSummary summary_;

  Journeys row_;  // the row at hand
  bool has_touch_ = false;
  Journeys flat_;  // journeys in order of their first rows, touches in the order of the tables
  std::vector<int64_t> touch_journey_;
  std::unordered_map<std::string, int64_t> journey_of_key_;
  std::vector<FirstRow> first_rows_;
  std::vector<uint8_t> dropped_;
  std::vector<int64_t> rows_;  // of each journey
  int64_t bad_rows_of_journeys_ = 0;
  Names clusters_;
  std::vector<int64_t> touch_order_;
  std::vector<int64_t> touch_begin_;
};

// The directory without links and without a slash at its end; refused when it holds anything.
fs::path checked_out(const std::string& out) {
  fs::path path = fs::weakly_canonical(out);
  if (!path.has_filename()) path = path.parent_path();
  if (fs::exists(path) && !fs::is_directory(path)) {
    throw UserError(out + ": is no directory; --out names one");
  }
  if (fs::exists(path) && !fs::is_empty(path)) {
    throw UserError(out + ": already holds files; give --out a new directory");
  }
  return path;
}

}  // namespace

ImportSummary import_tables(const std::vector<std::string>& tables, const Mapping& mapping,
                            const std::string& out, const ImportOptions& options) {
  ALM_CHECK(options.rows_per_file > 0 && !tables.empty());
  try {
    const fs::path directory = checked_out(out);
    Importer importer(mapping, options.on_bad_row);
    for (const std::string& table : tables) importer.read(table);
    // All files of the log appear together, or none.
    const fs::path unfinished = directory.string() + ".tmp";
    fs::remove_all(unfinished);
    ImportSummary summary = importer.write(unfinished.string(), options.rows_per_file);
    fs::rename(unfinished, directory);
    for (std::string& file : summary.files) {
      file = (directory / fs::path(file).filename()).string();
    }
    return summary;
  } catch (const fs::filesystem_error& error) {
    throw MachineError(error.what());
  }
}

}  // namespace alm::io
