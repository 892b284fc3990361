// The journeys of a micro-batch by the fit that scores their users.
#pragma once

#include <vector>

#include "engine/model/bundle.h"
#include "io/journeys.h"

namespace alm {

// Reused from batch to batch. One per thread.
class FoldBatches {
 public:
  explicit FoldBatches(int64_t folds) : of_(folds > 1 ? static_cast<size_t>(folds) : 0) {}

  // body(fold, journeys of its users), folds ascending, each fold's journeys in their order.
  template <class Body>
  void each(const io::Journeys& journeys, const io::LogSchema& schema, const Body& body) {
    if (of_.empty()) return body(size_t{0}, journeys);
    for (io::Journeys& part : of_) part.clear();
    const int64_t folds = static_cast<int64_t>(of_.size());
    for (int64_t row = 0; row < journeys.size(); ++row) {
      const uint64_t user = journeys.user[static_cast<size_t>(row)];
      of_[static_cast<size_t>(fold_of(user, folds))].append(journeys, row, schema);
    }
    for (size_t fold = 0; fold < of_.size(); ++fold) body(fold, of_[fold]);
  }

 private:
  std::vector<io::Journeys> of_;  // [folds]; empty: one fit scores all
};

}  // namespace alm
