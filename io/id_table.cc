#include "io/id_table.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "io/csv.h"
#include "io/field.h"
#include "io/row_maker.h"
#include "kernels/base/check.h"
#include "kernels/base/text.h"

namespace alm::io {

IdTable::IdTable(std::string name, size_t columns)
    : name_(std::move(name)), columns_(columns), texts_(columns), numbers_(columns) {}

void IdTable::add(uint64_t id, std::span<const std::string_view> texts) {
  ALM_CHECK(texts.size() == columns_);
  ids_.push_back(id);
  for (size_t column = 0; column < columns_; ++column) {
    const auto [found, is_new] = numbers_[column].emplace(
        std::string(texts[column]), static_cast<uint32_t>(texts_[column].size()));
    if (is_new) texts_[column].push_back(found->first);
    values_.push_back(found->second);
  }
}

void IdTable::finish() {
  numbers_ = {};
  // Published files are sorted by id as a rule, and then nothing moves.
  const auto ascends = [](uint64_t a, uint64_t b) { return a < b; };
  if (std::adjacent_find(ids_.begin(), ids_.end(), std::not_fn(ascends)) == ids_.end()) return;
  const auto row = [&](size_t at) { return values_.begin() + static_cast<int64_t>(at * columns_); };
  std::vector<size_t> order(ids_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return ids_[a] < ids_[b]; });
  std::vector<uint64_t> ids;
  std::vector<uint32_t> values;
  ids.reserve(ids_.size());
  values.reserve(values_.size());
  for (const size_t from : order) {
    if (!ids.empty() && ids.back() == ids_[from]) {
      if (std::equal(row(from), row(from + 1), values.end() - static_cast<int64_t>(columns_))) {
        continue;
      }
      throw UserError(format("%s: id %llu stands in two rows that differ", name_.c_str(),
                             static_cast<unsigned long long>(ids_[from])));
    }
    ids.push_back(ids_[from]);
    values.insert(values.end(), row(from), row(from + 1));
  }
  ids_ = std::move(ids);
  values_ = std::move(values);
}

std::optional<size_t> IdTable::find(uint64_t id) const {
  const auto found = std::lower_bound(ids_.begin(), ids_.end(), id);
  if (found == ids_.end() || *found != id) return std::nullopt;
  return static_cast<size_t>(found - ids_.begin());
}

IdTable load_id_table(const std::vector<std::string>& paths, const std::string& key,
                      const std::vector<IdColumn>& columns) {
  IdTable table(join(paths, ", "), columns.size());
  for (const std::string& path : paths) {
    size_t width = 0, key_field = 0;
    std::vector<size_t> fields;
    std::vector<std::string_view> texts(columns.size());
    read_csv(
        path, csv_separator(path), [&](std::span<const std::string_view> record, int64_t line) {
          if (width == 0) {
            const std::vector<std::string> header(record.begin(), record.end());
            width = header.size();
            key_field = field_of(path, header, key);
            for (const IdColumn& column : columns) {
              fields.push_back(field_of(path, header, column.name));
            }
            return;
          }
          if (record.size() != width) {
            throw UserError(format("%s, line %lld: %zu fields where the header has %zu",
                                   path.c_str(), static_cast<long long>(line), record.size(),
                                   width));
          }
          if (record[key_field].empty()) {
            throw UserError(format("%s, line %lld, column '%s': is missing", path.c_str(),
                                   static_cast<long long>(line), key.c_str()));
          }
          for (size_t column = 0; column < columns.size(); ++column) {
            const std::string_view text = record[fields[column]];
            texts[column] = columns[column].clean == nullptr ? text : columns[column].clean(text);
          }
          table.add(label_id(record[key_field]), texts);
        });
    if (width == 0) throw UserError(path + ": is empty; its first line should name the columns");
  }
  table.finish();
  return table;
}

std::vector<std::string> csv_header(const std::string& path) {
  struct Found {
    std::vector<std::string> names;
  };
  try {
    read_csv(path, csv_separator(path), [](std::span<const std::string_view> record, int64_t) {
      throw Found{{record.begin(), record.end()}};  // the rest need not be read
    });
  } catch (const Found& found) {
    return found.names;
  }
  throw UserError(path + ": is empty; its first line should name the columns");
}

}  // namespace alm::io
