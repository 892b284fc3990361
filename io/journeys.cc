#include "io/journeys.h"

#include <algorithm>

#include "io/schema.h"
#include "kernels/base/check.h"

namespace alm::io {

namespace {

// out[i] = record from[indices[i]], records of kWidth values; 0: of `width`.
template <int64_t kWidth, class T>
void gather(const T* from, std::span<const int64_t> indices, int64_t width, T* out) {
  if (kWidth > 0) width = kWidth;
  for (const int64_t index : indices) {
    std::copy_n(from + index * width, width, out);
    out += width;
  }
}

template <class T>
void gather_records(const T* from, std::span<const int64_t> indices, int64_t width, T* out) {
  switch (width) {
    case 1:
      return gather<1>(from, indices, width, out);
    case 2:
      return gather<2>(from, indices, width, out);
    case 4:
      return gather<4>(from, indices, width, out);
    case 8:
      return gather<8>(from, indices, width, out);
    case 16:
      return gather<16>(from, indices, width, out);
    default:
      return gather<0>(from, indices, width, out);
  }
}

// Appends the ends of the journeys `rows` of `from` to `offsets`.
void append_offsets(const int64_t* from, std::span<const int64_t> rows,
                    std::vector<int64_t>& offsets) {
  const size_t before = offsets.size();
  offsets.resize(before + rows.size());
  int64_t end = offsets[before - 1];
  for (size_t index = 0; index < rows.size(); ++index) {
    end += from[rows[index] + 1] - from[rows[index]];
    offsets[before + index] = end;
  }
}

// Overwrites `touches` with those of the journeys `rows`, one after the other. The offsets are
// fetched before: they lie anywhere in memory, and no branch shall wait for it.
void list_touches(const int64_t* offsets, std::span<const int64_t> rows,
                  std::vector<int64_t>& touches) {
  int64_t count = 0;
  for (const int64_t row : rows) count += offsets[row + 1] - offsets[row];
  touches.resize(static_cast<size_t>(count));
  int64_t* out = touches.data();
  for (const int64_t row : rows) {
    for (int64_t touch = offsets[row]; touch < offsets[row + 1]; ++touch) *out++ = touch;
  }
}

}  // namespace

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

int64_t Journeys::bytes() const {
  size_t bytes = row.capacity() * sizeof(row[0]) + touch_begin.capacity() * sizeof(touch_begin[0]);
  for_each_column([&](const auto& column) {
    const auto& values = this->*column.values;
    bytes += values.capacity() * sizeof(values[0]);
  });
  return static_cast<int64_t>(bytes);
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

void Journeys::append_rows(const Journeys& from, std::span<const int64_t> rows,
                           const LogSchema& schema) {
  if (rows.empty()) return;
  const int64_t count = static_cast<int64_t>(rows.size());
  // Ascending without gaps: columns are copied whole.
  bool run = true;
  for (int64_t index = 1; index < count; ++index) {
    run &= rows[static_cast<size_t>(index)] == rows[0] + index;
  }
  append_offsets(from.touch_begin.data(), rows, touch_begin);
  thread_local std::vector<int64_t> touches;
  if (!run) list_touches(from.touch_begin.data(), rows, touches);
  const int64_t first_touch = from.touch_begin[static_cast<size_t>(rows[0])];
  const int64_t last_touch = from.touch_begin[static_cast<size_t>(rows[0] + (run ? count : 0))];

  const auto take = [&](const auto& source, auto& target, int64_t width, Scope scope) {
    if (source.empty()) return;
    const bool journey = scope == Scope::journey;
    if (run) {
      target.insert(target.end(), source.begin() + (journey ? rows[0] : first_touch) * width,
                    source.begin() + (journey ? rows[0] + count : last_touch) * width);
      return;
    }
    const std::span<const int64_t> indices = journey ? rows : std::span<const int64_t>(touches);
    const size_t before = target.size();
    target.resize(before + indices.size() * static_cast<size_t>(width));
    gather_records(source.data(), indices, width, target.data() + before);
  };
  take(from.row, row, 1, Scope::journey);
  for_each_column([&](const auto& column) {
    take(from.*column.values, this->*column.values, column.width(schema), column.scope);
  });
}

}  // namespace alm::io
