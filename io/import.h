// Text tables into a log, by a mapping: tables of any size, by any number of processes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "io/label_collisions.h"
#include "io/log_reader.h"
#include "io/mapping.h"

namespace alm::io {

// The processes that import together, on disks they share.
struct ImportRanks {
  int64_t rank = 0;
  int64_t ranks = 1;
  // None of these is needed when there is one process.
  // COLLECTIVE: every process's bytes, by rank.
  std::function<std::vector<std::string>(const std::string& mine)> all_gather{};
  // COLLECTIVE: runs `body` on every process; when it throws on any, all throw the error of the
  // lowest one.
  std::function<void(const std::function<void()>& body)> together{};
  // True once another process's body has thrown.
  std::function<bool()> alarm{};
};

// How far this process is.
struct ImportProgress {
  const char* phase;  // "read" (bytes of tables), "group" and "write" (lots of rows)
  int64_t done;
  int64_t total;
  int64_t rows;  // read so far
};

struct ImportOptions {
  OnBadRow on_bad_row = OnBadRow::fail;
  int64_t rows_per_file = int64_t{1} << 20;  // journeys
  ImportRanks ranks{};
  std::function<void(const ImportProgress&)> on_progress{};
  int64_t lot_bytes = int64_t{8} << 20;  // of rows held at once; memory is some times this
};

struct ImportSummary {
  int64_t rows_read = 0;
  int64_t rows_kept = 0;
  std::map<std::string, int64_t> dropped;  // why -> rows
  std::string first_bad_row;               // "FILE, line 12, column 'age': ...", or empty
  int64_t journeys = 0;
  int64_t journeys_dropped = 0;  // rows of a key: with one bad row the whole journey goes
  int64_t windows_open = 0;      // form = event: journeys whose window reaches past the log's end
  int64_t touches = 0;
  LogSchema schema;
  double mean_outcome = 0;
  struct Cluster {
    std::string name;
    int64_t touches = 0;
    double mean_outcome = 0;   // over touches
    double mediator_rate = 0;  // over touches with an observed mediator; NaN without any
  };
  std::vector<Cluster> clusters;
  LabelCounts users;                  // that are texts and no numbers
  std::vector<std::string> warnings;  // sentences
  std::vector<std::string> files;     // written
};

// Files, directories (the .csv, .tsv, .tab and .txt tables in them, plain, .gz or .zst) and globs,
// each sorted by name. UserError when one names nothing, or a table stands twice.
std::vector<std::string> expand_tables(const std::vector<std::string>& paths);

// Reads `tables` and writes part-00000.h5 ... into the directory `out`, which must not hold
// anything yet and appears whole or not at all. COLLECTIVE over options.ranks; the files are the
// same bytes for any number of processes, and every process gets the summary, or the error.
//
// Rows are set aside in "<out>.spill" (about the bytes of the plain tables; removed whatever
// happens, but for a kill) and come back in lots that hold all rows of each journey. Memory is
// bounded whatever the tables' size, except for the names of clusters and the longest journey. The
// journeys come lot by lot, within a lot by their first rows, so those of small tables and of
// form = journey by their first rows altogether.
//
// UserError naming file, line and column of the first bad row under OnBadRow::fail; under skip such
// rows (where rows form journeys: their journeys) are dropped and counted. Stopped soon after a
// wish to stop.
ImportSummary import_tables(const std::vector<std::string>& tables, const Mapping& mapping,
                            const std::string& out, const ImportOptions& options);

}  // namespace alm::io
