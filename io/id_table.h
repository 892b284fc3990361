// A table of texts by id, for joins: loaded once, looked up by every row.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace alm::io {

// Takes 8 bytes an id and 4 a column, and every distinct text of a column once. Loading is not
// thread-safe, looking up is.
class IdTable {
 public:
  // `name`: of the file, for messages.
  IdTable(std::string name, size_t columns);

  void add(uint64_t id, std::span<const std::string_view> texts);
  // After the last add. UserError when an id was added with two different rows.
  void finish();

  int64_t size() const { return static_cast<int64_t>(ids_.size()); }
  // The row of an id.
  std::optional<size_t> find(uint64_t id) const;
  std::string_view text(size_t row, size_t column) const {
    return texts_[column][values_[row * columns_ + column]];
  }

 private:
  std::string name_;
  size_t columns_;
  std::vector<uint64_t> ids_;
  std::vector<uint32_t> values_;  // [rows * columns] into texts_
  std::vector<std::vector<std::string>> texts_;
  std::vector<std::unordered_map<std::string, uint32_t>> numbers_;  // of texts, while loading
};

// A column to load; `clean` shortens its texts.
struct IdColumn {
  std::string name;
  std::string_view (*clean)(std::string_view) = nullptr;
};

// The named columns of text tables by the id (label_id) in column `key`. UserError on what read_csv
// refuses, a missing column, a missing id, or an id that stands for two different rows.
IdTable load_id_table(const std::vector<std::string>& paths, const std::string& key,
                      const std::vector<IdColumn>& columns);

// The names of the columns of a text table. UserError when it has none.
std::vector<std::string> csv_header(const std::string& path);

}  // namespace alm::io
