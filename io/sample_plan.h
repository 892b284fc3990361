// The order of training samples: a pure function of (seed, epoch, batch), the same for any rank
// count.
//
// Groups of consecutive blocks of the log are permuted by (seed, epoch), the blocks of a group stay
// in log order; the training rows in that order form one sequence of `rows` samples. It is cut into
// `lanes` equal runs, one per micro-block of a batch: micro-block l of step b takes rows
// [b * per_lane, (b+1) * per_lane) of run l. Within the part of a block that one lane uses, rows
// are shuffled by (seed, epoch, lane, block). A rank owns whole lanes, so it decodes only the
// blocks its lanes meet.
//
// So every training row comes once an epoch, and each batch holds rows of `lanes` places that lie
// evenly over an order of the groups which is drawn anew each epoch: whatever drifts along the log
// (time, users) is spread over every batch as evenly as over the log. Two rows of one block share a
// micro-block more often than two rows drawn from the whole log would. A log of at most two blocks
// a lane has groups of one block; a larger one groups of kGroupBlocks, so that a chunk which holds
// the rows of several blocks is decoded about once an epoch and not once for each of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace alm::io {

inline constexpr int64_t kGroupBlocks = 8;  // two chunks of 8-byte values, of the log's writer

// What the first pass counts: training rows of each block.
struct SamplePlanInput {
  std::vector<int64_t> block_rows;  // training rows of every block, in log order
  uint64_t seed = 1;
  int64_t batch = 1024;  // samples of a global batch
  int64_t lanes = 16;    // micro-blocks of a batch; divides batch
};

// A piece of a lane: rows [begin, end) of the *training* rows of one block, counted within the
// block.
struct LanePiece {
  int64_t block = 0;
  int64_t begin = 0;
  int64_t end = 0;
};

class SamplePlan {
 public:
  explicit SamplePlan(SamplePlanInput input);
  int64_t rows() const { return rows_; }
  int64_t lanes() const { return input_.lanes; }
  int64_t batch() const { return input_.batch; }
  int64_t rows_per_lane_step() const { return input_.batch / input_.lanes; }
  // Steps of an epoch: equal on every rank. The last one may be short in every lane. 0 without
  // rows.
  int64_t steps_per_epoch() const;
  // Training rows of one block, as counted by the first pass.
  int64_t block_rows(int64_t block) const { return input_.block_rows[static_cast<size_t>(block)]; }
  // Samples of one lane in every epoch: lanes differ by at most one.
  int64_t lane_rows(int64_t lane) const;
  // The pieces of one lane in order, none of them empty.
  std::vector<LanePiece> lane(int64_t epoch, int64_t lane) const;
  // Consecutive blocks that follow each other in every epoch.
  int64_t group_blocks() const;
  // Overwrites `order` with the order of the training rows of a piece: order[i] = index within the
  // block's training rows. Size end - begin, a permutation of [begin, end).
  void piece_order(int64_t epoch, int64_t lane, const LanePiece& piece,
                   std::vector<int64_t>& order) const;

 private:
  // All blocks, in the order of an epoch.
  std::vector<int64_t> block_order(int64_t epoch) const;

  SamplePlanInput input_;
  int64_t rows_ = 0;
};

// Lanes owned by a rank: [first, last), consecutive, sizes differing by at most one.
// UserError (with advice) when ranks > lanes.
struct LaneRange {
  int64_t first = 0;
  int64_t last = 0;
};
LaneRange lanes_of_rank(int64_t lanes, int64_t rank, int64_t ranks);

}  // namespace alm::io
