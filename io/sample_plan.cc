#include "io/sample_plan.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "kernels/base/check.h"
#include "kernels/base/hash.h"
#include "kernels/base/rng.h"
#include "kernels/base/text.h"

namespace alm::io {

namespace {

// Fisher-Yates: order becomes a permutation of what it holds.
void shuffle(std::vector<int64_t>& order, Rng rng) {
  for (size_t left = order.size(); left > 1; --left) {
    std::swap(order[left - 1], order[static_cast<size_t>(rng.below(left))]);
  }
}

// Where run `lane` of `lanes` equal runs over `rows` begins.
int64_t run_begin(int64_t rows, int64_t lane, int64_t lanes) {
  return static_cast<int64_t>(static_cast<__int128>(rows) * lane / lanes);
}

}  // namespace

SamplePlan::SamplePlan(SamplePlanInput input) : input_(std::move(input)) {
  ALM_CHECK(input_.lanes > 0 && input_.batch > 0 && input_.batch % input_.lanes == 0,
            "batch %lld, lanes %lld", static_cast<long long>(input_.batch),
            static_cast<long long>(input_.lanes));
  for (const int64_t rows : input_.block_rows) {
    ALM_CHECK(rows >= 0);
    rows_ += rows;
  }
}

int64_t SamplePlan::lane_rows(int64_t lane) const {
  return run_begin(rows_, lane + 1, input_.lanes) - run_begin(rows_, lane, input_.lanes);
}

int64_t SamplePlan::steps_per_epoch() const {
  const int64_t longest = (rows_ + input_.lanes - 1) / input_.lanes;
  return (longest + rows_per_lane_step() - 1) / rows_per_lane_step();
}

int64_t SamplePlan::group_blocks() const {
  return static_cast<int64_t>(input_.block_rows.size()) <= 2 * input_.lanes ? 1 : kGroupBlocks;
}

std::vector<int64_t> SamplePlan::block_order(int64_t epoch) const {
  const auto blocks = static_cast<int64_t>(input_.block_rows.size());
  const int64_t size = group_blocks();
  std::vector<int64_t> groups(static_cast<size_t>((blocks + size - 1) / size));
  std::iota(groups.begin(), groups.end(), 0);
  shuffle(groups, Rng(input_.seed, Stream::shuffle_blocks, static_cast<uint64_t>(epoch)));
  std::vector<int64_t> order;
  order.reserve(static_cast<size_t>(blocks));
  for (const int64_t group : groups) {
    const int64_t end = std::min(blocks, (group + 1) * size);
    for (int64_t block = group * size; block < end; ++block) order.push_back(block);
  }
  return order;
}

std::vector<LanePiece> SamplePlan::lane(int64_t epoch, int64_t lane) const {
  ALM_CHECK(epoch >= 0 && lane >= 0 && lane < input_.lanes);
  const int64_t first = run_begin(rows_, lane, input_.lanes);
  const int64_t last = run_begin(rows_, lane + 1, input_.lanes);
  std::vector<LanePiece> pieces;
  int64_t block_begin = 0;  // in the epoch's sequence of samples
  for (const int64_t block : block_order(epoch)) {
    const int64_t block_end = block_begin + block_rows(block);
    const int64_t begin = std::max(first, block_begin);
    const int64_t end = std::min(last, block_end);
    if (begin < end) pieces.push_back({block, begin - block_begin, end - block_begin});
    block_begin = block_end;
  }
  return pieces;
}

void SamplePlan::piece_order(int64_t epoch, int64_t lane, const LanePiece& piece,
                             std::vector<int64_t>& order) const {
  order.resize(static_cast<size_t>(piece.end - piece.begin));
  std::iota(order.begin(), order.end(), piece.begin);
  const uint64_t index = mix(mix(mix(static_cast<uint64_t>(epoch)) + static_cast<uint64_t>(lane)) +
                             static_cast<uint64_t>(piece.block));
  shuffle(order, Rng(input_.seed, Stream::shuffle_rows, index));
}

LaneRange lanes_of_rank(int64_t lanes, int64_t rank, int64_t ranks) {
  ALM_CHECK(ranks > 0 && rank >= 0 && rank < ranks);
  if (ranks > lanes) {
    throw UserError(
        format("%lld ranks, but a batch has only %lld micro-blocks: start at most %lld ranks, each "
               "of more threads, or raise --batch (to 256 journeys a rank, at least 8192)",
               static_cast<long long>(ranks), static_cast<long long>(lanes),
               static_cast<long long>(lanes)));
  }
  return {run_begin(lanes, rank, ranks), run_begin(lanes, rank + 1, ranks)};
}

}  // namespace alm::io
