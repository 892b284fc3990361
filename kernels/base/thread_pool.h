// A fixed set of threads that share the items of one loop at a time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace alm {

// Owns threads() - 1 threads; the caller of parallel_for works too. Not re-entrant: one loop at a
// time, from one thread. Threads look for the next loop for some microseconds, giving way to others
// meanwhile, before they sleep.
class ThreadPool {
 public:
  explicit ThreadPool(int64_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int64_t threads() const { return static_cast<int64_t>(workers_.size()) + 1; }

  // Calls body(item, thread) once for every item in [0, items); thread in [0, threads()).
  // Items are taken in increasing order; which thread gets which is not fixed. The first exception
  // of a body is thrown here after all have ended.
  void parallel_for(int64_t items, const std::function<void(int64_t item, int64_t thread)>& body);

 private:
  void work(int64_t thread);
  void run_items(int64_t thread);

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  const std::function<void(int64_t, int64_t)>* body_ = nullptr;
  std::atomic<int64_t> next_{0};
  int64_t items_ = 0;
  std::atomic<int64_t> running_{0};      // workers that have not finished this loop
  std::atomic<uint64_t> generation_{0};  // loops started; the last change tells workers to stop
  bool stop_ = false;
  std::exception_ptr failure_;
};

}  // namespace alm
