// The two halves of the scored users, for gains whose nuisances never saw the users they are used
// on.
#pragma once

#include <vector>

#include "engine/model/bundle.h"
#include "io/journeys.h"
#include "kernels/base/hash.h"

namespace alm {

inline constexpr const char* kNoHalves =
    "there are no fits on the halves of the scored users: too few users, or --folds, with which "
    "every outcome is already in the fits that rank";

// Whether the bundle holds a fit on each half.
inline bool has_halves(const Bundle& bundle) {
  return bundle.fits.count(half_fit(0)) > 0 && bundle.fits.count(half_fit(1)) > 0;
}

// The journeys of each half's users, in order. Reused from batch to batch.
struct HalfBatches {
  io::Journeys of[2];
  std::vector<int64_t> rows[2];  // where each stood

  void split(const io::Journeys& journeys, const io::LogSchema& schema) {
    for (io::Journeys& half : of) half.clear();
    for (std::vector<int64_t>& half : rows) half.clear();
    for (int64_t row = 0; row < journeys.size(); ++row) {
      const int half = half_of(journeys.user[static_cast<size_t>(row)]);
      of[half].append(journeys, row, schema);
      rows[half].push_back(row);
    }
  }
  // What a fit on `half` is applied to.
  const io::Journeys& others(int half) const { return of[1 - half]; }
  const std::vector<int64_t>& others_rows(int half) const { return rows[1 - half]; }
};

}  // namespace alm
