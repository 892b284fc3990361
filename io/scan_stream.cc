// The stream of one pass over the log.
#include <algorithm>
#include <utility>

#include "io/batch_stream.h"
#include "io/stream_crew.h"
#include "kernels/base/check.h"
#include "kernels/base/clock.h"

namespace alm::io {

// A ring of `depth` blocks, each cut into its micro-batches by whichever thread read it. Besides
// the ring, every thread has one decoded block.
class ScanStream::Impl {
 public:
  Impl(std::shared_ptr<const Log> log, Options options)
      : log_(std::move(log)), options_(std::move(options)) {
    ALM_CHECK(options_.rows > 0 && options_.depth > 0 && options_.threads > 0);
    ALM_CHECK(options_.first_block >= 0 && options_.first_block <= options_.last_block &&
              options_.last_block <= static_cast<int64_t>(log_->blocks().size()));
    next_task_ = options_.first_block;
    consumed_ = options_.first_block;
    slots_.resize(static_cast<size_t>(options_.depth));
    desks_.resize(static_cast<size_t>(options_.threads));
    crew_.start(options_.threads, [this](std::unique_lock<std::mutex>& lock, int64_t thread) {
      return read_one(lock, desks_[static_cast<size_t>(thread)]);
    });
  }

  const std::vector<Journeys>* next(int64_t* block) {
    std::unique_lock<std::mutex> lock = crew_.lock();
    if (handed_out_) {
      slot_of(consumed_).full = false;
      ++consumed_;
      handed_out_ = false;
      crew_.notify();
    }
    if (consumed_ == options_.last_block) return nullptr;
    Slot& slot = slot_of(consumed_);
    {
      const PhaseTimer timer(wait_seconds_);
      crew_.await(lock, [&] { return slot.full; });
    }
    handed_out_ = true;
    report_.add(slot.report);
    *block = consumed_;
    return &slot.batches;
  }

  const ReadReport& report() const { return report_; }
  double wait_seconds() const { return wait_seconds_; }

  LoaderPhases phases() {
    const auto lock = crew_.lock();
    return crew_.phases();
  }

 private:
  struct Slot {
    std::vector<Journeys> batches;
    std::vector<Journeys> spare;  // batches a longer block needed: kept for their memory
    ReadReport report;
    bool full = false;
  };

  struct Desk {
    Journeys block;
    std::vector<int64_t> selected;
  };

  Slot& slot_of(int64_t block) {
    return slots_[static_cast<size_t>((block - options_.first_block) % options_.depth)];
  }

  bool read_one(std::unique_lock<std::mutex>& lock, Desk& desk) {
    if (next_task_ == options_.last_block || next_task_ >= consumed_ + options_.depth) return false;
    const int64_t block = next_task_++;
    Slot& slot = slot_of(block);
    lock.unlock();
    slot.report = log_->read_block(block, options_.columns, desk.block);
    select_rows(desk.block, options_.filter, desk.selected);
    cut(desk, slot);
    lock.lock();
    slot.full = true;
    return true;
  }

  void cut(Desk& desk, Slot& slot) const {
    const PhaseTimer timer(thread_phases().batch);
    const int64_t rows = static_cast<int64_t>(desk.selected.size());
    const size_t count = static_cast<size_t>((rows + options_.rows - 1) / options_.rows);
    while (slot.batches.size() > count) {
      slot.spare.push_back(std::move(slot.batches.back()));
      slot.batches.pop_back();
    }
    while (slot.batches.size() < count) {
      if (slot.spare.empty()) slot.spare.emplace_back();
      slot.batches.push_back(std::move(slot.spare.back()));
      slot.spare.pop_back();
    }
    if (count == 1 && rows == desk.block.size()) {
      std::swap(slot.batches.front(), desk.block);
      return;
    }
    for (size_t batch = 0; batch < count; ++batch) {
      Journeys& out = slot.batches[batch];
      out.clear();
      const int64_t first = static_cast<int64_t>(batch) * options_.rows;
      const int64_t last = std::min(rows, first + options_.rows);
      out.append_rows(desk.block,
                      std::span(desk.selected)
                          .subspan(static_cast<size_t>(first), static_cast<size_t>(last - first)),
                      log_->schema());
    }
  }

  std::shared_ptr<const Log> log_;
  Options options_;
  std::vector<Slot> slots_;
  std::vector<Desk> desks_;
  int64_t next_task_ = 0;  // block
  int64_t consumed_ = 0;   // first block the consumer has not given back
  bool handed_out_ = false;
  double wait_seconds_ = 0;
  ReadReport report_;
  Crew crew_;
};

ScanStream::ScanStream(std::shared_ptr<const Log> log, Options options)
    : impl_(std::make_unique<Impl>(std::move(log), std::move(options))) {}
ScanStream::~ScanStream() = default;
const std::vector<Journeys>* ScanStream::next(int64_t* block) {
  return impl_->next(block);
}
const ReadReport& ScanStream::report() const {
  return impl_->report();
}
double ScanStream::wait_seconds() const {
  return impl_->wait_seconds();
}
LoaderPhases ScanStream::phases() const {
  return impl_->phases();
}

}  // namespace alm::io
