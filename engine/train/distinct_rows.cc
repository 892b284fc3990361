#include "engine/train/distinct_rows.h"

#include <algorithm>
#include <cstring>

#include "kernels/base/view.h"

namespace alm {
namespace {

// Uses whose place is fetched ahead: the rows of a batch lie anywhere in the table.
constexpr size_t kAhead = 32;

}  // namespace

void DistinctRows::clear() {
  place_of_row_.resize(static_cast<size_t>(table_rows_), -1);
  for (const int64_t row : rows_) place_of_row_[static_cast<size_t>(row)] = -1;
  rows_.clear();
  places_.clear();
}

void DistinctRows::add_row(int64_t row) {
  place_of_row_[static_cast<size_t>(row)] = narrow<int32_t>(std::ssize(rows_));
  rows_.push_back(row);
}

void DistinctRows::add(std::span<const int64_t> uses) {
  for (size_t use = 0; use < uses.size(); ++use) {
    if (use + kAhead < uses.size()) {
      __builtin_prefetch(&place_of_row_[static_cast<size_t>(uses[use + kAhead])], 1);
    }
    const int64_t row = uses[use];
    if (place_of_row_[static_cast<size_t>(row)] < 0) add_row(row);
    places_.push_back(place_of_row_[static_cast<size_t>(row)]);
  }
}

void DistinctRows::join(Communicator& world, const char* what) {
  world.all_gather_v(std::as_bytes(std::span(rows_)), of_ranks_, bytes_of_rank_, what);
  std::vector<int64_t>& mine = before_;
  std::swap(mine, rows_);
  rows_.resize(of_ranks_.size() / sizeof(int64_t));
  if (!rows_.empty()) std::memcpy(rows_.data(), of_ranks_.data(), of_ranks_.size());
  std::ranges::sort(rows_);
  rows_.erase(std::ranges::unique(rows_).begin(), rows_.end());
  for (size_t place = 0; place < rows_.size(); ++place) {
    place_of_row_[static_cast<size_t>(rows_[place])] = narrow<int32_t>(static_cast<int64_t>(place));
  }
  for (int64_t& place : places_) {
    place = place_of_row_[static_cast<size_t>(mine[static_cast<size_t>(place)])];
  }
}

void DistinctRows::locate(std::span<const int64_t> uses) {
  places_.clear();
  for (const int64_t row : uses) places_.push_back(place_of_row_[static_cast<size_t>(row)]);
}

void DistinctRows::pad(int64_t count) {
  for (int64_t row = 0; row < std::ssize(place_of_row_) && std::ssize(rows_) < count; ++row) {
    if (place_of_row_[static_cast<size_t>(row)] < 0) add_row(row);
  }
}

}  // namespace alm
