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
// of an effect.
struct RemovalPairs {
  std::vector<int64_t> set_begin;    // [sets + 1] what is left of a journey: a set of touches
  std::vector<int64_t> set_cluster;  // their clusters
  std::vector<int64_t> pair_begin;   // [journeys + 1]
  std::vector<int64_t> cluster;      // [pairs]
  std::vector<int64_t> set;          // [pairs] index of a set
  std::vector<float> present;        // [pairs] 1: the journey touched the cluster; else 0
  // [pairs] weight of the journey, over the share of its absent clusters that were drawn.
  std::vector<float> weight;

  struct Source {
    Csr touches;
    std::span<const int64_t> cluster;   // [t]
    std::span<const uint8_t> mediator;  // [t]
    std::span<const float> weight;      // [n]
    std::span<const int64_t> row;       // [n] row in the log
  };
  // At most `absent` absent clusters a journey, drawn by (draw, row). `with_present`: also one pair
  // for each cluster whose touches all have an observed mediator, as an estimate asks.
  void fill(const Source& from, int64_t clusters, int64_t absent, uint64_t draw, bool with_present);
  int64_t pairs() const { return static_cast<int64_t>(cluster.size()); }
  // Valid until this changes.
  RemovalView view() const {
    return {{set_begin}, set_cluster, {pair_begin}, cluster, set, present, weight};
  }
  operator RemovalView() const { return view(); }

 private:
  // Room for whatever may be drawn from journeys of such lengths.
  void reserve(const Csr& touches, int64_t clusters, int64_t absent);

  std::vector<int64_t> touched_;  // distinct clusters of a journey, ascending
  std::vector<int64_t> drawn_;
};

// `count` distinct clusters below `clusters` that are not among `touched` (ascending, distinct), or
// all such where they are no more: each as likely as any other (Floyd's sample). A pure function of
// its arguments; `drawn` is overwritten.
void draw_absent(std::span<const int64_t> touched, int64_t clusters, int64_t count, uint64_t draw,
                 int64_t row, std::vector<int64_t>& drawn);

}  // namespace alm
