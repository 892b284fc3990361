// What the two streams of batch_stream.h share: their threads, and the choice of rows.
#pragma once

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "io/batch_stream.h"

namespace alm::io {

// The threads of a stream with what they share: one lock, the wish to stop, the first failure.
// Joins when destroyed: the last member of whoever owns the data the turns work on. A turn is
// called with the lock held, may release it for the length of its work, and returns false when
// there was nothing to do, true otherwise; after every turn all sleepers look again.
class Crew {
 public:
  template <class Turn>
  void start(int64_t threads, Turn turn) {
    for (int64_t thread = 0; thread < threads; ++thread) {
      threads_.emplace_back([this, turn, thread] { work(turn, thread); });
    }
  }

  ~Crew() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }
  bool halted() const { return stop_ || failure_; }
  // With the lock.
  const LoaderPhases& phases() const { return phases_; }
  void notify() { changed_.notify_all(); }

  // Sleeps until `ready` or the crew halts; false when it halted first. For turns.
  template <class Ready>
  bool wait(std::unique_lock<std::mutex>& lock, Ready ready) {
    changed_.wait(lock, [&] { return halted() || ready(); });
    return !halted();
  }

  // Sleeps until `ready`; throws the failure of a thread if that comes first. For the consumer.
  template <class Ready>
  void await(std::unique_lock<std::mutex>& lock, Ready ready) {
    changed_.wait(lock, [&] { return ready() || failure_; });
    if (!ready()) std::rethrow_exception(failure_);
  }

 private:
  template <class Turn>
  void work(Turn& turn, int64_t thread) {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!halted()) {
      try {
        const bool worked = turn(lock, thread);
        phases_ += std::exchange(thread_phases(), {});
        if (worked) {
          changed_.notify_all();
        } else {
          changed_.wait(lock);
        }
      } catch (...) {
        if (!lock.owns_lock()) lock.lock();
        if (!failure_) failure_ = std::current_exception();
        changed_.notify_all();
      }
    }
  }

  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  std::exception_ptr failure_;
  LoaderPhases phases_;
};

// Rows of `block` that take part, as indices into it.
void select_rows(const Journeys& block, const UserFilter& filter, std::vector<int64_t>& selected);

}  // namespace alm::io
