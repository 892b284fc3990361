// This program run once more as a helper, with one socket between the two.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace alm::io {

// Made with posix_spawn, which is safe beside threads and MPI where fork is not. The helper finds
// the socket as its standard input; its outputs are thrown away and it keeps no other file of ours.
// Ends with its owner at the latest. Not thread-safe.
class ChildProcess {
 public:
  // Runs this program with one argument; nullopt where the machine does not let us.
  static std::optional<ChildProcess> start(const std::string& argument);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();

  enum class Heard { all, end, silence };
  // False when the helper is gone.
  bool send(std::string_view bytes);
  // Fills `out`; stops early when the helper is gone or says nothing for `limit`.
  Heard receive(std::span<std::byte> out, std::chrono::milliseconds limit);
  // Ends it, if it still runs, and says how it ended: "signal 11 (Segmentation fault)".
  std::string stop();

 private:
  ChildProcess(pid_t id, int socket) : id_(id), socket_(socket) {}
  pid_t id_ = -1;
  int socket_ = -1;
};

}  // namespace alm::io
