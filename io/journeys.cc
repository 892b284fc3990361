#include "io/journeys.h"

#include <algorithm>

#include "io/schema.h"
#include "kernels/base/check.h"

namespace alm::io {

std::string LogSchema::cluster_name(int64_t cluster) const {
  if (cluster >= 0 && cluster < static_cast<int64_t>(cluster_names.size())) {
    return cluster_names[static_cast<size_t>(cluster)];
  }
  return format("cluster %lld", static_cast<long long>(cluster));
}

ColumnSet ColumnSet::all() {
  ColumnSet set;
  for_each_column([&](const auto& column) {
    if (column.wanted != nullptr) set.*column.wanted = true;
  });
  return set;
}

void Journeys::clear() {
  row.clear();
  touch_begin.assign(1, 0);
  for_each_column([&](const auto& column) { (this->*column.values).clear(); });
}

void Journeys::append(const Journeys& from, int64_t index, const LogSchema& schema,
                      int64_t without_touch) {
  ALM_CHECK(index >= 0 && index < from.size());
  const int64_t begin = from.touch_begin[static_cast<size_t>(index)];
  const int64_t end = from.touch_begin[static_cast<size_t>(index) + 1];
  const bool cut = without_touch >= 0;
  ALM_CHECK(without_touch < end - begin);
  if (!from.row.empty()) row.push_back(from.row[static_cast<size_t>(index)]);
  for_each_column([&](const auto& column) {
    const auto& source = from.*column.values;
    if (source.empty()) return;
    auto& target = this->*column.values;
    const int64_t width = column.width(schema);
    const auto copy = [&](int64_t first, int64_t last) {
      target.insert(target.end(), source.begin() + first * width, source.begin() + last * width);
    };
    if (column.scope == Scope::journey) {
      copy(index, index + 1);
    } else if (cut) {
      copy(begin, begin + without_touch);
      copy(begin + without_touch + 1, end);
    } else {
      copy(begin, end);
    }
  });
  touch_begin.push_back(touch_begin.back() + end - begin - (cut ? 1 : 0));
}

}  // namespace alm::io
