#include "launch/signals.h"

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "kernels/base/check.h"
#include "kernels/base/log.h"

namespace alm {
namespace {

extern "C" void on_stop_signal(int) {
  request_stop();
}

}  // namespace

void install_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_RESTART;  // reads and writes in progress go on
  sigemptyset(&action.sa_mask);
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  for (const int signal : {SIGUSR1, SIGUSR2, SIGTERM}) {
    sigaddset(&stop_signals, signal);
    ALM_CHECK(sigaction(signal, &action, nullptr) == 0);
  }
  // oneDNN's generated code keeps data where the kernel writes the frame of a handler: a signal
  // taken amid a matrix product destroys memory. So a thread of its own takes them; this one, and
  // those made from it, never do.
  std::thread([] {
    while (true) pause();
  }).detach();
  ALM_CHECK(pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr) == 0);
}

int say_stopped(const Stopped& stopped) {
  log_warning(
      format("stopped (%s): nothing was written; the same command starts anew", stopped.what()));
  return stopped.exit_code();
}

}  // namespace alm
