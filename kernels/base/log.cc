#include "kernels/base/log.h"

#include <unistd.h>

#include <cstdio>
#include <utility>

#include "kernels/base/controls.h"
#include "kernels/base/text.h"

namespace alm {
namespace {

struct LogState {
  int64_t rank = 0;
  bool quiet = false;
  bool terminal = isatty(STDERR_FILENO) != 0;
};

LogState& state() {
  static LogState log_state;
  return log_state;
}

}  // namespace

void configure_log(int64_t rank, bool quiet) {
  state().rank = rank;
  state().quiet = quiet;
}

void log_info(const std::string& line) {
  if (state().rank == 0 && !state().quiet)
    std::fprintf(stderr, "%s\n", without_controls(line).c_str());
}

void log_warning(const std::string& line) {
  if (state().rank == 0) std::fprintf(stderr, "warning: %s\n", without_controls(line).c_str());
}

void log_error(const std::string& line) {
  std::fprintf(stderr, "error: %s\n", without_controls(line).c_str());
}

Progress::Progress(std::string title, int64_t total, std::string unit, double every_seconds)
    : title_(std::move(title)),
      unit_(std::move(unit)),
      total_(total),
      every_seconds_(every_seconds) {}

Progress::~Progress() {
  finish();
}

void Progress::update(int64_t done, std::string_view extra) {
  done_ = done;
  extra_ = extra;
  if (state().rank != 0 || state().quiet) return;
  const double elapsed = timer_.seconds();
  if (elapsed - last_shown_ < (state().terminal ? 0.2 : every_seconds_)) return;
  last_shown_ = elapsed;
  show(false);
}

void Progress::finish() {
  if (finished_) return;
  finished_ = true;
  if (state().rank == 0 && !state().quiet) show(true);
}

void Progress::show(bool last) {
  const double elapsed = timer_.seconds();
  const double rate = elapsed > 0 ? static_cast<double>(done_) / elapsed : 0;
  const double share = total_ > 0 ? static_cast<double>(done_) / static_cast<double>(total_) : 1;
  std::string line = format("%s %3.0f%%  %s of %s %s  %s/s", title_.c_str(), 100 * share,
                            with_commas(done_).c_str(), with_commas(total_).c_str(), unit_.c_str(),
                            human_count(rate).c_str());
  if (last) {
    line += "  in " + human_seconds(elapsed);
  } else if (rate > 0) {
    line += "  " + human_seconds(static_cast<double>(total_ - done_) / rate) + " left";
  }
  if (!extra_.empty()) line += "  " + extra_;
  if (!state().terminal) {
    std::fprintf(stderr, "%s\n", line.c_str());
    return;
  }
  const int width = 20;
  const int filled = static_cast<int>(share * width);
  std::string bar(static_cast<size_t>(filled < 0 ? 0 : filled > width ? width : filled), '#');
  bar.resize(width, '.');
  std::fprintf(stderr, "\r\033[K[%s] %s%s", bar.c_str(), line.c_str(), last ? "\n" : "");
  std::fflush(stderr);
}

}  // namespace alm
