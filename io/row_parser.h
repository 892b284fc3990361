// One row of a table into values of the log, by a mapping.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/journeys.h"
#include "io/mapping.h"
#include "io/schema.h"

namespace alm::io {

inline constexpr int64_t kNoTime = -1;          // of outcome_time and mediator_time: there was none
inline constexpr uint8_t kUnknownBinary = 255;  // a mediator or proxy nobody observed

// A row understood.
struct ParsedRow {
  std::string_view key;   // text that groups rows; empty in form = journey
  std::string_view user;  // text of the user; empty without such a column
  bool has_touch = false;
  // One journey with at most one touch. Values of columns that are not mapped are 0. Clusters are
  // numbers of the parser's cluster_names(). form = event: `time` is the time of the event and
  // `outcome` NaN when the row tells of none.
  Journeys values;
};

// Understands the rows of tables that share a mapping. Not thread-safe; `mapping` must outlive it.
class RowParser {
 public:
  explicit RowParser(const Mapping& mapping);

  // Columns the log will have; clusters and the kind of the outcome are not known yet.
  const LogSchema& schema() const { return schema_; }
  // Cluster names in the order of their first appearance.
  const std::vector<std::string>& cluster_names() const { return cluster_names_; }

  // The header of the table whose rows come next. UserError naming what is missing or twice.
  void find_columns(const std::string& path, std::span<const std::string_view> header,
                    int64_t line);
  // The text that groups rows; empty in form = journey. BadRow when it is missing.
  std::string_view key_of(std::span<const std::string_view> fields) const;
  // Texts in `row` are valid as long as `fields`. BadRow naming the column.
  void parse(std::span<const std::string_view> fields, ParsedRow& row);

  // The columns of the table that feed a data set of the log.
  std::vector<std::string> columns_of(int64_t slot) const;

 private:
  struct TextHash : std::hash<std::string_view> {
    using is_transparent = void;  // so that texts are looked up without being copied
  };
  // A column of the table.
  struct Source {
    std::string name;
    size_t field = 0;                  // in the table being read
    std::vector<std::string> missing;  // texts that mean "unknown", besides the empty one
  };

  Source source(const std::string& name) const;
  static bool is_missing(const Source& from, std::string_view text);
  template <class T>
  T value_of(const MappingKey& key, const Source& from, std::string_view text);
  float number_of(const MappingKey& key, const Source& from, std::string_view text) const;
  int64_t time_of(const Source& from, std::string_view text) const;
  uint32_t cluster_of(const Source& from, std::string_view text);
  void check_times(const ParsedRow& row) const;

  const Mapping& mapping_;
  LogSchema schema_;
  std::array<std::vector<Source>, kSlots> sources_;
  std::array<const MappingKey*, kSlots> keys_{};
  Source key_;
  std::vector<std::string> cluster_names_;
  std::unordered_map<std::string, uint32_t, TextHash, std::equal_to<>> cluster_numbers_;
};

// "FILE, line 12, column 'age': 'x' is not a number".
std::string words_of(const BadRow& bad, const std::string& path, int64_t line);
// "column 'age' is not a number".
std::string reason_of(const BadRow& bad);

}  // namespace alm::io
