#include "io/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "kernels/base/check.h"

namespace alm::io {

namespace {

// What posix_spawn is told; freed on every way out.
struct SpawnPlan {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  SpawnPlan() {
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }
};

}  // namespace

std::optional<ChildProcess> ChildProcess::start(const std::string& argument) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return std::nullopt;
  SpawnPlan plan;
  posix_spawn_file_actions_adddup2(&plan.files, ends[1], STDIN_FILENO);
  posix_spawn_file_actions_addopen(&plan.files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&plan.files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&plan.files, STDERR_FILENO + 1);
  // Whatever this thread blocks or ignores is none of the helper's business. Wishes to stop go to
  // whole groups of processes; its owner heeds them, and may need the helper for that.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int wish : {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2}) sigaddset(&signals, wish);
  posix_spawnattr_setsigmask(&plan.attributes, &signals);
  sigfillset(&signals);
  posix_spawnattr_setsigdefault(&plan.attributes, &signals);
  posix_spawnattr_setflags(&plan.attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::string name = "alm";
  std::string word = argument;
  const std::array<char*, 3> arguments{name.data(), word.data(), nullptr};
  pid_t id = -1;
  const int fault = ::posix_spawn(&id, "/proc/self/exe", &plan.files, &plan.attributes,
                                  arguments.data(), environ);
  ::close(ends[1]);
  if (fault != 0) {
    ::close(ends[0]);
    return std::nullopt;
  }
  return ChildProcess(id, ends[0]);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : id_(std::exchange(other.id_, -1)), socket_(std::exchange(other.socket_, -1)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  std::swap(id_, other.id_);
  std::swap(socket_, other.socket_);
  return *this;
}

ChildProcess::~ChildProcess() {
  stop();
}

bool ChildProcess::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

ChildProcess::Heard ChildProcess::receive(std::span<std::byte> out,
                                          std::chrono::milliseconds limit) {
  // Counted in short waits and not by the clock: while a job is suspended its helper is too.
  auto left = limit;
  while (!out.empty()) {
    if (left.count() <= 0) return Heard::silence;
    const auto some = std::min(left, std::chrono::milliseconds(1000));
    pollfd wait{socket_, POLLIN, 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(some.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      left -= some;
      continue;
    }
    const ssize_t got = ::recv(socket_, out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Heard::end;
    out = out.subspan(static_cast<size_t>(got));
    left = limit;
  }
  return Heard::all;
}

std::string ChildProcess::stop() {
  if (id_ < 0) return "it has ended";
  ::close(std::exchange(socket_, -1));
  ::kill(id_, SIGKILL);
  int status = 0;
  while (::waitpid(id_, &status, 0) < 0 && errno == EINTR) {
  }
  id_ = -1;
  if (!WIFSIGNALED(status)) return format("exit code %d", WEXITSTATUS(status));
  return format("signal %d (%s)", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
}

}  // namespace alm::io
