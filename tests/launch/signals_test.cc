#include "launch/signals.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "kernels/base/stop_flag.h"

namespace alm {
namespace {

bool closed_to(int signal) {
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  return sigismember(&mask, signal) == 1;
}

// A handler on a thread that multiplies matrices destroys its memory: those threads must be closed.
TEST(StopSignals, AreTakenByAThreadThatComputesNothing) {
  EXPECT_FALSE(closed_to(SIGUSR1));
  install_stop_signals();
  for (const int signal : {SIGUSR1, SIGUSR2, SIGTERM}) {
    EXPECT_TRUE(closed_to(signal));
    bool closed = false;
    std::thread([&] { closed = closed_to(signal); }).join();
    EXPECT_TRUE(closed);

    clear_stop_request();
    ASSERT_EQ(kill(getpid(), signal), 0);
    for (int turn = 0; turn < 500 && !stop_requested(); ++turn) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_TRUE(stop_requested());
  }
  clear_stop_request();
}

}  // namespace
}  // namespace alm
