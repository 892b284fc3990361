#include "kernels/base/thread_pool.h"

namespace alm {

ThreadPool::ThreadPool(int64_t threads) {
  for (int64_t thread = 1; thread < threads; ++thread) {
    workers_.emplace_back([this, thread] { work(thread); });
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::parallel_for(int64_t items,
                              const std::function<void(int64_t, int64_t)>& body) {
  {
    std::lock_guard lock(mutex_);
    body_ = &body;
    items_ = items;
    next_ = 0;
    running_ = static_cast<int64_t>(workers_.size());
    failure_ = nullptr;
    ++generation_;
  }
  wake_.notify_all();
  run_items(0);
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return running_ == 0; });
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
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stop_ || generation_ != seen; });
      if (stop_) return;
      seen = generation_;
    }
    run_items(thread);
    {
      std::lock_guard lock(mutex_);
      if (--running_ == 0) done_.notify_one();
    }
  }
}

}  // namespace alm
