// What was met while reading a log: counts, and the bad rows by kind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace alm::io {

// Rows that are bad in one way. A row that is bad in two ways counts in both kinds.
struct BadKind {
  static constexpr size_t kMostExamples = 3;
  std::string what;  // "/touch/time: goes back"
  int64_t rows = 0;
  std::vector<std::string> examples;  // the first ones: "FILE, data set SET, row 12: ..."
};

// Counts of what was met while reading; summed by the caller over blocks.
struct ReadReport {
  int64_t rows = 0;
  int64_t bad_rows = 0;        // skipped under OnBadRow::skip
  std::string first_bad_row;   // "FILE, data set /touch/cluster, row 12: ..." or empty
  int64_t truncated_rows = 0;  // journeys longer than max_touches
  int64_t truncated_touches = 0;
  std::vector<BadKind> bad_kinds;

  // Adds what was met later in the log.
  void add(const ReadReport& later);
  // The kinds as text, and added back: for sums over ranks, in the order of the log.
  std::string packed_kinds() const;
  void add_packed_kinds(const std::string& packed);
};

// One line for people: "12 bad rows: 7 /touch/time: goes back, ...; the first: ...". Empty without
// bad rows.
std::string bad_rows_text(const ReadReport& report);

}  // namespace alm::io
