#include "io/row_record.h"

#include <cstring>

#include "io/field.h"
#include "io/schema.h"
#include "kernels/base/hash.h"

namespace alm::io {

namespace {

void add(std::vector<std::byte>& record, const void* from, size_t bytes) {
  // Not insert(), of which g++ 12 warns wrongly.
  const size_t end = record.size();
  record.resize(end + bytes);
  if (bytes > 0) std::memcpy(record.data() + end, from, bytes);
}

void start(const RowPlace& place, std::string_view key, RowRecordHead head,
           std::vector<std::byte>& record) {
  head.part = static_cast<uint32_t>(place.part);
  head.row = place.row;
  head.line = place.line;
  head.key_bytes = static_cast<uint32_t>(key.size());
  record.clear();
  add(record, &head, sizeof(head));
  add(record, key.data(), key.size());
}

void set_bytes(std::vector<std::byte>& record) {
  const auto bytes = static_cast<uint32_t>(record.size());
  std::memcpy(record.data(), &bytes, sizeof(bytes));
}

}  // namespace

uint64_t key_hash(std::string_view key) {
  return mix(label_id(key));
}

void pack_row(const RowPlace& place, const ParsedRow& row, uint64_t hash,
              std::vector<std::byte>& record) {
  RowRecordHead head;
  head.key_hash = hash;
  head.has_touch = row.has_touch ? 1 : 0;
  start(place, row.key, head, record);
  for_each_column([&](const auto& column) {
    const auto& values = row.values.*column.values;
    add(record, values.data(), values.size() * sizeof(values[0]));
  });
  set_bytes(record);
}

void pack_bad_row(const RowPlace& place, std::string_view key, uint64_t hash,
                  std::vector<std::byte>& record) {
  RowRecordHead head;
  head.key_hash = hash;
  head.is_bad = 1;
  start(place, key, head, record);
  set_bytes(record);
}

RowRecordHead read_head(std::span<const std::byte> record) {
  RowRecordHead head;
  std::memcpy(&head, record.data(), sizeof(head));
  return head;
}

std::string_view key_of_record(std::span<const std::byte> record) {
  return {reinterpret_cast<const char*>(record.data()) + sizeof(RowRecordHead),
          read_head(record).key_bytes};
}

void unpack_row(std::span<const std::byte> record, const LogSchema& schema, Journeys& values) {
  const RowRecordHead head = read_head(record);
  size_t offset = sizeof(head) + head.key_bytes;
  values.clear();
  for_each_column([&](const auto& column) {
    if (column.scope == Scope::touch && head.has_touch == 0) return;
    auto& target = values.*column.values;
    target.resize(static_cast<size_t>(column.width(schema)));
    const size_t bytes = target.size() * sizeof(target[0]);
    if (bytes > 0) std::memcpy(target.data(), record.data() + offset, bytes);
    offset += bytes;
  });
}

}  // namespace alm::io
