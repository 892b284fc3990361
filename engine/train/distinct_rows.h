// The rows of a table that a batch uses, each once.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/comm/communicator.h"

namespace alm {

// Found on the host, so that the device need not tell their number. Reused from batch to batch.
class DistinctRows {
 public:
  // Takes memory with the first clear(), which comes before all else.
  explicit DistinctRows(int64_t table_rows) : table_rows_(table_rows) {}
  void clear();
  void add(std::span<const int64_t> uses);
  // COLLECTIVE. The rows that any rank added, ascending, in place of this rank's.
  void join(Communicator& world, const char* what);
  // Uses of some of the rows, in place of those that were added: the rows stay.
  void locate(std::span<const int64_t> uses);
  // Adds rows that nothing uses until there are `count`, or all of the table.
  void pad(int64_t count);
  // In the order of their first use, but for join().
  std::span<const int64_t> rows() const { return rows_; }
  // [uses] where in rows() the row of a use stands.
  std::span<const int64_t> places() const { return places_; }

 private:
  void add_row(int64_t row);

  int64_t table_rows_;
  std::vector<int32_t> place_of_row_;  // -1: not used
  std::vector<int64_t> rows_;
  std::vector<int64_t> places_;
  std::vector<int64_t> before_;  // join(): rows of this rank
  std::vector<std::byte> of_ranks_;
  std::vector<int64_t> bytes_of_rank_;
};

}  // namespace alm
