#include "kernels/base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace alm {
namespace {

TEST(ThreadPool, RunsEveryItemOnceOnThreadsInRange) {
  for (const int64_t threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const int64_t items : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(items));
      std::atomic<bool> in_range = true;
      pool.parallel_for(items, [&](int64_t item, int64_t thread) {
        ++runs[static_cast<size_t>(item)];
        if (thread < 0 || thread >= threads) in_range = false;
      });
      for (const auto& run : runs) EXPECT_EQ(run, 1);
      EXPECT_TRUE(in_range);
    }
  }
}

TEST(ThreadPool, ManyShortLoopsInARowMixNothingUp) {
  ThreadPool pool(4);
  for (int64_t loop = 0; loop < 20000; ++loop) {
    const int64_t items = loop % 5;
    std::atomic<int64_t> sum = 0;
    // Dies with this turn of the loop: a late worker would touch freed memory or a wrong loop
    // number.
    const auto number = std::make_unique<int64_t>(loop);
    pool.parallel_for(items, [&](int64_t item, int64_t) { sum += *number + item; });
    ASSERT_EQ(sum, items * loop + items * (items - 1) / 2);
  }
}

TEST(ThreadPool, LoopsAfterALongPauseStillWakeTheWorkers) {
  ThreadPool pool(3);
  for (int pause = 0; pause < 3; ++pause) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::atomic<int64_t> inside = 0, most = 0;
    pool.parallel_for(3, [&](int64_t, int64_t) {
      const int64_t now = ++inside;
      int64_t before = most;
      while (now > before && !most.compare_exchange_weak(before, now)) {
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      --inside;
    });
    EXPECT_EQ(most, 3) << "items did not run side by side";
  }
}

TEST(ThreadPool, ThrowsAnExceptionOfABodyAfterAllItemsEnded) {
  for (const int64_t threads : {1, 3}) {
    ThreadPool pool(threads);
    std::atomic<int64_t> ended = 0;
    try {
      pool.parallel_for(100, [&](int64_t item, int64_t) {
        ++ended;
        if (item == 13 || item == 57) throw std::runtime_error("item failed");
      });
      FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(std::string(error.what()), "item failed");
    }
    EXPECT_EQ(ended, 100);
    // And the pool is as good as new.
    std::atomic<int64_t> later = 0;
    pool.parallel_for(10, [&](int64_t, int64_t) { ++later; });
    EXPECT_EQ(later, 10);
  }
}

TEST(ThreadPool, MayBeDestroyedUnusedAndBusyRightBefore) {
  for (int turn = 0; turn < 200; ++turn) {
    ThreadPool unused(3);
    ThreadPool used(3);
    used.parallel_for(3, [](int64_t, int64_t) {});
  }
}

}  // namespace
}  // namespace alm
