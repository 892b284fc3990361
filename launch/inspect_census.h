// What alm inspect counts in one pass: sums that do not depend on order, so that ranks share the
// blocks and the answer is the same on any number of them. Memory does not grow with the log.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/estimate/user_sums.h"
#include "io/id_census.h"
#include "io/log_reader.h"
#include "kernels/base/fixed_point.h"

namespace alm {

// Smallest and largest of a column, and how many values there were.
struct Range {
  static constexpr int64_t kNone = std::numeric_limits<int64_t>::max();
  int64_t lowest = kNone;
  int64_t highest = std::numeric_limits<int64_t>::min();
  int64_t known = 0;
  void add(int64_t value) {
    lowest = value < lowest ? value : lowest;
    highest = value > highest ? value : highest;
    ++known;
  }
};

struct RealRange {
  float lowest = std::numeric_limits<float>::infinity();
  float highest = -std::numeric_limits<float>::infinity();
  int64_t missing = 0;  // NaN
  int64_t values = 0;   // with the missing ones
  void add(float value);
};

class Census {
 public:
  enum { kTimeFalls, kLateUploads, kUnknownUploads, kWeighted, kRandomised, kCounts };
  static constexpr int64_t kLengths = 257;  // 0 .. 255 touches, then all longer ones
  // Of clusters beyond this many nothing is counted one by one.
  static constexpr int64_t kMostClusters = int64_t{1} << 20;
  // Inverse propensities are taken of no smaller values.
  static constexpr float kLeastPropensity = 1e-6f;

  explicit Census(const io::LogSchema& schema);

  // Journeys of one micro-batch; `fresh_block`: the first of a block.
  void add(const io::Journeys& journeys, bool fresh_block);
  // COLLECTIVE.
  void reduce(Communicator& world);

  struct Cluster {
    int64_t touches = 0;
    int64_t journeys = 0;  // that touch it
    int64_t mediator_known = 0;
    int64_t mediator_set = 0;
    int64_t randomised = 0;
  };

  const io::LogSchema& schema;
  int64_t rows = 0;
  int64_t touches = 0;
  std::array<int64_t, kCounts> counts{};
  std::array<int64_t, kLengths> lengths{};
  int64_t longest = 0;
  FixedSum outcomes, weights, weighted_outcomes;
  std::vector<Cluster> clusters;           // empty above kMostClusters
  std::vector<FixedSum> cluster_outcomes;  // of the journeys that touch it
  Cluster all_touches;
  Range time, touch_time, outcome_time, mediator_time;
  RealRange outcome, weight, match, propensity;
  FixedSum inverse_propensities, inverse_squares;
  int64_t tiny_propensities = 0;  // below kLeastPropensity
  std::vector<RealRange> dense, touch_dense;
  std::vector<int64_t> proxy_known, proxy_set;
  DistinctUsers users{1};
  io::IdCensus ids;  // items and cat columns

 private:
  void add_touches(const io::Journeys& journeys);
  void add_times(const io::Journeys& journeys, bool fresh_block);

  std::vector<int64_t> last_journey_;  // by cluster: the journey that was seen to touch it
  int64_t journey_ = 0;
  int64_t last_time_ = 0;
};

}  // namespace alm
