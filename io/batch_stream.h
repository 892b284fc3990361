// Bounded streams of batches. Threads of their own read, check, decode and gather ahead of the
// consumer; memory is a fixed ring of reused Journeys.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "io/journeys.h"
#include "io/loader_phases.h"
#include "io/log_reader.h"
#include "io/sample_plan.h"

namespace alm::io {

// Which rows take part, by user id. A pure function.
using UserFilter = std::function<bool(uint64_t user)>;

// Training batches: from (epoch, step) on, without end (epochs follow each other). Holds at most
// two decoded blocks per owned lane, shared by lanes that meet the same one, and `depth` steps; a
// log of no more blocks than that is decoded once. One consumer thread.
class TrainStream {
 public:
  struct Options {
    LaneRange lanes;  // this rank's micro-blocks
    int64_t first_epoch = 0;
    int64_t first_step = 0;  // within the epoch
    ColumnSet columns = ColumnSet::model();
    UserFilter filter;    // the training rows (the same that was counted for the plan)
    int64_t depth = 3;    // steps in flight
    int64_t threads = 1;  // decode threads
  };
  TrainStream(std::shared_ptr<const Log> log, std::shared_ptr<const SamplePlan> plan,
              Options options);
  ~TrainStream();
  // The micro-blocks of the next step, one per owned lane (possibly with zero rows at an epoch's
  // end). Valid until the next call. Errors of the reading threads are thrown here.
  std::span<const Journeys> next();
  // Seconds the consumer has waited in next() so far.
  double wait_seconds() const;
  // Of the threads that read ahead, so far.
  LoaderPhases phases() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// One pass over blocks [first, last) in order, cut into micro-batches that are a pure function of
// the log: up to `rows` filtered journeys of one block each. Holds `depth` blocks and one per
// thread. One consumer thread.
class ScanStream {
 public:
  struct Options {
    int64_t first_block = 0;
    int64_t last_block = 0;
    int64_t rows = 256;
    ColumnSet columns = ColumnSet::model();
    UserFilter filter;  // empty: all rows
    int64_t depth = 3;  // blocks in flight
    int64_t threads = 1;
  };
  ScanStream(std::shared_ptr<const Log> log, Options options);
  ~ScanStream();
  // The micro-batches of the next block (may be empty), or nullptr after the last block.
  // *block receives the block's number. Valid until the next call.
  const std::vector<Journeys>* next(int64_t* block);
  // Sum over the blocks read so far.
  const ReadReport& report() const;
  // As of a TrainStream.
  double wait_seconds() const;
  LoaderPhases phases() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace alm::io
