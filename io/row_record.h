// A parsed row as bytes in a spill file, and back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "io/row_parser.h"

namespace alm::io {

struct RowRecordHead {
  uint32_t bytes = 0;  // of the record, this head included
  uint32_t part = 0;   // table the row is of
  int64_t row = 0;     // in its table, from 0
  int64_t line = 0;    // in its table
  uint64_t key_hash = 0;
  uint32_t key_bytes = 0;
  uint8_t is_bad = 0;  // no values follow: the row makes its journey go
  uint8_t has_touch = 0;
  uint16_t unused = 0;
};

// Where a row stands.
struct RowPlace {
  int64_t part = 0;
  int64_t row = 0;
  int64_t line = 0;
};

// Of the text that groups rows, and so the same for all of them: mix(label_id(key)).
uint64_t key_hash(std::string_view key);

// Fills `record` with a good row, or with one that is bad. `hash`: key_hash of the key.
void pack_row(const RowPlace& place, const ParsedRow& row, uint64_t hash,
              std::vector<std::byte>& record);
void pack_bad_row(const RowPlace& place, std::string_view key, uint64_t hash,
                  std::vector<std::byte>& record);

// `record` begins with a record; `schema` is that of the parser. The key points into it.
RowRecordHead read_head(std::span<const std::byte> record);
std::string_view key_of_record(std::span<const std::byte> record);
// Good rows only: the one journey and at most one touch of the record.
void unpack_row(std::span<const std::byte> record, const LogSchema& schema, Journeys& values);

}  // namespace alm::io
