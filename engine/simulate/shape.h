// What columns a level B log has and how long its journeys are (contract 5).
#pragma once

#include <cstdint>
#include <string>

namespace alm {

// The law of clusters, mediators and outcomes is level B's whatever the shape. Columns beyond the
// two dense ones that the law uses are noisy views of the context, of the touch, or noise: given
// the first two they carry nothing about the confounder, so the truth columns stay exact.
struct LogShape {
  int64_t dense = 2;        // the first two are x1, x2; about 2 % of the others' values are missing
  int64_t cat = 0;          // the first is a grid of (x1, x2); the others are Zipf-like ids
  int64_t touch_dense = 0;  // the first is a noisy view of f_k . x; the others are noise
  int64_t items = 0;        // item ids in all, split evenly over the clusters; 0: no item column
  int64_t clusters = 100;
  int64_t max_touches = 10;
  double extra_touches = 3;  // touches = min(max_touches, 1 + Poisson(extra_touches))
};

// The most touches any shape may have.
inline constexpr int64_t kMostTouches = 64;

// "tiny" (the default), "reference" (the benchmark: K = 1000, mean 5 touches) or "paper" (the
// columns of reference, long journeys: at most 64 touches, mean 20). UserError naming the three
// otherwise.
LogShape shape_by_name(const std::string& name);

}  // namespace alm
