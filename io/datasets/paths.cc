// Path counts as tools for multi-touch attribution ship them: "a > b > c", how many journeys went
// that way and converted, and how many did not. Each counted journey becomes one.
#include <algorithm>
#include <optional>

#include "io/datasets/spec.h"
#include "io/field.h"
#include "io/row_maker.h"
#include "kernels/base/check.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

constexpr int64_t kMostJourneys = 10'000'000;  // of one record; more is a damaged count

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

class PathRows : public RowMaker {
 public:
  // `table`: number of the table, as each has journeys of its own.
  PathRows(int64_t table, const std::string& path, const std::vector<std::string>& header)
      : table_(table),
        path_(field_of(path, header, "path")),
        converted_(field_of(path, header, "total_conversions")),
        value_(field_of(path, header, "total_conversion_value")),
        null_(field_of(path, header, "total_null")) {}

  const std::vector<std::string>& columns() const final { return columns_; }

  void make(std::span<const std::string_view> record, int64_t line, const OnRow& on_row) final {
    split_path(record[path_]);
    const int64_t converted = count("total_conversions", record[converted_]);
    const int64_t null = count("total_null", record[null_]);
    const std::optional<float> total = parse_number(record[value_]);
    if (!total) reject("total_conversion_value", record[value_], "is not a number");
    const std::string each =
        format("%.9g", converted == 0 ? 0.0 : *total / static_cast<double>(converted));
    for (int64_t journey = 0; journey < converted + null; ++journey) {
      const bool is_converted = journey < converted;
      const std::string key = format("%lld:%lld.%lld", static_cast<long long>(table_),
                                     static_cast<long long>(line), static_cast<long long>(journey));
      for (const std::string_view channel : channels_) {
        const std::string_view fields[] = {key, channel, is_converted ? "1" : "0",
                                           is_converted ? std::string_view(each) : "0"};
        on_row(fields);
      }
    }
  }

 private:
  static int64_t count(const char* column, std::string_view text) {
    const std::optional<int64_t> value = parse_whole(text);
    if (!value || *value < 0 || *value > kMostJourneys) {
      reject(column, text, "is not a count of 0 to 10,000,000");
    }
    return *value;
  }

  void split_path(const std::string_view path) {
    channels_.clear();
    for (size_t begin = 0, end = 0; end != path.npos; begin = end + 1) {
      end = path.find('>', begin);
      channels_.push_back(trimmed(path.substr(begin, end - begin)));
      if (channels_.back().empty()) {
        reject("path", path, "has a channel without a name");
      }
    }
  }

  const std::vector<std::string> columns_ = {"journey", "channel", "conversion", "value"};
  int64_t table_;
  size_t path_, converted_, value_, null_;
  std::vector<std::string_view> channels_;
};

}  // namespace

DatasetSpec paths_dataset() {
  DatasetSpec spec;
  spec.name = "paths";
  spec.mapping =
      "[file]\n"
      "form = touch\n"
      "[columns]\n"
      "journey = journey\n"
      "cluster = channel\n"
      "outcome = conversion\n";
  spec.outcomes = {"conversion", "value"};
  spec.continuous = {"value"};
  spec.complete = [](const DatasetChoice&, Dataset& dataset) {
    dataset.mapping.make_rows = [tables = dataset.tables](const std::string& path,
                                                          const std::vector<std::string>& header) {
      const auto table = std::find(tables.begin(), tables.end(), path) - tables.begin();
      return std::make_unique<PathRows>(table, path, header);
    };
    dataset.notes.push_back(
        "path counts know no times, no reference arm, no mediator and no users: each counted "
        "journey is a user of its own, and value is the mean over the conversions of its record");
  };
  return spec;
}

}  // namespace alm::io
