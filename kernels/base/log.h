// What the program says on stderr. Rank 0 speaks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kernels/base/clock.h"

namespace alm {

// Set once at start, before threads are made.
void configure_log(int64_t rank, bool quiet);

// Lines for people: rank 0 only, silent under --quiet.
void log_info(const std::string& line);
// Rank 0 only, never silent.
void log_warning(const std::string& line);
// Any rank, never silent.
void log_error(const std::string& line);

// A bar with rate and time left on a terminal; otherwise a plain line every `every_seconds`.
// Rank 0 only; silent under --quiet. Not thread-safe.
class Progress {
 public:
  // `unit` names what is counted: "journeys", "steps".
  Progress(std::string title, int64_t total, std::string unit, double every_seconds = 10);
  ~Progress();
  // Allocates nothing unless something is shown.
  void update(int64_t done, std::string_view extra = {});
  // Ends the bar; called by the destructor if not before.
  void finish();

 private:
  std::string title_;
  std::string unit_;
  int64_t total_;
  int64_t done_ = 0;
  double every_seconds_;
  double last_shown_ = 0;
  bool finished_ = false;
  Timer timer_;
  std::string extra_;
  void show(bool last);
};

}  // namespace alm
