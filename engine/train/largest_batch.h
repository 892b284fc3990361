// How large the batches of a run may come, known before the first is drawn: memory for them is
// taken at once, and `alm plan` tells how much that will be.
#pragma once

#include <cstdint>

#include "engine/model/model.h"
#include "io/log_reader.h"

namespace alm {

// Touches of a journey.
struct TouchCounts {
  double mean = 0;
  int64_t longest = 0;
};
// `longest`: after cutting to --max-touches.
TouchCounts touch_counts(const io::Log& log, int64_t longest);

// Touches that so many journeys, drawn at random, have together, but for odd luck: their mean and
// six standard deviations of it, where that of a journey is at most sqrt(mean (longest - mean))
// (Bhatia, Davis 2000). All there can be where they are few.
int64_t most_touches(int64_t journeys, const TouchCounts& counts);

struct PassSize {
  int64_t journeys = 0;
  int64_t touches = 0;
};

struct LargestBatch {
  PassSize mine;         // of a rank, the one with most micro-blocks
  PassSize all;          // of all ranks
  PassSize block;        // a micro-block
  PassSize unit;         // that goes through a CPU at once
  PassSize validation;   // a block of validation rows
  PassSize validations;  // of them those that go through a GPU together
};
// A global batch of `batch` journeys on so many ranks. UserError when there are more ranks than
// micro-blocks.
LargestBatch largest_batch(const Model& model, const TouchCounts& counts, int64_t batch,
                           int64_t ranks, int64_t threads, bool deterministic);

}  // namespace alm
