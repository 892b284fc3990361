// How often ids occur, in bounded memory: how many there are, the most frequent ones, and how many
// are rare.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace alm::io {

// Counts exactly until `capacity` different ids were met. From then on it keeps, with exact counts,
// the ids whose hash falls into a share of 2^-level of all hashes (distinct sampling, Gibbons
// 2001), and a summary of the frequent ones (Misra and Gries 1982). What it says of an id's share
// of all ids does not depend on the order of the ids or on how they were split before merging. Not
// thread-safe.
class IdSketch {
 public:
  static constexpr int64_t kCapacity = int64_t{1} << 17;

  explicit IdSketch(int64_t capacity = kCapacity) : capacity_(capacity) {}

  void add(uint64_t id);
  // As if all that was added to `other`, of the same capacity, had been added here.
  void merge(const IdSketch& other);
  std::string pack() const;
  static IdSketch unpack(std::string_view bytes);

  int64_t total() const { return total_; }
  bool is_exact() const { return level_ == 0; }
  // Different ids; an estimate unless exact.
  int64_t distinct() const { return static_cast<int64_t>(counts_.size()) << level_; }

  struct Hot {
    uint64_t id = 0;
    int64_t count = 0;  // at least; exact when the sketch is
  };
  // The most frequent ids, at most `most`; ties by id.
  std::vector<Hot> hottest(int64_t most) const;
  // By how much a count of hottest() may be too low.
  int64_t hot_error() const { return hot_error_; }

  // Ids that occur less than `threshold` times: their share of all ids, and of all occurrences. NaN
  // when nothing was added.
  struct Rare {
    double ids = 0;
    double occurrences = 0;
  };
  Rare rarer_than(int64_t threshold) const;

  // Of a table of `rows` rows into which ids are hashed (kernels/base/hash.h, table_row): share of
  // the ids that share their row with another, as found (NaN unless exact) and as expected of n
  // ids: 1 - (1 - 1 / rows)^(n - 1).
  struct Collisions {
    double found = 0;
    double expected = 0;
  };
  Collisions in_table(uint64_t feature, int64_t rows) const;

 private:
  static constexpr size_t kHot = 1024;
  using Counts = std::unordered_map<uint64_t, int64_t>;

  bool is_sampled(uint64_t id) const;
  void raise_level();
  // Leaves the kHot largest, less the next one.
  void cut_hot();

  int64_t capacity_;
  int64_t total_ = 0;
  int64_t level_ = 0;
  Counts counts_;  // of the sampled ids
  Counts hot_;     // once the level is above 0
  int64_t hot_error_ = 0;
};

}  // namespace alm::io
