#include "engine/train/metrics_log.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "kernels/base/check.h"

namespace alm {

MetricsLog::MetricsLog(const std::string& path, bool rank_zero) : path_(path) {
  if (!rank_zero) return;
  file_ = std::fopen(path.c_str(), "ab");
  if (file_ == nullptr) throw MachineError("cannot write " + path + ": " + std::strerror(errno));
}

MetricsLog::~MetricsLog() {
  if (file_ != nullptr) std::fclose(file_);
}

void MetricsLog::write(const io::Json& line) {
  if (file_ == nullptr) return;
  const std::string text = io::json_text(line) + "\n";
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size() || std::fflush(file_) != 0) {
    throw MachineError("cannot write " + path_ + ": " + std::strerror(errno));
  }
}

int64_t MetricsLog::size() const {
  return file_ == nullptr ? 0 : static_cast<int64_t>(std::ftell(file_));
}

void MetricsLog::truncate(int64_t size) {
  if (file_ == nullptr) return;
  std::fflush(file_);
  // Lines that a crash of the machine took are not replaced by zeros.
  if (size >= this->size()) return;
  if (ftruncate(fileno(file_), static_cast<off_t>(size)) != 0) {
    throw MachineError("cannot cut " + path_ + ": " + std::strerror(errno));
  }
  std::fseek(file_, 0, SEEK_END);
}

std::vector<io::Json> read_metrics(const std::string& path) {
  std::vector<io::Json> lines;
  std::ifstream file(path);
  std::string text;
  while (std::getline(file, text)) {
    io::Json line = io::Json::parse(text, nullptr, false);
    if (!line.is_discarded()) lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace alm
