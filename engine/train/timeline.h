// When each rank did what in the first steps of a fit, as a file that a browser shows: the
// trace-event format, which Perfetto (ui.perfetto.dev) and chrome://tracing open. A rank is a
// process there, its host and what its GPU does are threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/comm/communicator.h"

namespace alm {

// The host's thread; on a GPU the queue of steps, that of sums over ranks, that of copies.
enum class Lane { host, gpu, gpu_sums, gpu_copies };

// COLLECTIVE. UserError where a timeline written to that path would take the place of anything but
// an older one.
void check_no_other_file(const std::string& timeline, Communicator& world);

class Timeline {
 public:
  // COLLECTIVE: compares the clocks of all ranks. A file that is there stays as it is until end().
  // `world` must outlive it.
  Timeline(std::string path, int64_t steps, Communicator& world);

  // Before the first step: so many of the fit were taken before, for it may go on from a
  // checkpoint.
  void follow(int64_t steps_taken) { before_ = steps_taken; }
  // Whether there are steps to come.
  bool records() const { return steps_ < most_steps_; }
  bool last_step() const { return steps_ + 1 == most_steps_; }
  // Number of the step that is under way, as in metrics.jsonl: the first of a fit is 1.
  int64_t step() const { return before_ + steps_ + 1; }
  // now_seconds() of begin and end; `name` is kept as a pointer. Nothing once it has been written.
  void add(Lane lane, const char* name, double begin, double end) {
    add(lane, name, begin, end, step());
  }
  void add(Lane lane, const char* name, double begin, double end, int64_t step);
  // COLLECTIVE. A step has ended; the last that is wanted has the file written.
  void end_step();
  // COLLECTIVE. No step follows: writes the file unless it has been; where that fails it warns.
  void end();

 private:
  struct Span {
    Lane lane;
    const char* name;
    double begin;
    double end;
    int64_t step;
  };
  std::string text_of_rank() const;

  const std::string path_;
  const int64_t most_steps_;
  Communicator& world_;
  const double start_;
  int64_t before_ = 0;
  int64_t steps_ = 0;  // that have ended, of those shown
  bool written_ = false;
  std::vector<Span> spans_;
};

}  // namespace alm
