#include "io/row_parser.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "io/row_checks.h"
#include "kernels/base/check.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

constexpr size_t kMostClusters = size_t{1} << 22;
constexpr size_t kLongestName = 256;    // names are stored at the width of the longest
constexpr int64_t kEventTimeSlot = 10;  // /touch/time

size_t at(int64_t index) {
  return static_cast<size_t>(index);
}

}  // namespace

RowParser::RowParser(const Mapping& mapping) : mapping_(mapping) {
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
  if (mapping_.form != RowForm::journey) {
    key_ = source(mapping_.columns.at(mapping_.has("journey") ? "journey" : "user")[0]);
  }
  if (mapping_.form == RowForm::event) schema_.time = schema_.outcome_time = true;
  const auto set_names = [&](const char* key, std::vector<std::string>& names) {
    if (mapping_.has(key)) names = mapping_.columns.at(key);
  };
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

RowParser::Source RowParser::source(const std::string& name) const {
  Source made;
  made.name = name;
  for (const std::string& from : {std::string("*"), name}) {
    const auto found = mapping_.missing.find(from);
    if (found == mapping_.missing.end()) continue;
    made.missing.insert(made.missing.end(), found->second.begin(), found->second.end());
  }
  return made;
}

void RowParser::find_columns(const std::string& path, std::span<const std::string_view> header,
                             int64_t line) {
  const auto find = [&](Source& wanted) {
    const auto found = std::find(header.begin(), header.end(), wanted.name);
    if (found == header.end()) {
      const bool one_column =
          header.size() == 1 && header[0].find_first_of(",;\t|") != header[0].npos;
      throw UserError(
          format("%s, line %lld: no column is called '%s'; there are %s%s", path.c_str(),
                 static_cast<long long>(line), wanted.name.c_str(),
                 join({header.begin(), header.end()}, ", ").substr(0, 400).c_str(),
                 one_column ? "; if that is several, give separator under [file]" : ""));
    }
    if (std::find(found + 1, header.end(), wanted.name) != header.end()) {
      throw UserError(format("%s, line %lld: two columns are called '%s': rename one of them",
                             path.c_str(), static_cast<long long>(line), wanted.name.c_str()));
    }
    wanted.field = static_cast<size_t>(found - header.begin());
  };
  for (std::vector<Source>& sources : sources_) std::for_each(sources.begin(), sources.end(), find);
  if (mapping_.form != RowForm::journey) find(key_);
}

bool RowParser::is_missing(const Source& from, std::string_view text) {
  return text.empty() ||
         std::find(from.missing.begin(), from.missing.end(), text) != from.missing.end();
}

std::string_view RowParser::key_of(std::span<const std::string_view> fields) const {
  if (mapping_.form == RowForm::journey) return {};
  const std::string_view text = fields[key_.field];
  if (is_missing(key_, text)) reject(key_.name, text, "is missing");
  return text;
}

void RowParser::parse(std::span<const std::string_view> fields, ParsedRow& row) {
  row.values.clear();
  row.key = key_of(fields);
  const std::vector<Source>& user = sources_[at(kUserSlot)];
  row.user = user.empty() ? std::string_view() : fields[user[0].field];
  const Source& cluster = sources_[at(kClusterSlot)][0];
  // Where rows are touches, one that names no cluster tells of a journey but of no touch.
  row.has_touch = mapping_.form == RowForm::journey || !is_missing(cluster, fields[cluster.field]);
  for_each_column([&](const auto& column) {
    if (column.scope == Scope::touch && !row.has_touch) return;
    auto& values = row.values.*column.values;
    using T = typename std::decay_t<decltype(values)>::value_type;
    for (const Source& from : sources_[at(column.slot)]) {
      values.push_back(value_of<T>(*keys_[at(column.slot)], from, fields[from.field]));
    }
    values.resize(at(column.width(schema_)));
  });
  if (mapping_.form == RowForm::event) {
    const Source& from = sources_[at(kEventTimeSlot)][0];
    if (is_missing(from, fields[from.field])) reject(from.name, fields[from.field], "is missing");
    row.values.time[0] = time_of(from, fields[from.field]);
  }
  check_times(row);
}

template <class T>
T RowParser::value_of(const MappingKey& key, const Source& from, std::string_view text) {
  const bool missing = is_missing(from, text);
  if constexpr (std::is_same_v<T, float>) {
    const bool is_event = mapping_.form == RowForm::event && key.kind == FieldKind::outcome;
    if (missing && (is_event || key.when_missing == WhenMissing::unknown)) {
      return std::numeric_limits<float>::quiet_NaN();
    }
  }
  if (missing && key.when_missing == WhenMissing::bad_row) reject(from.name, text, "is missing");
  if constexpr (std::is_same_v<T, float>) {
    return number_of(key, from, text);
  } else if constexpr (std::is_same_v<T, uint8_t>) {
    if (missing) return kUnknownBinary;
    const std::optional<uint8_t> value = parse_binary(text);
    if (!value) reject(from.name, text, "is not 0 or 1");
    return *value;
  } else if constexpr (std::is_same_v<T, uint32_t>) {
    return cluster_of(from, text);
  } else if constexpr (std::is_same_v<T, uint64_t>) {
    return label_id(text);
  } else {
    // All texts of "unknown" are one level.
    if (key.kind == FieldKind::label) return signed_label_id(missing ? "" : text);
    return missing ? kNoTime : time_of(from, text);
  }
}

float RowParser::number_of(const MappingKey& key, const Source& from, std::string_view text) const {
  std::optional<float> value = parse_number(text);
  if (!value && key.kind == FieldKind::outcome) {
    if (const std::optional<uint8_t> word = parse_binary(text)) value = *word;
  }
  if (!value) reject(from.name, text, "is not a number");
  if (key.kind == FieldKind::outcome && std::fabs(*value) >= 0x1p40f) {
    reject(from.name, text, "is too large for an outcome");  // their sums are exact, in 2^60
  }
  if (key.kind == FieldKind::outcome && mapping_.outcome_kind == OutcomeKind::binary &&
      *value != 0 && *value != 1) {
    reject(from.name, text, "is not 0 or 1");
  }
  const std::string_view name = key.name;
  if (name == "weight" && *value < 0) reject(from.name, text, "is a negative weight");
  if (name == "weight" && *value > kLargestWeight) {
    reject(from.name, text, "is too large a weight: divide all by one number, only ratios count");
  }
  if (name == "propensity" && (*value < 0 || *value > 1)) {
    reject(from.name, text, "is not a probability");
  }
  return *value;
}

int64_t RowParser::time_of(const Source& from, std::string_view text) const {
  const std::optional<int64_t> value = parse_time(text, mapping_.time_unit);
  // Milliseconds of 36 million years: sums of times stay far from the end of the number.
  constexpr int64_t kLargest = int64_t{1} << 60;
  if (!value || *value > kLargest || *value < -kLargest) reject(from.name, text, "is not a time");
  return *value;
}

uint32_t RowParser::cluster_of(const Source& from, std::string_view text) {
  const std::string_view name = mapping_.cluster_of(text);
  if (name.size() > kLongestName) reject(from.name, text, "is longer than 256 bytes");
  if (name.find('\0') != name.npos) reject(from.name, "", "holds a zero byte");
  const auto found = cluster_numbers_.find(name);
  if (found != cluster_numbers_.end()) return found->second;
  if (cluster_names_.size() == kMostClusters) {
    throw UserError(
        format("column '%s' names more than %s clusters: is it a column of items? "
               "Map those to item, and to cluster what groups them",
               from.name.c_str(), with_commas(kMostClusters).c_str()));
  }
  const auto number = static_cast<uint32_t>(cluster_names_.size());
  cluster_names_.emplace_back(name);
  cluster_numbers_.emplace(name, number);
  return number;
}

// Order in time (contract 2), within the one row: journey columns are equal in all its rows.
void RowParser::check_times(const ParsedRow& row) const {
  if (!row.has_touch) return;
  const Journeys& values = row.values;
  const auto column = [&](const char* key) { return mapping_.columns.at(key)[0]; };
  if (mapping_.form != RowForm::event && schema_.touch_time && schema_.time &&
      values.touch_time[0] >= values.time[0]) {
    throw BadRow{column("touch_time"), "", "is not before the outcome window starts"};
  }
  if (!schema_.mediator_time || values.mediator_time[0] == kNoTime) return;
  if (schema_.touch_time && values.mediator_time[0] < values.touch_time[0]) {
    throw BadRow{column("mediator_time"), "", "is before the touch"};
  }
  if (mapping_.form != RowForm::event && schema_.outcome_time &&
      values.outcome_time[0] != kNoTime && values.mediator_time[0] > values.outcome_time[0]) {
    throw BadRow{column("mediator_time"), "", "is after the outcome"};
  }
}

std::vector<std::string> RowParser::columns_of(int64_t slot) const {
  std::vector<std::string> names;
  for (const Source& from : sources_[at(slot)]) names.push_back(from.name);
  return names;
}

std::string words_of(const BadRow& bad, const std::string& path, int64_t line) {
  const std::string where = bad.column.empty() ? "" : format(", column '%s'", bad.column.c_str());
  return format("%s, line %lld%s: %s%s%s", path.c_str(), static_cast<long long>(line),
                where.c_str(), bad.value.c_str(), bad.value.empty() ? "" : " ", bad.what.c_str());
}

std::string reason_of(const BadRow& bad) {
  return bad.column.empty() ? "number of fields differs from the header"
                            : format("column '%s' %s", bad.column.c_str(), bad.what.c_str());
}

}  // namespace alm::io
