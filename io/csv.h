// Text tables: CSV and TSV, plain, gzip or zstd, read as a stream.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace alm::io {

// One record, the header line included: its fields, valid during the call, and the line of the file
// it begins on (from 1). Blank lines are not records.
using OnCsvRecord = std::function<void(std::span<const std::string_view> fields, int64_t line)>;

// '\t' for names that end in .tsv or .tab (before .gz or .zst), else ','.
char csv_separator(const std::string& path);

// Calls `on_record` for every record in order. Quotes ("" is a quote inside them), separators and
// line ends inside quotes, LF and CRLF, a byte order mark, gzip and zstd are understood; blanks
// around unquoted fields are dropped. UserError naming file, line and column on a broken quote, a
// file that cannot be read or is cut off, or UTF-16. What `on_record` throws goes through.
// `on_bytes` is told now and then how many bytes of the file, packed as they are, were read.
void read_csv(const std::string& path, char separator, const OnCsvRecord& on_record,
              const std::function<void(int64_t bytes)>& on_bytes = {});

}  // namespace alm::io
