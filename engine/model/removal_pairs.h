// Pairs of a journey and a cluster, as the removal net reads them (neural.md 6): clusters the
// journey touched, with what is left of it without them, and a sample of those it did not touch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/model/model_inputs.h"
#include "kernels/base/view.h"

namespace alm {

// Absent clusters a journey is paired with in a step of training, and in an estimate.
inline constexpr int64_t kAbsentInTraining = 3;
inline constexpr int64_t kAbsentInEstimates = 16;

// Reused from block to block; allocates nothing once it has seen a block of as many touches.
// Journeys of which nothing is left, or that touched nothing, have no such pair: they say nothing
// of an effect. All that a step needs and that hangs on no parameter is here.
struct RemovalPairs {
  std::vector<int64_t> pair_begin;  // [journeys + 1]
  std::vector<int64_t> journey;     // [pairs]
  std::vector<int64_t> cluster;     // [pairs]
  // What is left of a journey, as a sum over touches, is its own sum less that of the cluster,
  // whose touches are all alike: two parts a pair, with weights 1 and minus their number. In both
  // sums a cluster is one term, so that it leaves only what it was rounded by, not by touch.
  std::vector<int64_t> part_begin;  // [pairs + 1] 0, 2, 4, ...
  std::vector<float> part_weight;   // [2 pairs]
  std::vector<float> log_left;      // [pairs] log(1 + touches that are left)
  std::vector<float> start;         // [pairs] logit of the odds to begin at
  std::vector<float> present;       // [pairs] 1: the journey touched the cluster; else 0
  // [pairs] weight of the journey, over the share of its absent clusters that were drawn.
  std::vector<float> weight;
  std::vector<float> weight_of_presence;  // [pairs] weight times present
  // [t] in the sum over a journey's touches: at the first of a cluster their number, else 0.
  std::vector<float> touch_weight;

  struct Source {
    Csr touches;
    std::span<const int64_t> cluster;   // [t]
    std::span<const uint8_t> mediator;  // [t]
    std::span<const float> weight;      // [n]
    std::span<const int64_t> row;       // [n] row in the log
    int64_t clusters = 0;
    // [clusters] of journeys that touch each: the odds begin there. Empty: they begin at one.
    std::span<const float> touch_share;
  };
  // At most `absent` absent clusters a journey, drawn by (draw, row). `with_present`: also one pair
  // for each cluster whose touches all have an observed mediator, as an estimate asks.
  void fill(const Source& from, int64_t absent, uint64_t draw, bool with_present);
  // Pairs of weight 0 in place of others, spread evenly over journeys that have so many touches.
  void pad(int64_t journeys, int64_t touches, int64_t count);
  int64_t pairs() const { return static_cast<int64_t>(cluster.size()); }
  // Pairs that journeys of so many touches in all have at most.
  static int64_t most(int64_t journeys, int64_t touches, int64_t absent) {
    return touches + journeys * absent;
  }
  // Valid until this changes.
  RemovalView view() const {
    return {.by_journey = {pair_begin},
            .journey = journey,
            .cluster = cluster,
            .parts = {part_begin},
            .part_weight = part_weight,
            .log_left = log_left,
            .start = start,
            .present = present,
            .weight = weight,
            .weight_of_presence = weight_of_presence,
            .touch_weight = touch_weight};
  }

 private:
  void clear(int64_t touches, int64_t pairs);
  struct Pair {
    int64_t journey = 0;
    int64_t cluster = 0;
    int64_t left = 0;        // touches of the journey that are not of the cluster
    int64_t of_cluster = 0;  // and that are
    float start = 0;
    double weight = 0;
  };
  void add(const Pair& pair);

  struct Touched {
    size_t first = 0;  // of its touches
    int64_t touches = 0;
    bool observed = true;  // the mediators of all
  };
  void find_touched(const Source& from, size_t begin, size_t end);

  std::vector<int64_t> touched_;  // distinct clusters of a journey, ascending
  std::vector<Touched> of_touched_;
  std::vector<int64_t> drawn_;
};

// `count` distinct clusters below `clusters` that are not among `touched` (ascending, distinct), or
// all such where they are no more: each as likely as any other (Floyd's sample). A pure function of
// its arguments; `drawn` is overwritten.
void draw_absent(std::span<const int64_t> touched, int64_t clusters, int64_t count, uint64_t draw,
                 int64_t row, std::vector<int64_t>& drawn);

}  // namespace alm
