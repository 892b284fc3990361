// The mapping file of `alm import`: which column of a text table is which column of the log.
// docs/import.md describes every key; the table here is what it is checked against.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/cluster_fit.h"
#include "io/field.h"
#include "io/journeys.h"
#include "io/row_maker.h"

namespace alm::io {

enum class FieldKind {
  number,   // parse_number
  binary,   // parse_binary
  outcome,  // parse_number, else parse_binary
  time,     // parse_time
  label,    // label_id
  cluster,  // text, numbered in sorted order
  key,      // groups rows, goes nowhere
};
// An empty field, or a text of [missing]: the row is bad, or the column's own value for "unknown".
enum class WhenMissing { bad_row, unknown };

// A key of [columns].
struct MappingKey {
  const char* name;
  const char* path;  // data set of the log; empty for keys that go nowhere
  FieldKind kind;
  WhenMissing when_missing;
  bool several;  // takes a list of columns
};
std::span<const MappingKey> mapping_keys();
// Keys of [file] and of [window].
std::span<const char* const> mapping_file_keys();
std::span<const char* const> mapping_window_keys();

// What one row of a table is.
enum class RowForm {
  journey,  // a journey with one touch
  touch,    // a touch; rows of one key form a journey
  event,    // a touch or an outcome of a user; windows make journeys of them
};

// [window]: which journeys the events of a user make. All in milliseconds.
struct WindowRule {
  int64_t lookback = 0;        // touches this long before the window belong to its journey
  int64_t outcome = 0;         // length of the window in which outcomes count
  int64_t every = 0;           // windows start at multiples of this since 1970
  std::optional<int64_t> end;  // of the log; nullopt: its last event
};

struct Mapping {
  std::string name;  // of the file or the data set, for messages
  RowForm form = RowForm::journey;
  char separator = 0;  // 0: by the name of the table
  TimeUnit time_unit = TimeUnit::milliseconds;
  bool time_unit_given = false;
  std::optional<WindowRule> window;         // form = event
  std::optional<OutcomeKind> outcome_kind;  // nullopt: binary when every value is 0 or 1
  std::string reference_arm;                // journey form only
  std::map<std::string, std::vector<std::string>> columns;   // key -> columns of the table
  std::vector<std::string> leaky;                            // of the proxy columns
  std::map<std::string, std::vector<std::string>> missing;   // column or "*" -> texts
  std::map<std::string, std::string, std::less<>> clusters;  // text -> name of its cluster
  std::shared_ptr<const ClusterTable> cluster_table;  // says the cluster of the text; or nothing
  RowMakers make_rows;  // makes the rows of the records of a table; empty: they are the rows

  bool has(const std::string& key) const { return columns.count(key) > 0; }
  // The cluster of a text of the column `cluster`; valid as long as the text and the mapping.
  std::string_view cluster_of(std::string_view text) const;
};

// UserError naming the file, the line and what is known when a section, key or value is not.
Mapping read_mapping(const std::string& path);
Mapping parse_mapping(const std::string& text, const std::string& name);

}  // namespace alm::io
