// The stream of training batches: lanes, the blocks that they read ahead, and the ring of steps.
#include <algorithm>
#include <utility>

#include "io/batch_stream.h"
#include "io/block_buffers.h"
#include "io/stream_crew.h"
#include "kernels/base/check.h"
#include "kernels/base/clock.h"
#include "kernels/base/text.h"

namespace alm::io {

// Every owned lane walks through its pieces and holds (pins) the decoded block of the piece it is
// in and of the piece after that, so that decoding runs ahead of the change of blocks. Lanes that
// meet the same block share its buffer, and a block nobody pins stays until its buffer is wanted.
// There are min(blocks with training rows, 2 * owned lanes) buffers: a small log is decoded once
// and for all, and memory is bounded by 2 * lanes decoded blocks + depth * micro-blocks + the
// chunks that the next block of each lane shares with its current one.
//
// Turns, by priority: fill the next (step, lane) in order; decode the block that will be needed
// first. No turn waits for the consumer, and a turn waits for another only while that one decodes:
// no cycle.
class TrainStream::Impl {
 public:
  Impl(std::shared_ptr<const Log> log, std::shared_ptr<const SamplePlan> plan, Options options)
      : log_(std::move(log)), plan_(std::move(plan)), options_(std::move(options)) {
    const int64_t lanes = options_.lanes.last - options_.lanes.first;
    const int64_t steps = plan_->steps_per_epoch();
    ALM_CHECK(lanes > 0 && options_.depth > 0 && options_.threads > 0);
    if (plan_->rows() == 0) {
      throw UserError("no row of the log is left for training: it is empty, or --holdout is 1");
    }
    ALM_CHECK(options_.first_step >= 0 && options_.first_step <= steps);
    if (options_.first_step == steps) {
      ++options_.first_epoch;
      options_.first_step = 0;
    }
    int64_t used_blocks = 0;
    for (size_t block = 0; block < log_->blocks().size(); ++block) {
      used_blocks += plan_->block_rows(static_cast<int64_t>(block)) > 0 ? 1 : 0;
    }
    buffers_.resize(static_cast<size_t>(std::min(used_blocks, 2 * lanes)));
    if (used_blocks > 2 * lanes) chunks_ = log_->keep_chunks(lanes, options_.columns);
    slots_.resize(static_cast<size_t>(options_.depth));
    for (Slot& slot : slots_) {
      slot.lanes.resize(static_cast<size_t>(lanes));
      slot.missing = lanes;
    }
    lanes_.resize(static_cast<size_t>(lanes));
    for (int64_t lane = 0; lane < lanes; ++lane) {
      place(lanes_[static_cast<size_t>(lane)], options_.lanes.first + lane);
    }
    crew_.start(options_.threads, [this](std::unique_lock<std::mutex>& lock, int64_t) {
      return fill_one(lock) || decode_one(lock);
    });
  }

  std::span<const Journeys> next() {
    std::unique_lock<std::mutex> lock = crew_.lock();
    if (handed_out_) {
      slot_of(consumed_).missing = static_cast<int64_t>(lanes_.size());
      ++consumed_;
      handed_out_ = false;
      crew_.notify();
    }
    Slot& slot = slot_of(consumed_);
    {
      PhaseTimer timer(wait_seconds_);
      crew_.await(lock, [&] { return slot.missing == 0; });
    }
    handed_out_ = true;
    return slot.lanes;
  }

  double wait_seconds() const { return wait_seconds_; }

  LoaderPhases phases() {
    const auto lock = crew_.lock();
    return crew_.phases();
  }

 private:
  struct Place {
    int64_t epoch = 0;
    LanePiece piece;
    BlockBuffer* buffer = nullptr;
    int64_t size() const { return piece.end - piece.begin; }
  };

  // Only the turn that made it busy touches a lane without the lock.
  struct Lane {
    int64_t number = 0;
    int64_t rows = 0;   // in every epoch; 0: the lane is empty
    int64_t step = 0;   // within the epoch
    int64_t epoch = 0;  // of `pieces`
    std::vector<LanePiece> pieces;
    size_t upcoming = 0;  // the piece after `next`
    Place current;
    Place next;
    int64_t position = 0;        // within the current piece
    std::vector<int64_t> order;  // of the current piece
    std::vector<int64_t> rows_taken;
    int64_t next_needed = 0;  // samples from the start of the stream until `next` is entered
    bool busy = false;
  };

  struct Slot {
    std::vector<Journeys> lanes;
    int64_t missing = 0;
  };

  Slot& slot_of(int64_t step) { return slots_[static_cast<size_t>(step % options_.depth)]; }

  // With the lock: the next piece in the lane's endless sequence.
  Place next_place(Lane& lane) {
    if (lane.upcoming == lane.pieces.size()) {
      ++lane.epoch;
      lane.pieces = plan_->lane(lane.epoch, lane.number);
      lane.upcoming = 0;
    }
    const LanePiece& piece = lane.pieces[lane.upcoming++];
    return {lane.epoch, piece, buffers_.pin(piece.block)};
  }

  // Puts a lane where the stream begins.
  void place(Lane& lane, int64_t number) {
    lane.number = number;
    lane.rows = plan_->lane_rows(number);
    lane.step = options_.first_step;
    lane.epoch = options_.first_epoch;
    if (lane.rows == 0) return;
    lane.pieces = plan_->lane(lane.epoch, number);
    int64_t skip = std::min(lane.rows, lane.step * plan_->rows_per_lane_step());
    while (lane.upcoming < lane.pieces.size()) {
      const LanePiece& piece = lane.pieces[lane.upcoming];
      if (skip < piece.end - piece.begin) break;
      skip -= piece.end - piece.begin;
      ++lane.upcoming;
    }
    lane.current = next_place(lane);
    lane.next = next_place(lane);
    lane.position = skip;
    lane.next_needed = lane.current.size() - skip;
    plan_->piece_order(lane.current.epoch, number, lane.current.piece, lane.order);
  }

  bool fill_one(std::unique_lock<std::mutex>& lock) {
    const int64_t step = next_task_ / static_cast<int64_t>(lanes_.size());
    const size_t index = static_cast<size_t>(next_task_ % static_cast<int64_t>(lanes_.size()));
    Lane& lane = lanes_[index];
    if (step >= consumed_ + options_.depth || lane.busy) return false;
    ++next_task_;
    lane.busy = true;
    Slot& slot = slot_of(step);
    if (!fill(lock, lane, slot.lanes[index])) return true;
    lane.busy = false;
    --slot.missing;
    return true;
  }

  // Called and left with the lock held; false when the crew halted meanwhile.
  bool fill(std::unique_lock<std::mutex>& lock, Lane& lane, Journeys& out) {
    const int64_t per_step = plan_->rows_per_lane_step();
    int64_t wanted = std::clamp<int64_t>(lane.rows - lane.step * per_step, 0, per_step);
    lane.step = (lane.step + 1) % plan_->steps_per_epoch();
    out.clear();
    while (wanted > 0) {
      BlockBuffer& buffer = *lane.current.buffer;
      while (buffer.state != BlockBuffer::State::ready) {
        if (decode_one(lock)) continue;
        const auto changed = [&] { return buffer.state != BlockBuffer::State::loading; };
        if (!crew_.wait(lock, changed)) return false;
      }
      lock.unlock();
      const int64_t count = std::min(wanted, lane.current.size() - lane.position);
      {
        const PhaseTimer timer(thread_phases().batch);
        lane.rows_taken.clear();
        for (int64_t sample = lane.position; sample < lane.position + count; ++sample) {
          const int64_t training = lane.order[static_cast<size_t>(sample)];
          lane.rows_taken.push_back(buffer.training[static_cast<size_t>(training)]);
        }
        out.append_rows(buffer.rows, lane.rows_taken, log_->schema());
      }
      lane.position += count;
      wanted -= count;
      lock.lock();
      if (lane.position == lane.current.size()) enter_next(lock, lane);
    }
    return true;
  }

  void enter_next(std::unique_lock<std::mutex>& lock, Lane& lane) {
    --lane.current.buffer->pins;
    lane.current = lane.next;
    lane.next = next_place(lane);
    lane.next_needed += lane.current.size();
    lane.position = 0;
    lock.unlock();
    plan_->piece_order(lane.current.epoch, lane.number, lane.current.piece, lane.order);
    lock.lock();
  }

  // The block behind the one read last if it is wanted, as the two share chunks; else the one
  // needed first, and of those needed at once the first of the log.
  bool decode_one(std::unique_lock<std::mutex>& lock) {
    BlockBuffer* first = nullptr;
    int64_t first_needed = 0;
    const auto consider = [&](BlockBuffer* buffer, int64_t needed) {
      if (buffer == nullptr || buffer->state != BlockBuffer::State::wanted) return;
      if (buffer->block == last_read_ + 1) needed = -1;
      if (first == nullptr ||
          std::pair(needed, buffer->block) < std::pair(first_needed, first->block)) {
        first = buffer;
        first_needed = needed;
      }
    };
    for (const Lane& lane : lanes_) {
      consider(lane.current.buffer, 0);
      consider(lane.next.buffer, lane.next_needed);
    }
    if (first == nullptr) return false;
    last_read_ = first->block;
    load(lock, *first);
    return true;
  }

  // Decodes a wanted buffer, without the lock meanwhile.
  void load(std::unique_lock<std::mutex>& lock, BlockBuffer& buffer) {
    buffer.state = BlockBuffer::State::loading;
    lock.unlock();
    log_->read_block(buffer.block, options_.columns, buffer.rows);
    select_rows(buffer.rows, options_.filter, buffer.training);
    if (static_cast<int64_t>(buffer.training.size()) != plan_->block_rows(buffer.block)) {
      const BlockInfo& block = log_->blocks()[static_cast<size_t>(buffer.block)];
      throw MachineError(
          format("%s: block of row %lld has other training rows than when they were counted: the "
                 "file changed during the run",
                 log_->files()[static_cast<size_t>(block.file)].path.c_str(),
                 static_cast<long long>(block.first_row)));
    }
    lock.lock();
    buffer.state = BlockBuffer::State::ready;
    crew_.notify();
  }

  std::shared_ptr<const Log> log_;
  std::shared_ptr<const SamplePlan> plan_;
  Options options_;
  std::shared_ptr<const void> chunks_;  // room for them
  BlockBuffers buffers_;
  std::vector<Lane> lanes_;
  std::vector<Slot> slots_;
  int64_t next_task_ = 0;  // step * lanes + lane, steps from the start of the stream
  int64_t consumed_ = 0;   // steps given back by the consumer
  bool handed_out_ = false;
  int64_t last_read_ = -1;  // block
  double wait_seconds_ = 0;
  Crew crew_;
};

TrainStream::TrainStream(std::shared_ptr<const Log> log, std::shared_ptr<const SamplePlan> plan,
                         Options options)
    : impl_(std::make_unique<Impl>(std::move(log), std::move(plan), std::move(options))) {}
TrainStream::~TrainStream() = default;
std::span<const Journeys> TrainStream::next() {
  return impl_->next();
}
double TrainStream::wait_seconds() const {
  return impl_->wait_seconds();
}
LoaderPhases TrainStream::phases() const {
  return impl_->phases();
}

}  // namespace alm::io
