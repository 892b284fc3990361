// Rows that were set aside, made into journeys: grouped, checked against each other, sorted by
// time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/import_counts.h"
#include "io/journeys.h"
#include "io/log_reader.h"
#include "io/mapping.h"
#include "io/row_parser.h"
#include "io/row_record.h"

namespace alm::io {

// Some of the spilled rows, with all rows of every journey they are of.
struct SpilledRows {
  std::vector<std::byte> bytes;  // records one after the other
  struct Run {
    size_t end = 0;    // in bytes; the run begins where the one before ends
    int64_t file = 0;  // whose spill it came from
  };
  std::vector<Run> runs;
};

// What is known once all tables were read.
struct ImportFacts {
  LogSchema schema;
  std::vector<std::string> parts;               // the tables
  std::vector<int64_t> first_row;               // of each among all rows
  std::vector<std::vector<uint32_t>> clusters;  // by spill file: number there -> id
  int64_t clusters_named = 0;
  int64_t log_end = 0;  // form = event: unix ms
  OnBadRow on_bad_row = OnBadRow::fail;
};

// Reused for one lot of rows after the other. Not thread-safe; `mapping`, `parser` and `facts` must
// outlive it.
class JourneyBuilder {
 public:
  JourneyBuilder(const Mapping& mapping, const RowParser& parser, const ImportFacts& facts);

  // Forgets the last lot. Journeys come in the order of their first rows. Under OnBadRow::fail
  // UserError when rows of a journey disagree; else such journeys are left out and counted.
  void build(const SpilledRows& rows);
  // Of this lot, those kept.
  int64_t journeys() const { return static_cast<int64_t>(journeys_.size()); }
  void append(int64_t journey, Journeys& out) const;
  // Adds what is to be counted of this lot.
  void count(ImportCounts& total) const;

 private:
  // Rows with one key.
  struct Group {
    std::string_view key;  // in the lot
    uint64_t hash = 0;
    RowPlace first;
    int64_t rows = 0;
    bool is_empty = true;  // no good row yet
    bool is_dropped = false;
  };
  struct RowAt {
    RowPlace place;
    size_t offset = 0;
    int64_t file = 0;
  };
  // form = event: an outcome of a group.
  struct OutcomeAt {
    int64_t group = 0;
    int64_t time = 0;
    float value = 0;
  };
  // A journey of the log: some of the touches of a group.
  struct Journey {
    int64_t group = 0;
    int64_t first = 0;  // touches [first, last) of order_
    int64_t last = 0;
    float outcome = 0;
    int64_t time = 0;                // form = event: the window, else the group says these
    int64_t outcome_time = kNoTime;  // two
  };

  void list_rows(const SpilledRows& rows);
  uint32_t& slot_of(std::string_view key, uint64_t hash);
  int64_t group_of(std::string_view key, uint64_t hash, const RowPlace& place);
  void take(const SpilledRows& rows, const RowAt& row);
  void store_group(int64_t group);
  void check_constant(int64_t group) const;
  void store_touch(int64_t group, int64_t file);
  void order_touches();
  void make_journeys();
  void make_windows(int64_t group, int64_t first, int64_t last);
  Journey window_at(int64_t group, int64_t start) const;
  // Later mediators of the journey are undone in form = event.
  int64_t last_mediator_time(const Journey& journey) const;
  void undo_later_mediators(const Journey& journey, Journeys& out) const;

  const Mapping& mapping_;
  const ImportFacts& facts_;
  std::array<std::vector<std::string>, kSlots> columns_;  // of the tables, by data set of the log

  std::vector<RowAt> rows_;
  std::vector<Group> groups_;
  std::vector<uint32_t> slots_;  // hash table of groups by key, at least twice the rows
  Journeys row_;                 // the row at hand
  Journeys flat_;                // journey columns by group, touch columns in the order of the rows
  std::vector<int64_t> touch_group_;
  std::vector<OutcomeAt> outcomes_;
  std::vector<int64_t> order_;  // touches by group and time
  std::vector<Journey> journeys_;
  ImportCounts counts_;  // of bad rows and windows only
};

}  // namespace alm::io
