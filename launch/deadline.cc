#include "launch/deadline.h"

#include <unistd.h>

#include <chrono>

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

void Deadline::expire(double late) const {
  // The first rank to end takes the others with it: all that wait are to have spoken by then. One
  // that looks at its clock later than that was stopped itself, and has nothing to say of others.
  constexpr unsigned kSecondsToSpeak = 2;
  if (late > kSecondsToSpeak / 2.0) ::_exit(2);
  log_error(
      format("rank %lld of %lld still waits in stage '%s' after %g s; ranks that do not say "
             "so did not arrive: %s",
             static_cast<long long>(rank_), static_cast<long long>(ranks_), stage_.c_str(),
             seconds_, advice_.c_str()));
  ::sleep(kSecondsToSpeak);
  ::_exit(2);
}

}  // namespace alm
