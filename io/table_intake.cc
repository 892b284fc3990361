#include "io/table_intake.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "io/bytes.h"
#include "io/csv.h"
#include "kernels/base/check.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

constexpr int64_t kAllBuffers = int64_t{16} << 20;
constexpr int64_t kSmallestBuffer = int64_t{1} << 13;
constexpr int64_t kLargestBuffer = int64_t{1} << 20;
constexpr int64_t kMostPartitions = 8192;
constexpr int64_t kPartitionBytes = int64_t{2} << 20;  // of the table, roughly, unpacked
constexpr int64_t kUnpacked = 6;                       // times as large as gz or zst, roughly

void put_pieces(const std::vector<std::vector<SpillPiece>>& partitions, BytesWriter& to) {
  to.put(static_cast<int64_t>(partitions.size()));
  for (const std::vector<SpillPiece>& pieces : partitions) {
    to.put(static_cast<int64_t>(pieces.size()));
    for (const SpillPiece& piece : pieces) to.put(piece);
  }
}

std::vector<std::vector<SpillPiece>> get_pieces(BytesReader& from) {
  std::vector<std::vector<SpillPiece>> partitions(static_cast<size_t>(from.get<int64_t>()));
  for (std::vector<SpillPiece>& pieces : partitions) {
    pieces.resize(static_cast<size_t>(from.get<int64_t>()));
    for (SpillPiece& piece : pieces) piece = from.get<SpillPiece>();
  }
  return partitions;
}

}  // namespace

std::string Intake::pack() const {
  BytesWriter to;
  to.put(static_cast<int64_t>(rows.size()));
  for (const int64_t count : rows) to.put(count);
  put_pieces(pieces, to);
  put_pieces(labels, to);
  to.put(static_cast<int64_t>(clusters.size()));
  for (const std::string& name : clusters) to.put_text(name);
  counts.put(to);
  to.put(is_binary);
  to.put(last_time);
  return to.take();
}

Intake Intake::unpack(std::string_view bytes) {
  BytesReader from(bytes);
  Intake intake;
  intake.rows.resize(static_cast<size_t>(from.get<int64_t>()));
  for (int64_t& count : intake.rows) count = from.get<int64_t>();
  intake.pieces = get_pieces(from);
  intake.labels = get_pieces(from);
  intake.clusters.resize(static_cast<size_t>(from.get<int64_t>()));
  for (std::string& name : intake.clusters) name = from.get_text();
  intake.counts = ImportCounts::get(from);
  intake.is_binary = from.get<bool>();
  intake.last_time = from.get<int64_t>();
  return intake;
}

std::vector<int64_t> share_tables(const std::vector<int64_t>& bytes, int64_t ranks) {
  const double total = std::max(1.0, std::accumulate(bytes.begin(), bytes.end(), 0.0));
  std::vector<int64_t> first(static_cast<size_t>(ranks) + 1, static_cast<int64_t>(bytes.size()));
  first[0] = 0;
  double before = 0;
  int64_t rank = 0;
  for (size_t table = 0; table < bytes.size(); ++table) {
    // A table is its rank's whose share holds the table's middle.
    const double middle = before + 0.5 * static_cast<double>(bytes[table]);
    const auto owner =
        std::min(ranks - 1, static_cast<int64_t>(middle / total * static_cast<double>(ranks)));
    while (rank < owner) first[static_cast<size_t>(++rank)] = static_cast<int64_t>(table);
    before += static_cast<double>(bytes[table]);
  }
  return first;
}

int64_t partitions_for(const Mapping& mapping, const std::vector<std::string>& tables,
                       const std::vector<int64_t>& bytes) {
  const auto count = static_cast<int64_t>(tables.size());
  if (mapping.form == RowForm::journey) return count;
  int64_t plain = 0;
  for (size_t table = 0; table < tables.size(); ++table) {
    const bool is_packed = tables[table].ends_with(".gz") || tables[table].ends_with(".zst");
    plain += bytes[table] * (is_packed ? kUnpacked : 1);
  }
  const auto wanted = static_cast<uint64_t>(plain / kPartitionBytes + 1);
  return std::min(kMostPartitions, static_cast<int64_t>(std::bit_ceil(wanted)));
}

TableIntake::TableIntake(const Mapping& mapping, OnBadRow on_bad_row,
                         const std::vector<std::string>& tables, int64_t partitions,
                         const std::string& rows_path, const std::string& labels_path,
                         int64_t writer)
    : mapping_(mapping),
      on_bad_row_(on_bad_row),
      tables_(tables),
      parser_(mapping),
      partitions_(partitions),
      spill_(rows_path, writer, partitions,
             std::clamp(kAllBuffers / partitions, kSmallestBuffer, kLargestBuffer)),
      labels_(labels_path, writer) {
  intake_.rows.assign(tables.size(), 0);
}

void TableIntake::read(int64_t table, const std::function<void(int64_t bytes)>& on_bytes) {
  table_ = table;
  const std::string& path = tables_[static_cast<size_t>(table)];
  const char separator = mapping_.separator != 0 ? mapping_.separator : csv_separator(path);
  size_t columns = 0;  // of the header
  std::unique_ptr<RowMaker> maker;
  read_csv(
      path, separator,
      [&](std::span<const std::string_view> fields, int64_t line) {
        if (columns != 0) {
          if (maker && fields.size() == columns) {
            make_rows(*maker, fields, line);
          } else {
            take(fields, columns, line);
          }
          return;
        }
        columns = fields.size();
        if (!mapping_.make_rows) {
          parser_.find_columns(path, fields, line);
          return;
        }
        maker = mapping_.make_rows(path, {fields.begin(), fields.end()});
        const std::vector<std::string_view> header(maker->columns().begin(),
                                                   maker->columns().end());
        parser_.find_columns(path, header, line);
      },
      on_bytes);
  if (columns == 0) throw UserError(path + ": is empty; its first line should name the columns");
  if (mapping_.form == RowForm::journey) spill_.flush(table);
}

void TableIntake::make_rows(RowMaker& maker, std::span<const std::string_view> record,
                            int64_t line) {
  const size_t columns = maker.columns().size();
  try {
    maker.make(record, line,
               [&](std::span<const std::string_view> fields) { take(fields, columns, line); });
  } catch (const BadRow& bad) {
    count_bad(bad, next_place(line));
  }
}

RowPlace TableIntake::next_place(int64_t line) {
  ++total_rows_;
  return {table_, intake_.rows[static_cast<size_t>(table_)]++, line};
}

void TableIntake::take(std::span<const std::string_view> fields, size_t columns, int64_t line) {
  const RowPlace place = next_place(line);
  std::string_view key;
  try {
    if (fields.size() != columns) {
      throw BadRow{"", format("%zu fields", fields.size()),
                   format("where the header has %zu", columns)};
    }
    key = parser_.key_of(fields);
    parser_.parse(fields, row_);
  } catch (const BadRow& bad) {
    count_bad(bad, place);
    if (key.empty()) return;
    const uint64_t hash = key_hash(key);
    pack_bad_row(place, key, hash, record_);
    return spill(hash);
  }
  look_at_values();
  const uint64_t hash = key_hash(row_.key);
  pack_row(place, row_, hash, record_);
  spill(hash);
}

void TableIntake::spill(uint64_t hash) {
  // The high bits; at most 2^13 partitions.
  const uint64_t by_key = (hash >> 51) * static_cast<uint64_t>(partitions_) >> 13;
  spill_.append(mapping_.form == RowForm::journey ? table_ : static_cast<int64_t>(by_key), record_);
}

void TableIntake::count_bad(const BadRow& bad, const RowPlace& place) {
  const std::string words = words_of(bad, tables_[static_cast<size_t>(place.part)], place.line);
  if (on_bad_row_ == OnBadRow::fail) {
    throw UserError(words + " (--on-bad-row skip leaves such rows out)");
  }
  ++intake_.counts.dropped[reason_of(bad)];
  intake_.counts.first_bad_row.offer(place.part, place.row, words);
}

void TableIntake::look_at_values() {
  const Journeys& values = row_.values;
  const float outcome = values.outcome[0];
  intake_.is_binary = intake_.is_binary && (outcome == 0 || outcome == 1 || outcome != outcome);
  if (!values.time.empty()) intake_.last_time = std::max(intake_.last_time, values.time[0]);
  if (!values.touch_time.empty()) {
    intake_.last_time = std::max(intake_.last_time, values.touch_time[0]);
  }
  if (!row_.user.empty()) labels_.add(row_.user);
}

Intake TableIntake::finish() {
  intake_.pieces = spill_.finish();
  intake_.labels = labels_.finish();
  intake_.clusters = parser_.cluster_names();
  return std::move(intake_);
}

}  // namespace alm::io
