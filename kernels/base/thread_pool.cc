#include "kernels/base/thread_pool.h"

namespace alm {
namespace {

// Yields before sleeping: about 20 microseconds on an idle machine, the gap between two loops of a
// step.
constexpr int kYields = 64;

template <class Condition>
void wait_briefly(Condition condition) {
  for (int turn = 0; turn < kYields && !condition(); ++turn) std::this_thread::yield();
}

}  // namespace

ThreadPool::ThreadPool(int64_t threads) {
  for (int64_t thread = 1; thread < threads; ++thread) {
    workers_.emplace_back([this, thread] { work(thread); });
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    ++generation_;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::parallel_for(int64_t items, const std::function<void(int64_t, int64_t)>& body) {
  // Every worker passes through every loop (running_ counts them down), so none of them can still
  // be in the loop before when the fields are set.
  body_ = &body;
  items_ = items;
  next_ = 0;
  failure_ = nullptr;
  running_ = static_cast<int64_t>(workers_.size());
  {
    std::lock_guard lock(mutex_);
    ++generation_;
  }
  wake_.notify_all();
  run_items(0);
  const auto all_ended = [this] { return running_ == 0; };
  wait_briefly(all_ended);
  std::unique_lock lock(mutex_);
  done_.wait(lock, all_ended);
  body_ = nullptr;
  if (failure_) std::rethrow_exception(failure_);
}

void ThreadPool::run_items(int64_t thread) {
  for (int64_t item = next_++; item < items_; item = next_++) {
    try {
      (*body_)(item, thread);
    } catch (...) {
      std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }
}

void ThreadPool::work(int64_t thread) {
  uint64_t seen = 0;
  while (true) {
    const auto called = [&] { return generation_ != seen; };
    wait_briefly(called);
    if (!called()) {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, called);
    }
    seen = generation_;
    if (stop_) return;
    run_items(thread);
    if (--running_ == 0) {
      // The lock: the caller is either before its check of running_ or already waiting.
      std::lock_guard lock(mutex_);
      done_.notify_one();
    }
  }
}

}  // namespace alm
