// A log in memory, for tests of what reads one.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "io/log_reader.h"

namespace alm {

// In blocks of 64 rows. Thread-safe.
class MemoryLog : public io::Log {
 public:
  MemoryLog(io::LogSchema schema, io::Journeys rows)
      : schema_(std::move(schema)), all_(std::move(rows)) {
    for (int64_t first = 0; first < all_.size(); first += 64) {
      blocks_.push_back({0, first, std::min<int64_t>(64, all_.size() - first)});
    }
  }
  const io::LogSchema& schema() const override { return schema_; }
  const io::LogOptions& options() const override { return options_; }
  const std::vector<io::LogFile>& files() const override { return files_; }
  int64_t rows() const override { return all_.size(); }
  int64_t touches() const override { return all_.touches(); }
  const std::vector<io::BlockInfo>& blocks() const override { return blocks_; }
  const std::string& manifest_hash() const override { return hash_; }
  const std::vector<std::string>& warnings() const override { return warnings_; }
  io::ReadReport read_block(int64_t block, const io::ColumnSet&, io::Journeys& out) const override {
    out.clear();
    const io::BlockInfo& of = blocks_[static_cast<size_t>(block)];
    for (int64_t i = 0; i < of.rows; ++i) out.append(all_, of.first_row + i, schema_);
    io::ReadReport report;
    report.rows = of.rows;
    return report;
  }

 private:
  io::LogSchema schema_;
  io::LogOptions options_;
  io::Journeys all_;
  std::vector<io::LogFile> files_;
  std::vector<io::BlockInfo> blocks_;
  std::vector<std::string> warnings_;
  std::string hash_;
};

}  // namespace alm
