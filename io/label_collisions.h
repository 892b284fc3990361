// Do two texts share an id? Ids of texts are hashes of 64 bits, so it can happen; counting texts
// and ids apart says whether it did.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/spill.h"

namespace alm::io {

// Labels set aside for counting: texts whose id is a hash of them.
class LabelSpill {
 public:
  LabelSpill(const std::string& path, int64_t writer);
  // Texts that are numbers stand for themselves and are not counted.
  void add(std::string_view label);
  std::vector<std::vector<SpillPiece>> finish() { return spill_.finish(); }

 private:
  SpillWriter spill_;
  std::vector<uint64_t> recent_;  // labels seen a moment ago, which need not be written again
};

struct LabelCounts {
  int64_t labels = 0;  // different texts
  int64_t ids = 0;     // different ids of them
};

// Those of one partition, whose pieces are spread over writers of `paths`. Memory is bounded.
LabelCounts count_labels(const std::vector<std::string>& paths, std::span<const SpillPiece> pieces);

// Pairs that share an id by chance, of `labels` different texts: n (n - 1) / 2^65.
double expected_collisions(int64_t labels);

inline constexpr int64_t kLabelPartitions = 256;

}  // namespace alm::io
