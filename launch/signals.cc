#include "launch/signals.h"

#include <csignal>

#include "kernels/base/check.h"
#include "kernels/base/stop_flag.h"

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
  for (const int signal : {SIGUSR1, SIGUSR2, SIGTERM}) {
    ALM_CHECK(sigaction(signal, &action, nullptr) == 0);
  }
}

}  // namespace alm
