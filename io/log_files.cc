#include "io/log_files.h"

#include <glob.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <utility>

#include "io/digest.h"
#include "io/input_file.h"
#include "kernels/base/check.h"

namespace alm::io {

namespace {

namespace fs = std::filesystem;

void add_directory(const std::string& path, std::vector<std::string>& files) {
  std::error_code fault;
  fs::directory_iterator entry(path, fault);
  const size_t before = files.size();
  std::string other;
  for (; !fault && entry != fs::directory_iterator(); entry.increment(fault)) {
    std::error_code ignored;
    const std::string extension = entry->path().extension().string();
    if (entry->is_directory(ignored)) continue;
    if (extension == ".h5") files.push_back(entry->path().string());
    if (extension == ".hdf5" || extension == ".hdf") other = entry->path().filename().string();
  }
  if (fault) throw UserError(path + ": this directory cannot be read: " + fault.message());
  if (files.size() > before) return;
  throw UserError(path + ": no *.h5 file in this directory" +
                  (other.empty() ? "" : " (there is " + other + ": name it, or a pattern)"));
}

void add_path(const std::string& path, std::vector<std::string>& files) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    const bool dangling = ::lstat(path.c_str(), &status) == 0;
    throw UserError(
        path +
        (dangling ? ": is a link whose target cannot be reached: " : ": cannot be looked at: ") +
        std::strerror(errno == 0 ? ENOENT : errno));
  }
  if (S_ISDIR(status.st_mode)) {
    add_directory(path, files);
  } else {
    files.push_back(path);
  }
}

std::vector<std::string> matches_of(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> matches;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    for (size_t index = 0; index < found.gl_pathc; ++index) {
      matches.emplace_back(found.gl_pathv[index]);
    }
  }
  ::globfree(&found);
  return matches;
}

// A name twice, or two names of one file.
void refuse_twice(const std::vector<std::string>& files) {
  std::map<std::pair<dev_t, ino_t>, std::string> seen;
  for (const std::string& file : files) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0) {
      throw UserError(file + ": cannot be looked at: " + std::strerror(errno));
    }
    const auto [place, fresh] = seen.try_emplace({status.st_dev, status.st_ino}, file);
    if (fresh) continue;
    if (place->second == file) throw UserError(file + ": is named twice in the log");
    throw UserError(file + ": is the same file as " + place->second + ", a link: leave one out");
  }
}

// Bytes from `at` on, as many as there are up to the size of `out`.
size_t read(const InputFile& file, const std::string& path, int64_t at,
            std::vector<std::byte>& out) {
  const int64_t got = file.read(at, out);
  if (got < 0) throw UserError(path + ": cannot be read: " + std::strerror(errno));
  return static_cast<size_t>(got);
}

}  // namespace

std::vector<std::string> list_log_files(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0) {
      add_path(path, files);
      continue;
    }
    if (errno != ENOENT && errno != ENOTDIR) {
      throw UserError(path + ": cannot be looked at: " + std::strerror(errno));
    }
    const std::vector<std::string> matches = matches_of(path);
    if (matches.empty()) throw UserError(path + ": no such file, directory or pattern");
    for (const std::string& match : matches) add_path(match, files);
  }
  if (files.empty()) throw UserError("no log was named: give a file, a directory or a pattern");
  std::sort(files.begin(), files.end());
  refuse_twice(files);
  return files;
}

bool same_bytes(const std::string& a, const std::string& b) {
  constexpr size_t kPiece = size_t{1} << 20;
  const InputFile first(a), second(b);
  std::vector<std::byte> left(kPiece), right(kPiece);
  for (int64_t at = 0;; at += static_cast<int64_t>(kPiece)) {
    const size_t got = read(first, a, at, left);
    if (read(second, b, at, right) != got || std::memcmp(left.data(), right.data(), got) != 0) {
      return false;
    }
    if (got < kPiece) return true;
  }
}

std::string hash_of_ends(const std::string& path, int64_t bytes) {
  constexpr int64_t kEnd = 4096;
  const InputFile file(path);
  std::vector<std::byte> buffer(static_cast<size_t>(std::min(kEnd, bytes)));
  Sha256 digest;
  for (const int64_t from : {int64_t{0}, bytes - static_cast<int64_t>(buffer.size())}) {
    if (read(file, path, from, buffer) != buffer.size()) {
      throw UserError(path + ": cannot be read to its end: it is being cut off or written to");
    }
    digest.update(buffer);
  }
  return digest.hex();
}

}  // namespace alm::io
