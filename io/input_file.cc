#include "io/input_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "kernels/base/check.h"

namespace alm::io {

int64_t read_at(int file, int64_t offset, std::span<std::byte> out) {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = ::pread(file, out.data() + done, out.size() - done,
                                static_cast<off_t>(offset) + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return static_cast<int64_t>(done);
}

InputFile::InputFile(const std::string& path)
    : number_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (number_ < 0) throw UserError(path + ": cannot be opened: " + std::strerror(errno));
}

InputFile::~InputFile() {
  ::close(number_);
}

}  // namespace alm::io
