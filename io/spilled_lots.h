// Spilled rows in lots that fit into memory, the same lots whoever spilled what.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/journey_builder.h"
#include "io/spill.h"

namespace alm::io {

// Rows to be held at once, with all rows of every key among them.
struct Lot {
  std::vector<SpillPiece> pieces;
  uint64_t go = 0;    // of the keys in the pieces those with key_hash(key) low bits % goes == go
  uint64_t goes = 1;  // above 1 where one partition is too much at once
};

// `partitions`: the pieces of each, of all spill files. By table (`ordered`), lots are consecutive
// rows; else whole partitions, or parts of one. Each holds about `lot_bytes` of rows.
std::vector<Lot> plan_lots(const std::vector<std::vector<SpillPiece>>& partitions, bool ordered,
                           int64_t lot_bytes);

// `paths`: of the writers. MachineError when they cannot be read.
void load_lot(const Lot& lot, const std::vector<std::string>& paths, SpilledRows& rows);

}  // namespace alm::io
