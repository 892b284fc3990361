#include "io/csv.h"

#include <csv.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <vector>

#include "io/codec.h"
#include "kernels/base/check.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

constexpr size_t kLargestField = size_t{1} << 20;  // beyond it a closing quote is missing
constexpr size_t kMostFields = size_t{1} << 20;
constexpr size_t kLargestRecord = size_t{1} << 26;  // bytes, which are held in memory
constexpr size_t kReadBytes = size_t{1} << 16;
constexpr std::string_view kZstdMagic = "\x28\xB5\x2F\xFD";

// Collects the fields of a record. The parser is fed line by line, so the number of the line being
// fed is where an error is.
class Records {
 public:
  Records(const std::string& path, char separator, const OnCsvRecord& on_record)
      : path_(path), separator_(separator), on_record_(on_record) {
    if (csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI) != 0) {
      throw MachineError("no memory for the CSV parser");
    }
    csv_set_delim(&parser_, static_cast<unsigned char>(separator));
  }
  ~Records() { csv_free(&parser_); }
  Records(const Records&) = delete;
  Records& operator=(const Records&) = delete;

  // A line with its end, or a part of one.
  void feed(std::string_view part) {
    if (between_records_ && !is_blank(part)) {
      between_records_ = false;
      record_line_ = line_;
    }
    const size_t taken = csv_parse(&parser_, part.data(), part.size(), &Records::end_field,
                                   &Records::end_record, this);
    if (failure_) std::rethrow_exception(failure_);
    if (taken != part.size()) fail_parsing();
    if (parser_.entry_pos > kLargestField) {
      throw UserError(
          format("%s, line %lld, column %zu: a field of more than 1 MiB: is a closing quote "
                 "missing?",
                 path_.c_str(), number(record_line_), ends_.size() + 1));
    }
    if (ends_.size() > kMostFields || text_.size() > kLargestRecord) {
      throw UserError(format("%s, line %lld: a row of more than %s: is this a table?",
                             path_.c_str(), number(record_line_),
                             ends_.size() > kMostFields ? "1,048,576 fields" : "64 MiB"));
    }
    if (part.back() == '\n') ++line_;
  }

  void finish() {
    const int error = csv_fini(&parser_, &Records::end_field, &Records::end_record, this);
    if (failure_) std::rethrow_exception(failure_);
    if (error != 0) {
      throw UserError(format("%s, line %lld, column %zu: the closing quote is missing",
                             path_.c_str(), number(record_line_), ends_.size() + 1));
    }
  }

 private:
  static long long number(int64_t value) { return value; }

  bool is_blank(std::string_view part) const {
    return std::all_of(part.begin(), part.end(), [this](char letter) {
      return letter != separator_ &&
             (letter == ' ' || letter == '\t' || letter == '\r' || letter == '\n');
    });
  }

  [[noreturn]] void fail_parsing() {
    const int error = csv_error(&parser_);
    if (error == CSV_ENOMEM || error == CSV_ETOOBIG)
      throw MachineError("out of memory for a CSV field");
    throw UserError(
        format("%s, line %lld, column %zu: a quote in the wrong place (a field with quotes "
               "is quoted as a whole, with \"\" for each quote in it)",
               path_.c_str(), number(line_), ends_.size() + 1));
  }

  // Called from C, through which no exception may pass: kept and thrown again by feed().
  static void end_field(void* field, size_t bytes, void* self) {
    Records& records = *static_cast<Records*>(self);
    if (records.failure_) return;
    try {
      records.text_.append(static_cast<const char*>(field), bytes);
      records.ends_.push_back(records.text_.size());
    } catch (...) {
      records.failure_ = std::current_exception();
    }
  }
  static void end_record(int, void* self) {
    Records& records = *static_cast<Records*>(self);
    if (records.failure_) return;
    try {
      records.fields_.clear();
      size_t begin = 0;
      for (const size_t end : records.ends_) {
        records.fields_.push_back(std::string_view(records.text_).substr(begin, end - begin));
        begin = end;
      }
      records.on_record_(records.fields_, records.record_line_);
      records.text_.clear();
      records.ends_.clear();
      records.between_records_ = true;
    } catch (...) {
      records.failure_ = std::current_exception();
    }
  }

  const std::string& path_;
  char separator_;
  const OnCsvRecord& on_record_;
  csv_parser parser_{};
  std::string text_;  // the fields of the record one after the other
  std::vector<size_t> ends_;
  std::vector<std::string_view> fields_;
  int64_t line_ = 1;
  int64_t record_line_ = 1;
  bool between_records_ = true;
  std::exception_ptr failure_;
};

// The next bytes of the file, empty at its end.
std::string_view read_bytes(gzFile file, const std::string& path, std::span<char> buffer) {
  const int count = gzread(file, buffer.data(), static_cast<unsigned>(buffer.size()));
  int error = Z_OK;
  const char* words = gzerror(file, &error);
  if (count < 0 || error == Z_BUF_ERROR) {
    throw UserError(format("%s: cannot be read to its end: %s", path.c_str(),
                           error == Z_ERRNO       ? std::strerror(errno)
                           : error == Z_BUF_ERROR ? "the gzip file is cut off"
                                                  : words));
  }
  return {buffer.data(), static_cast<size_t>(count)};
}

// The beginning of a text without its byte order mark.
std::string_view without_mark(const std::string& path, std::string_view text) {
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
    throw UserError(path + ": is UTF-16; convert it to UTF-8 first (iconv -f UTF-16 -t UTF-8)");
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  return text;
}

void feed_lines(Records& records, std::string_view text) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const size_t bytes = end == text.npos ? text.size() : end + 1;
    records.feed(text.substr(0, bytes));
    text.remove_prefix(bytes);
  }
}

}  // namespace

char csv_separator(const std::string& path) {
  std::string name = path;
  for (const std::string end : {".gz", ".zst"}) {
    if (name.ends_with(end)) name.resize(name.size() - end.size());
  }
  return name.ends_with(".tsv") || name.ends_with(".tab") ? '\t' : ',';
}

void read_csv(const std::string& path, char separator, const OnCsvRecord& on_record,
              const std::function<void(int64_t bytes)>& on_bytes) {
  // zlib passes what is not gzip through as it is.
  std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), &gzclose_r);
  if (!file) {
    throw UserError(format("%s: cannot be opened: %s", path.c_str(), std::strerror(errno)));
  }
  Records records(path, separator, on_record);
  std::array<char, kReadBytes> buffer;
  std::array<std::byte, kReadBytes> unpacked;
  std::optional<ZstdStream> zstd;
  bool start = true;
  while (true) {
    const std::string_view bytes = read_bytes(file.get(), path, buffer);
    if (bytes.empty()) break;
    if (on_bytes) on_bytes(gzoffset(file.get()));
    if (start && bytes.starts_with(kZstdMagic)) zstd.emplace();
    if (!zstd) {
      feed_lines(records, start ? without_mark(path, bytes) : bytes);
      start = false;
      continue;
    }
    std::span<const std::byte> packed = std::as_bytes(std::span(bytes));
    size_t count = unpacked.size();
    while (!packed.empty() || count == unpacked.size()) {
      const std::optional<size_t> filled = zstd->undo(packed, unpacked);
      if (!filled) throw UserError(path + ": the zstd file is damaged");
      count = *filled;
      const std::string_view text(reinterpret_cast<const char*>(unpacked.data()), count);
      feed_lines(records, start ? without_mark(path, text) : text);
      start = start && count == 0;
    }
  }
  if (zstd && !zstd->at_end()) {
    throw UserError(path + ": cannot be read to its end: the zstd file is cut off");
  }
  records.finish();
}

}  // namespace alm::io
