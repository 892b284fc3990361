// The first pass of an import: tables are read, each row is understood and set aside on disk.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "io/import_counts.h"
#include "io/label_collisions.h"
#include "io/log_reader.h"
#include "io/mapping.h"
#include "io/row_parser.h"
#include "io/row_record.h"
#include "io/spill.h"

namespace alm::io {

// What one process found in its tables.
struct Intake {
  std::vector<int64_t> rows;                                // by table; 0 for those of others
  std::vector<std::vector<SpillPiece>> pieces;              // of rows, by partition
  std::vector<std::vector<SpillPiece>> labels;              // of user labels, by partition
  std::vector<std::string> clusters;                        // names in the order of appearance here
  ImportCounts counts;                                      // of bad rows
  bool is_binary = true;                                    // every outcome was 0 or 1
  int64_t last_time = std::numeric_limits<int64_t>::min();  // of any time column that orders rows

  std::string pack() const;
  static Intake unpack(std::string_view bytes);
};

// Which of the tables [first, last) each of `ranks` reads: neighbours, about equal in bytes.
// boundaries[r] is the first of rank r; there are ranks + 1.
std::vector<int64_t> share_tables(const std::vector<int64_t>& bytes, int64_t ranks);

// Partitions rows are set aside in: the tables in form = journey, else by the high bits of the
// key's hash a power of two of them, so many that those of tables of `bytes` fit into lots.
int64_t partitions_for(const Mapping& mapping, const std::vector<std::string>& tables,
                       const std::vector<int64_t>& bytes);

class TableIntake {
 public:
  // `rows_path`, `labels_path`: spills to make, the `writer`-th of their kind.
  TableIntake(const Mapping& mapping, OnBadRow on_bad_row, const std::vector<std::string>& tables,
              int64_t partitions, const std::string& rows_path, const std::string& labels_path,
              int64_t writer);

  // UserError as read_csv and find_columns say, and for the first bad row under OnBadRow::fail.
  // `on_bytes`: of the file, read so far.
  void read(int64_t table, const std::function<void(int64_t bytes)>& on_bytes);
  int64_t rows() const { return total_rows_; }
  Intake finish();
  const RowParser& parser() const { return parser_; }

 private:
  void make_rows(RowMaker& maker, std::span<const std::string_view> record, int64_t line);
  void take(std::span<const std::string_view> fields, size_t columns, int64_t line);
  void spill(uint64_t hash);
  RowPlace next_place(int64_t line);
  void count_bad(const BadRow& bad, const RowPlace& place);
  void look_at_values();

  const Mapping& mapping_;
  OnBadRow on_bad_row_;
  const std::vector<std::string>& tables_;
  RowParser parser_;
  int64_t partitions_;
  SpillWriter spill_;
  LabelSpill labels_;
  Intake intake_;
  int64_t table_ = 0;  // being read
  int64_t total_rows_ = 0;
  ParsedRow row_;
  std::vector<std::byte> record_;
};

}  // namespace alm::io
