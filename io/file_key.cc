#include "io/file_key.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "io/input_file.h"
#include "kernels/base/check.h"

namespace alm::io {

namespace {

constexpr size_t kSuperblockBytes = 64;

}  // namespace

FileKey look_at(const std::string& path) {
  struct stat kind {};
  // Asked first: opening a pipe would wait for its writer.
  if (::stat(path.c_str(), &kind) == 0 && !S_ISREG(kind.st_mode)) {
    throw UserError(path + ": is no regular file (a pipe, a device or a directory)");
  }
  const InputFile file(path);
  struct stat status {};
  FileKey key;
  key.superblock.resize(kSuperblockBytes);
  const bool stated = ::fstat(file.number(), &status) == 0;
  const int64_t got = file.read(0, std::as_writable_bytes(std::span(key.superblock)));
  if (!stated || got < 0) throw UserError(path + ": cannot be read: " + std::strerror(errno));
  key.superblock.resize(static_cast<size_t>(got));
  key.bytes = status.st_size;
  key.modified_ns = int64_t{status.st_mtim.tv_sec} * 1000000000 + status.st_mtim.tv_nsec;
  return key;
}

}  // namespace alm::io
