#include "engine/train/distinct_rows.h"

namespace alm {

void DistinctRows::find(std::span<const int64_t> uses) {
  rows_.clear();
  places_.clear();
  rows_.reserve(uses.size());
  places_.reserve(uses.size());
  for (const int64_t row : uses) {
    int64_t& place = place_of_row_[static_cast<size_t>(row)];
    if (place < 0) {
      place = static_cast<int64_t>(rows_.size());
      rows_.push_back(row);
    }
    places_.push_back(place);
  }
  for (const int64_t row : rows_) place_of_row_[static_cast<size_t>(row)] = -1;
}

}  // namespace alm
