#include "engine/train/distinct_rows.h"

#include "kernels/base/view.h"

namespace alm {

void DistinctRows::clear() {
  for (const int64_t row : rows_) place_of_row_[static_cast<size_t>(row)] = -1;
  rows_.clear();
  places_.clear();
}

void DistinctRows::add_row(int64_t row) {
  place_of_row_[static_cast<size_t>(row)] = narrow<int32_t>(std::ssize(rows_));
  rows_.push_back(row);
}

void DistinctRows::add(std::span<const int64_t> uses) {
  for (const int64_t row : uses) {
    if (place_of_row_[static_cast<size_t>(row)] < 0) add_row(row);
    places_.push_back(place_of_row_[static_cast<size_t>(row)]);
  }
}

void DistinctRows::pad(int64_t count) {
  for (int64_t row = 0; row < std::ssize(place_of_row_) && std::ssize(rows_) < count; ++row) {
    if (place_of_row_[static_cast<size_t>(row)] < 0) add_row(row);
  }
}

}  // namespace alm
