#include "launch/deadline.h"

#include <unistd.h>

#include <chrono>
#include <fstream>

#include "kernels/base/clock.h"
#include "kernels/base/log.h"
#include "kernels/base/text.h"

namespace alm {

Deadline::Deadline(int64_t rank, int64_t ranks)
    : rank_(rank), ranks_(ranks), thread_([this] { watch(); }) {}

Deadline::~Deadline() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Deadline::start(const std::string& stage, double seconds, const std::string& advice) {
  {
    const std::lock_guard lock(mutex_);
    stage_ = stage;
    advice_ = advice;
    seconds_ = seconds;
    at_ = now_seconds() + seconds;
  }
  changed_.notify_one();
}

void Deadline::end() {
  {
    const std::lock_guard lock(mutex_);
    at_ = 0;
  }
  changed_.notify_one();
}

void Deadline::watch() {
  std::unique_lock lock(mutex_);
  while (!over_) {
    if (at_ == 0) {
      changed_.wait(lock);
      continue;
    }
    const double left = at_ - now_seconds();
    if (left <= 0) expire(-left);
    changed_.wait_for(lock, std::chrono::duration<double>(left));
  }
}

// Whether the process's first thread waits inside the system for a disk or a file system: state D
// (proc(5)).
bool Deadline::blocked_by_system() {
  std::ifstream file("/proc/self/stat");
  std::string stat;
  std::getline(file, stat);
  const size_t name = stat.rfind(')');
  return name != stat.npos && name + 2 < stat.size() && stat[name + 2] == 'D';
}

void Deadline::expire(double late) const {
  // The first rank to end takes the others with it: all that wait are to have spoken by then. One
  // that looks at its clock later than that was stopped itself, and has nothing to say of others.
  constexpr unsigned kSecondsToSpeak = 2;
  const std::string who =
      format("rank %lld of %lld", static_cast<long long>(rank_), static_cast<long long>(ranks_));
  if (late > kSecondsToSpeak / 2.0) {
    log_error(who + " was itself stopped for a while in stage '" + stage_ + "'");
    ::_exit(2);
  }
  log_error(
      format("%s has not ended stage '%s' after %g s%s; a rank that does not say so is not "
             "running: %s",
             who.c_str(), stage_.c_str(), seconds_,
             blocked_by_system() ? " and is blocked in a read or write" : "", advice_.c_str()));
  ::sleep(kSecondsToSpeak);
  ::_exit(2);
}

}  // namespace alm
