// Text tables into a log, by a mapping.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "io/log_reader.h"
#include "io/mapping.h"

namespace alm::io {

struct ImportOptions {
  OnBadRow on_bad_row = OnBadRow::fail;
  int64_t rows_per_file = int64_t{1} << 22;  // journeys
};

struct ImportSummary {
  int64_t rows_read = 0;
  int64_t rows_kept = 0;
  std::map<std::string, int64_t> dropped;  // why -> rows
  std::string first_bad_row;               // "FILE, line 12, column 'age': ...", or empty
  int64_t journeys = 0;
  int64_t journeys_dropped = 0;  // form = touch: with one bad row the whole journey goes
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
  std::vector<std::string> files;  // written
};

// Reads `tables` in order and writes part-00000.h5 ... into the directory `out`, which must not
// hold anything yet. Journeys keep the order of their first rows; nothing is written unless all of
// it was understood. All rows are held in memory meanwhile, about the bytes of the table. Not
// collective: one process calls it. UserError naming file, line and column of the first bad row
// under OnBadRow::fail; under skip such rows (form = touch: their journeys) are dropped and
// counted.
ImportSummary import_tables(const std::vector<std::string>& tables, const Mapping& mapping,
                            const std::string& out, const ImportOptions& options);

}  // namespace alm::io
