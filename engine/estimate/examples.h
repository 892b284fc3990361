// A few journeys with the credit of their touches, for the report.
#pragma once

#include <utility>
#include <vector>

#include "engine/comm/communicator.h"
#include "io/journeys.h"
#include "io/json.h"

namespace alm {

// The first journeys, in log order, that had an outcome and three touches or more. Not thread-safe:
// one per thread, then merge.
class Examples {
 public:
  // make(row) gives the JSON of a journey, with its `row` of the log.
  template <class Make>
  void offer(const io::Journeys& journeys, const Make& make) {
    for (int64_t row = 0; row < journeys.size(); ++row) {
      if (std::ssize(found_) >= kExamples) return;
      const bool had_outcome = journeys.outcome[static_cast<size_t>(row)] > 0;
      if (journeys.touches_of(row) >= 3 && had_outcome) found_.push_back(make(row));
    }
  }
  void merge(Examples&& other);
  // COLLECTIVE.
  io::Json reduce(Communicator& world);

 private:
  static constexpr int64_t kExamples = 6;
  void sort();
  std::vector<io::Json> found_;
};

}  // namespace alm
