// A log in which there is nothing to find: the rows of another, with what would carry an effect
// moved elsewhere (method 7.4). What moves where is a function of (seed, row) and of the block of
// rows that are stored together, so any rank and thread reads the same.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/estimate/control.h"
#include "io/log_reader.h"

namespace alm {

// Coarse stratum of the context of a journey. Thread-safe, pure.
using ContextStratum = std::function<int64_t(const io::Journeys&, int64_t row)>;

// Something that moves: within its group, and within its stratum unless it is alone there.
struct Movable {
  int64_t group = 0;
  int64_t stratum = 0;
  uint64_t key = 0;  // random; orders the movables of a cell
};
// [items] whose place each takes: the next of its cell in the order of the keys, the last the
// first's. So nothing stays where it is, what a cell holds is what it held, and what comes is
// independent of what was there. A movable alone in its cell goes round with the next cell of its
// group (the last: the one before); alone in its group it stays.
std::vector<int64_t> rotation(std::span<const Movable> items);

// What a control could move.
struct ControlReach {
  int64_t touches = 0;  // that could have moved (arm logs: journeys)
  int64_t moved = 0;    // to another journey; future touches: that a journey was given
};

// The rows of another log, changed as they are read.
class ChangedLog : public io::Log {
 public:
  explicit ChangedLog(std::shared_ptr<const io::Log> log);

  // No truth and no randomised touches: they are of the log as it was.
  const io::LogSchema& schema() const override { return schema_; }
  const io::LogOptions& options() const override { return log_->options(); }
  const std::vector<io::LogFile>& files() const override { return log_->files(); }
  int64_t rows() const override { return log_->rows(); }
  int64_t touches() const override { return log_->touches(); }
  const std::vector<io::BlockInfo>& blocks() const override { return log_->blocks(); }
  // Of the log beneath: users are held out as they were there.
  const std::string& manifest_hash() const override { return log_->manifest_hash(); }
  const std::vector<std::string>& warnings() const override { return log_->warnings(); }
  std::shared_ptr<const void> keep_chunks(int64_t places,
                                          const io::ColumnSet& columns) const override {
    return log_->keep_chunks(places, columns);
  }

 protected:
  std::shared_ptr<const io::Log> log_;
  io::LogSchema schema_;
};

// One proxy is unknown everywhere.
class DroppedProxyLog final : public ChangedLog {
 public:
  DroppedProxyLog(std::shared_ptr<const io::Log> log, int64_t column)
      : ChangedLog(std::move(log)), column_(column) {}
  io::ReadReport read_block(int64_t block, const io::ColumnSet& columns,
                            io::Journeys& out) const override;

 private:
  int64_t column_;
};

class ControlLog final : public ChangedLog {
 public:
  ControlLog(std::shared_ptr<const io::Log> log, Control control, uint64_t seed,
             ContextStratum stratum);
  io::ReadReport read_block(int64_t block, const io::ColumnSet& columns,
                            io::Journeys& out) const override;

  // COLLECTIVE. Reads the log once.
  ControlReach reach(Communicator& world) const;

 private:
  io::ReadReport read(int64_t block, const io::ColumnSet& columns, io::Journeys& out,
                      ControlReach& reach) const;
  void shuffle_mediators(io::Journeys& journeys, ControlReach& reach) const;
  void shuffle_arms(io::Journeys& journeys, ControlReach& reach) const;
  // [rows] whose touches each journey is given; -1: none.
  std::vector<int64_t> shuffled_rows(const io::Journeys& journeys) const;
  uint64_t key(int64_t row, int64_t position) const;

  Control control_;
  uint64_t seed_;
  ContextStratum stratum_;
};

// [rows] the next journey of the same user in the same block by (time, row); -1: none.
std::vector<int64_t> next_journeys(const io::Journeys& journeys);

}  // namespace alm
