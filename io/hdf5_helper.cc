// The helper's side of io/hdf5_child.h.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <new>

#include "io/file_indexer.h"
#include "io/hdf5_child.h"
#include "io/hdf5_protocol.h"
#include "io/hdf5_rows.h"
#include "io/index_sidecar.h"
#include "kernels/base/check.h"

namespace alm::io {

namespace {

constexpr uint64_t kMostRequestBytes = uint64_t{1} << 20;
constexpr rlim_t kMostMemory = rlim_t{8} << 30;

bool may_start_helpers = false;
bool is_helper = false;

bool receive(void* out, size_t bytes) {
  auto* to = static_cast<char*>(out);
  while (bytes > 0) {
    const ssize_t got = ::recv(STDIN_FILENO, to, bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    to += got;
    bytes -= static_cast<size_t>(got);
  }
  return true;
}

void send(const std::string& text) {
  size_t sent = 0;
  while (sent < text.size()) {
    const ssize_t done = ::send(STDIN_FILENO, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return;  // the owner is gone; the next receive() ends the helper
    sent += static_cast<size_t>(done);
  }
}

// A file that asks for more memory than this is damaged; a crash leaves no core file; the helper
// does not outlive its owner.
void limit_this_process() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
#ifndef __SANITIZE_ADDRESS__  // which maps terabytes
  const auto memory =
      static_cast<rlim_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
  const rlim_t most = std::min(kMostMemory, memory / 2);
  const rlimit limit{most, most};
  ::setrlimit(RLIMIT_AS, &limit);
#endif
}

std::string answer_to(const std::string& request) {
  if (request[0] == kRequestIndex) return pack_index(read_file_index(request.substr(1)));
  const RowRequest rows = RowRequest::unpack(request.substr(1));
  std::string bytes(rows.bytes(), '\0');
  read_rows_here(rows, reinterpret_cast<std::byte*>(bytes.data()));
  return bytes;
}

std::string answer(const std::string& request) {
  try {
    return kDone + frame(answer_to(request));
  } catch (const UserError& error) {
    return kUserFault + frame(error.what());
  } catch (const std::bad_alloc&) {
    const std::string subject = request[0] == kRequestIndex
                                    ? request.substr(1)
                                    : RowRequest::unpack(request.substr(1)).subject();
    return kUserFault + frame(subject +
                              ": its HDF5 structure asks for more memory than a log needs: "
                              "it is damaged, bring it again");
  } catch (const std::exception& error) {
    return kMachineFault + frame(error.what());
  }
}

}  // namespace

bool helper_available() {
  return may_start_helpers;
}

std::optional<int> serve_hdf5(int argc, char** argv) {
  may_start_helpers = true;
  if (argc != 2 || std::string(argv[1]) != kHelperArgument) return std::nullopt;
  is_helper = true;
  limit_this_process();
  uint64_t bytes = 0;
  while (receive(&bytes, sizeof bytes) && bytes > 0 && bytes <= kMostRequestBytes) {
    std::string request(bytes, '\0');
    if (!receive(request.data(), request.size())) break;
    send(answer(request));
  }
  return 0;
}

void sign_of_life() {
  if (!is_helper) return;
  static auto last = std::chrono::steady_clock::now();
  const auto now = std::chrono::steady_clock::now();
  if (now - last < std::chrono::seconds(1)) return;
  last = now;
  send(std::string(1, kAlive));
}

}  // namespace alm::io
