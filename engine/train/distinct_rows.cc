#include "engine/train/distinct_rows.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace alm {
namespace {

constexpr int64_t kWord = 64;

size_t word_of(int64_t row) {
  return static_cast<size_t>(row / kWord);
}
uint64_t bit_of(int64_t row) {
  return uint64_t{1} << (row % kWord);
}

}  // namespace

void DistinctRows::clear() {
  used_.assign(static_cast<size_t>((table_rows_ + kWord - 1) / kWord), 0);
  before_.resize(used_.size());
  rows_.clear();
  places_.clear();
}

void DistinctRows::mark(std::span<const int64_t> rows) {
  for (const int64_t row : rows) used_[word_of(row)] |= bit_of(row);
}

void DistinctRows::add(std::span<const int64_t> uses) {
  mark(uses);
  places_.insert(places_.end(), uses.begin(), uses.end());
}

void DistinctRows::collect() {
  rows_.clear();
  for (size_t word = 0; word < used_.size(); ++word) {
    before_[word] = std::ssize(rows_);
    for (uint64_t left = used_[word]; left != 0; left &= left - 1) {
      rows_.push_back(static_cast<int64_t>(word) * kWord + std::countr_zero(left));
    }
  }
}

void DistinctRows::join(Communicator& world, const char* what) {
  collect();
  world.all_gather_v(std::as_bytes(std::span(rows_)), bytes_, bytes_of_rank_, what);
  of_ranks_.resize(bytes_.size() / sizeof(int64_t));
  if (!of_ranks_.empty()) std::memcpy(of_ranks_.data(), bytes_.data(), bytes_.size());
  mark(of_ranks_);
}

int64_t DistinctRows::place_of(int64_t row) const {
  const uint64_t in_front = used_[word_of(row)] & (bit_of(row) - 1);
  return before_[word_of(row)] + std::popcount(in_front);
}

void DistinctRows::find() {
  collect();
  for (int64_t& place : places_) place = place_of(place);
}

void DistinctRows::locate(std::span<const int64_t> uses) {
  places_.clear();
  for (const int64_t row : uses) places_.push_back(place_of(row));
}

void DistinctRows::pad(int64_t count) {
  for (int64_t row = 0; row < table_rows_ && std::ssize(rows_) < count; ++row) {
    if ((used_[word_of(row)] & bit_of(row)) == 0) rows_.push_back(row);
  }
}

}  // namespace alm
