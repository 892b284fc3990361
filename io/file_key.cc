#include "io/file_key.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

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

bool has_hdf5_signature(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return false;  // a pipe would wait
  std::ifstream file(path, std::ios::binary);
  std::string head(kHdf5Signature.size(), '\0');
  for (int64_t at = 0; file; at = std::max<int64_t>(512, 2 * at)) {
    file.seekg(at);
    if (file.read(head.data(), std::ssize(head)) && head == kHdf5Signature) return true;
  }
  return false;
}

}  // namespace alm::io
