// A log in memory for tests of what stands on io::Log.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "io/log_reader.h"
#include "kernels/base/check.h"

namespace alm::io {

// `rows` journeys in blocks of `block_rows`; every value is a function of the row, so that a copy
// can be checked without the original: user = row * 7 + 1, outcome = row % 2, touches = row % 4,
// cluster = (row + position) % clusters, one dense column = row.
class FakeLog : public Log {
 public:
  FakeLog(int64_t rows, int64_t block_rows) : rows_(rows) {
    schema_.clusters = 5;
    schema_.block_rows = block_rows;
    schema_.dense = 1;
    for (int64_t first = 0; first < rows; first += block_rows) {
      blocks_.push_back({0, first, std::min(block_rows, rows - first)});
    }
    files_.push_back({"memory", 0, rows, 0, 0});
    reads_ = std::vector<std::atomic<int64_t>>(blocks_.size());
  }

  int64_t fail_on_block = -1;
  std::chrono::microseconds read_time{0};

  int64_t reads(int64_t block) const { return reads_[static_cast<size_t>(block)]; }
  // Blocks as they were read.
  std::vector<int64_t> order() const {
    std::lock_guard lock(order_mutex_);
    return order_;
  }

  const LogSchema& schema() const override { return schema_; }
  const LogOptions& options() const override { return options_; }
  const std::vector<LogFile>& files() const override { return files_; }
  int64_t rows() const override { return rows_; }
  int64_t touches() const override { return 0; }
  const std::vector<BlockInfo>& blocks() const override { return blocks_; }
  const std::string& manifest_hash() const override { return hash_; }
  const std::vector<std::string>& warnings() const override { return warnings_; }

  // Places that readers asked memory for, now and in all.
  std::shared_ptr<const void> keep_chunks(int64_t places, const ColumnSet&) const override {
    places_now += places;
    places_ever += places;
    return {this, [this, places](const void*) { places_now -= places; }};
  }
  mutable std::atomic<int64_t> places_now{0};
  mutable std::atomic<int64_t> places_ever{0};

  ReadReport read_block(int64_t block, const ColumnSet&, Journeys& out) const override {
    ++reads_[static_cast<size_t>(block)];
    {
      std::lock_guard lock(order_mutex_);
      order_.push_back(block);
    }
    std::this_thread::sleep_for(read_time);
    if (block == fail_on_block) throw UserError("memory, row 12: broken on purpose");
    const BlockInfo& info = blocks_[static_cast<size_t>(block)];
    out.clear();
    for (int64_t row = info.first_row; row < info.first_row + info.rows; ++row) {
      out.row.push_back(row);
      out.user.push_back(static_cast<uint64_t>(row * 7 + 1));
      out.outcome.push_back(static_cast<float>(row % 2));
      out.dense.push_back(static_cast<float>(row));
      for (int64_t touch = 0; touch < row % 4; ++touch) {
        out.cluster.push_back(static_cast<uint32_t>((row + touch) % schema_.clusters));
      }
      out.touch_begin.push_back(static_cast<int64_t>(out.cluster.size()));
    }
    ReadReport report;
    report.rows = info.rows;
    report.bad_rows = block % 3 == 2 ? 1 : 0;
    if (report.bad_rows > 0) report.first_bad_row = "block " + std::to_string(block);
    return report;
  }

 private:
  int64_t rows_;
  LogSchema schema_;
  LogOptions options_;
  std::vector<LogFile> files_;
  std::vector<BlockInfo> blocks_;
  std::string hash_ = "0";
  std::vector<std::string> warnings_;
  mutable std::vector<std::atomic<int64_t>> reads_;
  mutable std::mutex order_mutex_;
  mutable std::vector<int64_t> order_;
};

// Every journey of `journeys` holds the values FakeLog gives its row.
inline bool holds_fake_rows(const Journeys& journeys) {
  for (int64_t index = 0; index < journeys.size(); ++index) {
    const size_t at = static_cast<size_t>(index);
    const int64_t row = journeys.row[at];
    if (journeys.user[at] != static_cast<uint64_t>(row * 7 + 1)) return false;
    if (journeys.outcome[at] != static_cast<float>(row % 2)) return false;
    if (journeys.dense[at] != static_cast<float>(row)) return false;
    if (journeys.touches_of(index) != row % 4) return false;
    for (int64_t touch = 0; touch < row % 4; ++touch) {
      const size_t place = static_cast<size_t>(journeys.touch_begin[at] + touch);
      if (journeys.cluster[place] != static_cast<uint32_t>((row + touch) % 5)) return false;
    }
  }
  return true;
}

}  // namespace alm::io
