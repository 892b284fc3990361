// The rows of a table that a batch uses, each once.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/comm/communicator.h"

namespace alm {

// Found on the host, so that the device need not tell their number: a bit a row of the table, which
// lies in a cache, and counts of them. Reused from batch to batch. In this order: clear(), add() of
// all uses, join() where rows are those of all ranks, find().
class DistinctRows {
 public:
  // Takes memory with the first clear().
  explicit DistinctRows(int64_t table_rows) : table_rows_(table_rows) {}
  void clear();
  void add(std::span<const int64_t> uses);
  // COLLECTIVE. Adds what any rank added.
  void join(Communicator& world, const char* what);
  void find();
  // Uses of some of the rows, in place of those that were added: the rows stay.
  void locate(std::span<const int64_t> uses);
  // Adds rows that nothing uses, at the end, until there are `count`, or all of the table.
  void pad(int64_t count);
  // Ascending, but for padding.
  std::span<const int64_t> rows() const { return rows_; }
  // [uses] where in rows() the row of a use stands.
  std::span<const int64_t> places() const { return places_; }

 private:
  void mark(std::span<const int64_t> rows);
  void collect();
  int64_t place_of(int64_t row) const;

  int64_t table_rows_;
  std::vector<uint64_t> used_;   // a bit a row
  std::vector<int64_t> before_;  // rows used in front of each word of these
  std::vector<int64_t> rows_;
  std::vector<int64_t> places_;  // before find() the rows themselves
  std::vector<int64_t> of_ranks_;
  std::vector<std::byte> bytes_;
  std::vector<int64_t> bytes_of_rank_;
};

}  // namespace alm
