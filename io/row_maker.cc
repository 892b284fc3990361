#include "io/row_maker.h"

#include <algorithm>

#include "kernels/base/check.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

class Constant : public AddedColumns {
 public:
  Constant(const std::vector<std::string>& header, const std::string& name, std::string value)
      : AddedColumns(header, {name}), value_(std::move(value)) {}

 private:
  void fill(std::span<const std::string_view>, int64_t) override { added(0) = value_; }

  std::string value_;
};

}  // namespace

void reject(const std::string& column, std::string_view value, const char* what) {
  throw BadRow{column, value.empty() ? "" : "'" + std::string(value.substr(0, 80)) + "'", what};
}

size_t field_of(const std::string& path, const std::vector<std::string>& header,
                const std::string& name) {
  const auto found = std::find(header.begin(), header.end(), name);
  if (found == header.end()) {
    throw UserError(format("%s: no column is called '%s'; there are %s", path.c_str(), name.c_str(),
                           join(header, ", ").substr(0, 400).c_str()));
  }
  return static_cast<size_t>(found - header.begin());
}

AddedColumns::AddedColumns(const std::vector<std::string>& header,
                           const std::vector<std::string>& added)
    : own_(header.size()), columns_(header), fields_(header.size() + added.size()) {
  columns_.insert(columns_.end(), added.begin(), added.end());
}

void AddedColumns::make(std::span<const std::string_view> record, int64_t line,
                        const OnRow& on_row) {
  std::copy(record.begin(), record.end(), fields_.begin());
  fill(record, line);
  on_row(fields_);
}

RowMakers constant_column(const std::string& name,
                          std::function<std::string(const std::string& path)> value_of) {
  return [=](const std::string& path, const std::vector<std::string>& header) {
    return std::make_unique<Constant>(header, name, value_of(path));
  };
}

}  // namespace alm::io
