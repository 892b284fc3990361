// What an import counts: sums that do not depend on who counted which rows.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "io/bytes.h"
#include "kernels/base/fixed_point.h"

namespace alm::io {

// The first of several bad rows is the one that stands first in the tables.
struct FirstBadRow {
  int64_t part = -1;  // -1: none
  int64_t row = 0;
  std::string words;

  void offer(int64_t other_part, int64_t other_row, const std::string& other_words) {
    if (part >= 0 && std::pair(part, row) <= std::pair(other_part, other_row)) return;
    part = other_part;
    row = other_row;
    words = other_words;
  }
};

struct ImportCounts {
  int64_t rows_kept = 0;
  int64_t bad_rows = 0;      // of journeys: they made theirs go
  int64_t rows_dropped = 0;  // of journeys that went, bad ones included
  int64_t journeys = 0;
  int64_t journeys_dropped = 0;
  int64_t windows_open = 0;
  int64_t touches = 0;
  FixedSum outcome;  // over journeys
  struct Cluster {
    int64_t touches = 0;
    int64_t observed = 0;   // touches with a known mediator
    int64_t mediators = 0;  // of those, with one
    FixedSum outcome;       // over touches
  };
  std::vector<Cluster> clusters;
  std::map<std::string, int64_t> dropped;  // why -> bad rows
  FirstBadRow first_bad_row;

  void add(const ImportCounts& other);
  void put(BytesWriter& to) const;
  static ImportCounts get(BytesReader& from);
};

}  // namespace alm::io
