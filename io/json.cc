#include "io/json.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>

#include "kernels/base/check.h"
#include "kernels/base/controls.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

[[noreturn]] void cannot(const char* what, const std::string& path) {
  throw MachineError(format("%s: cannot %s: %s", path.c_str(), what, std::strerror(errno)));
}

}  // namespace

Json read_json(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file) throw UserError(path + ": cannot be read (is the path right?)");
  try {
    return Json::parse(text.str());
  } catch (const Json::exception& error) {
    throw UserError(format("%s: not valid JSON: %s", path.c_str(), error.what()));
  }
}

void write_file_synced(const std::string& path, std::span<const std::byte> bytes) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) cannot("create the file", path);
  size_t done = 0;
  bool good = true;
  while (good && done < bytes.size()) {
    const ssize_t wrote = ::write(file, bytes.data() + done, bytes.size() - done);
    if (wrote >= 0) {
      done += static_cast<size_t>(wrote);
    } else {
      good = errno == EINTR;
    }
  }
  good = good && ::fsync(file) == 0;
  const int error = errno;
  const bool closed = ::close(file) == 0;
  if (!good) errno = error;
  if (!good || !closed) cannot("write", path);
}

void sync_directory(const std::string& path) {
  const int directory =
      ::open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) cannot("open the directory", path);
  // Some network file systems refuse to sync a directory; there the rename itself is durable.
  const bool good = ::fsync(directory) == 0 || errno == EINVAL || errno == ENOTSUP;
  const int error = errno;
  ::close(directory);
  errno = error;
  if (!good) cannot("sync the directory", path);
}

void write_text_atomically(const std::string& path, const std::string& text) {
  const std::string temporary = path + ".tmp";
  try {
    write_file_synced(temporary, std::as_bytes(std::span(text)));
  } catch (const MachineError&) {
    std::remove(temporary.c_str());  // a part of it is of no use
    throw;
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) cannot("rename into place", path);
  const size_t slash = path.rfind('/');
  sync_directory(slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash));
}

void write_json_atomically(const std::string& path, const Json& value) {
  write_text_atomically(path, json_text(value, 2) + "\n");
}

std::string json_text(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string valid_utf8(const std::string& text) {
  const auto is_ascii = [](char letter) { return static_cast<unsigned char>(letter) < 0x80; };
  if (std::all_of(text.begin(), text.end(), is_ascii)) return text;
  return Json::parse(json_text(text)).get<std::string>();
}

std::string one_line(const std::string& text) {
  return without_controls(valid_utf8(text));
}

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

}  // namespace alm::io
