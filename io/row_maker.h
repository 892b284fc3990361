// Rows made of the records of a table before a mapping reads them: columns computed from others,
// joined from another file, or several rows of one record.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace alm::io {

// Why a row or a record cannot be taken; caught where rows are counted.
struct BadRow {
  std::string column;  // empty: the row as a whole
  std::string value;   // "'abc'"; empty: not worth showing
  std::string what;    // "is not a number"
};
// Throws a BadRow that shows the beginning of `value`.
[[noreturn]] void reject(const std::string& column, std::string_view value, const char* what);

using OnRow = std::function<void(std::span<const std::string_view> fields)>;

// One reader's maker; holds scratch, so not thread-safe. The records of a table may be shared among
// several makers, so none may depend on the records before.
class RowMaker {
 public:
  virtual ~RowMaker() = default;
  // Names of the fields of the rows made.
  virtual const std::vector<std::string>& columns() const = 0;
  // Hands on each row made of the record that begins on `line` (fields valid during the call); as
  // many fields as the header had. Throws BadRow before any row is handed on.
  virtual void make(std::span<const std::string_view> record, int64_t line,
                    const OnRow& on_row) = 0;
};

// Makes the maker for a table with this header. UserError when a column it needs is not there.
// Thread-safe.
using RowMakers = std::function<std::unique_ptr<RowMaker>(const std::string& path,
                                                          const std::vector<std::string>& header)>;

// Makers of a class that takes just the path and the header.
template <class Maker>
RowMakers row_makers() {
  return [](const std::string& path, const std::vector<std::string>& header) {
    return std::make_unique<Maker>(path, header);
  };
}

// Where `name` stands in the header; UserError naming the file when it does not.
size_t field_of(const std::string& path, const std::vector<std::string>& header,
                const std::string& name);

// The columns of the table and then further ones.
class AddedColumns : public RowMaker {
 public:
  AddedColumns(const std::vector<std::string>& header, const std::vector<std::string>& added);
  const std::vector<std::string>& columns() const final { return columns_; }
  void make(std::span<const std::string_view> record, int64_t line, const OnRow& on_row) final;

 protected:
  // Sets added(0), added(1), ... to texts that stay valid until the next record.
  virtual void fill(std::span<const std::string_view> record, int64_t line) = 0;
  std::string_view& added(size_t index) { return fields_[own_ + index]; }

 private:
  size_t own_;
  std::vector<std::string> columns_;
  std::vector<std::string_view> fields_;
};

// One added column that says the same in every row of a table; `value_of` is asked once a table.
RowMakers constant_column(const std::string& name,
                          std::function<std::string(const std::string& path)> value_of);

}  // namespace alm::io
