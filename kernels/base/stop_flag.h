// The wish to stop early. Set by a signal handler (launch/signals.h), polled where work can be left
// in a good state.
#pragma once

#include <atomic>

#include "kernels/base/check.h"

namespace alm {

// Work was broken off because the wish to stop was seen; not an error.
class Stopped : public Error {
 public:
  static constexpr int kExitCode = 75;
  explicit Stopped(const std::string& where) : Error(kExitCode, where) {}
};

namespace detail {
inline std::atomic<bool> stop_flag{false};
static_assert(std::atomic<bool>::is_always_lock_free,
              "a signal handler may only touch lock-free atomics");
}  // namespace detail

// Async-signal-safe. Any thread.
inline void request_stop() {
  detail::stop_flag.store(true, std::memory_order_relaxed);
}
// This process only: ranks learn of it at different steps, so a collective decision must be
// reduced.
inline bool stop_requested() {
  return detail::stop_flag.load(std::memory_order_relaxed);
}
// For tests.
inline void clear_stop_request() {
  detail::stop_flag.store(false, std::memory_order_relaxed);
}

}  // namespace alm
