#include "io/spilled_lots.h"

#include "io/row_record.h"

namespace alm::io {

namespace {

int64_t bytes_of(std::span<const SpillPiece> pieces) {
  int64_t bytes = 0;
  for (const SpillPiece& piece : pieces) bytes += piece.bytes;
  return bytes;
}

}  // namespace

std::vector<Lot> plan_lots(const std::vector<std::vector<SpillPiece>>& partitions, bool ordered,
                           int64_t lot_bytes) {
  std::vector<Lot> lots(1);
  int64_t bytes = 0;  // of the last lot
  const auto add = [&](std::span<const SpillPiece> pieces) {
    const int64_t more = bytes_of(pieces);
    if (bytes > 0 && bytes + more > lot_bytes) {
      lots.emplace_back();
      bytes = 0;
    }
    lots.back().pieces.insert(lots.back().pieces.end(), pieces.begin(), pieces.end());
    bytes += more;
  };
  for (const std::vector<SpillPiece>& pieces : partitions) {
    if (ordered) {
      for (const SpillPiece& piece : pieces) add({&piece, 1});
      continue;
    }
    add(pieces);
    const auto goes = static_cast<uint64_t>(bytes / lot_bytes + 1);
    if (goes == 1) continue;
    // More than a lot even alone, so it is alone in the last one.
    const Lot whole = lots.back();
    lots.pop_back();
    for (uint64_t go = 0; go < goes; ++go) lots.push_back({whole.pieces, go, goes});
    lots.emplace_back();
    bytes = 0;
  }
  return lots;
}

void load_lot(const Lot& lot, const std::vector<std::string>& paths, SpilledRows& rows) {
  rows.bytes.clear();
  rows.runs.clear();
  std::vector<std::byte> piece_bytes;
  for (const SpillPiece& piece : lot.pieces) {
    const std::string& path = paths[static_cast<size_t>(piece.writer)];
    if (lot.goes == 1) {
      read_spill(path, piece, rows.bytes);
    } else {
      piece_bytes.clear();
      read_spill(path, piece, piece_bytes);
      for (size_t at = 0; at < piece_bytes.size();) {
        const auto record = std::span<const std::byte>(piece_bytes).subspan(at);
        const RowRecordHead head = read_head(record);
        const size_t bytes = head.bytes;
        if ((head.key_hash & 0xffffffffu) % lot.goes == lot.go) {
          rows.bytes.insert(rows.bytes.end(), record.begin(),
                            record.begin() + static_cast<std::ptrdiff_t>(bytes));
        }
        at += bytes;
      }
    }
    rows.runs.push_back({rows.bytes.size(), piece.writer});
  }
}

}  // namespace alm::io
