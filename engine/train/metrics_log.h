// RUN/metrics.jsonl: one object a line, one line a report step. Rank 0 writes; others do nothing.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "io/json.h"

namespace alm {

class MetricsLog {
 public:
  // Appends to what is there.
  MetricsLog(const std::string& path, bool rank_zero);
  ~MetricsLog();
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;
  // Appended and flushed. MachineError when it cannot be written.
  void write(const io::Json& line);
  // Bytes so far, for the checkpoint; truncate() goes back to them on resume.
  int64_t size() const;
  void truncate(int64_t size);

 private:
  std::string path_;
  std::FILE* file_ = nullptr;
};

// All objects of the file, unreadable lines left out; empty without a file.
std::vector<io::Json> read_metrics(const std::string& path);

}  // namespace alm
