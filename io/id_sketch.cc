#include "io/id_sketch.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "io/bytes.h"
#include "kernels/base/check.h"
#include "kernels/base/hash.h"

namespace alm::io {

bool IdSketch::is_sampled(uint64_t id) const {
  const uint64_t low_bits = (uint64_t{1} << level_) - 1;
  return (mix(id) & low_bits) == 0;
}

void IdSketch::add(uint64_t id) {
  ++total_;
  if (level_ > 0) {
    ++hot_[id];
    if (hot_.size() >= 2 * kHot) cut_hot();
    if (!is_sampled(id)) return;
  }
  ++counts_[id];
  if (static_cast<int64_t>(counts_.size()) > capacity_) raise_level();
}

void IdSketch::raise_level() {
  if (level_ == 0) {  // so far every count is known, and so are the most frequent
    hot_ = counts_;
    cut_hot();
  }
  while (static_cast<int64_t>(counts_.size()) > capacity_) {
    ++level_;
    std::erase_if(counts_, [&](const auto& entry) { return !is_sampled(entry.first); });
  }
}

void IdSketch::cut_hot() {
  if (hot_.size() <= kHot) return;
  std::vector<int64_t> counts;
  for (const auto& [id, count] : hot_) counts.push_back(count);
  std::nth_element(counts.begin(), counts.begin() + kHot, counts.end(), std::greater<>());
  const int64_t next = counts[kHot];
  hot_error_ += next;
  std::erase_if(hot_, [&](const auto& entry) { return entry.second <= next; });
  for (auto& [id, count] : hot_) count -= next;
}

void IdSketch::merge(const IdSketch& other) {
  ALM_CHECK(capacity_ == other.capacity_);
  if (level_ > 0 || other.level_ > 0) {
    if (level_ == 0) hot_ = counts_;
    const Counts& theirs = other.level_ == 0 ? other.counts_ : other.hot_;
    for (const auto& [id, count] : theirs) hot_[id] += count;
    hot_error_ += other.hot_error_;
    cut_hot();
    level_ = std::max(level_, other.level_);
    std::erase_if(counts_, [&](const auto& entry) { return !is_sampled(entry.first); });
  }
  total_ += other.total_;
  for (const auto& [id, count] : other.counts_) {
    if (is_sampled(id)) counts_[id] += count;
  }
  if (static_cast<int64_t>(counts_.size()) > capacity_) raise_level();
}

std::string IdSketch::pack() const {
  BytesWriter to;
  for (const int64_t value : {capacity_, total_, level_, hot_error_}) to.put(value);
  for (const Counts* counts : {&counts_, &hot_}) {
    to.put(static_cast<int64_t>(counts->size()));
    for (const auto& [id, count] : *counts) {
      to.put(id);
      to.put(count);
    }
  }
  return to.take();
}

IdSketch IdSketch::unpack(std::string_view bytes) {
  BytesReader from(bytes);
  IdSketch sketch(from.get<int64_t>());
  for (int64_t* value : {&sketch.total_, &sketch.level_, &sketch.hot_error_}) {
    *value = from.get<int64_t>();
  }
  for (Counts* counts : {&sketch.counts_, &sketch.hot_}) {
    for (int64_t left = from.get<int64_t>(); left > 0; --left) {
      const auto id = from.get<uint64_t>();
      (*counts)[id] = from.get<int64_t>();
    }
  }
  return sketch;
}

std::vector<IdSketch::Hot> IdSketch::hottest(int64_t most) const {
  std::vector<Hot> all;
  for (const auto& [id, count] : is_exact() ? counts_ : hot_) all.push_back({id, count});
  const auto kept = std::min(all.size(), static_cast<size_t>(most));
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(kept), all.end(),
                    [](const Hot& a, const Hot& b) {
                      return a.count != b.count ? a.count > b.count : a.id < b.id;
                    });
  all.resize(kept);
  return all;
}

IdSketch::Rare IdSketch::rarer_than(int64_t threshold) const {
  if (counts_.empty()) return {std::nan(""), std::nan("")};
  int64_t ids = 0, occurrences = 0;
  for (const auto& [id, count] : counts_) {
    if (count >= threshold) continue;
    ++ids;
    occurrences += count;
  }
  const double sampled = static_cast<double>(counts_.size());
  // Occurrences of the sampled rare ids stand for 2^level times as many.
  const double all = std::ldexp(static_cast<double>(occurrences), static_cast<int>(level_));
  return {static_cast<double>(ids) / sampled, std::min(1.0, all / static_cast<double>(total_))};
}

IdSketch::Collisions IdSketch::in_table(uint64_t feature, int64_t rows) const {
  const double others = static_cast<double>(std::max<int64_t>(distinct() - 1, 0));
  Collisions collisions;
  collisions.expected = -std::expm1(others * std::log1p(-1.0 / static_cast<double>(rows)));
  collisions.found = std::numeric_limits<double>::quiet_NaN();
  if (!is_exact() || counts_.empty()) return collisions;
  std::vector<int64_t> of_ids;
  for (const auto& [id, count] : counts_) of_ids.push_back(table_row(id, feature, rows));
  std::sort(of_ids.begin(), of_ids.end());
  int64_t sharing = 0;
  for (size_t at = 0; at < of_ids.size(); ++at) {
    sharing += (at > 0 && of_ids[at] == of_ids[at - 1]) ||
               (at + 1 < of_ids.size() && of_ids[at] == of_ids[at + 1]);
  }
  collisions.found = static_cast<double>(sharing) / static_cast<double>(of_ids.size());
  return collisions;
}

}  // namespace alm::io
