#include "engine/train/gradient_sum.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "kernels/base/fixed_point.h"

namespace alm {
namespace {

// Arena pieces that threads sum on their own; as integers one fits in the first cache.
constexpr int64_t kPiece = 4096;

}  // namespace

DenseGradientSum::DenseGradientSum(int64_t parameters, int64_t slots, int64_t total_blocks,
                                   bool deterministic)
    : deterministic_(deterministic),
      total_blocks_(total_blocks),
      last_(parameters),
      arenas_(static_cast<size_t>(slots), std::vector<float>(static_cast<size_t>(parameters))),
      used_(static_cast<size_t>(slots)),
      largest_(static_cast<size_t>(slots)),
      fixed_(deterministic ? static_cast<size_t>(parameters) : 0) {}

void DenseGradientSum::begin(int64_t first, int64_t last) {
  first_ = first;
  last_ = last;
  std::ranges::fill(used_, uint8_t{0});
  std::ranges::fill(largest_, 0.0f);
}

float* DenseGradientSum::slot(int64_t index) {
  const size_t at = static_cast<size_t>(index);
  if (used_[at] == 0) std::ranges::fill(in_range(arenas_[at]), 0.0f);
  used_[at] = 1;
  return arenas_[at].data();
}

void DenseGradientSum::measure(int64_t index, Queue& queue, const Ops& ops) {
  const size_t at = static_cast<size_t>(index);
  ops.max_abs(queue, {.x = in_range(arenas_[at]), .largest = &largest_[at]});
}

float DenseGradientSum::largest() const {
  return *std::ranges::max_element(largest_);
}

int64_t DenseGradientSum::first_not_finite() const {
  int64_t first = -1;
  for (size_t slot = 0; slot < arenas_.size(); ++slot) {
    if (used_[slot] == 0) continue;
    const int64_t end = first < 0 ? last_ : first;
    for (int64_t at = first_; at < end; ++at) {
      if (std::isfinite(arenas_[slot][static_cast<size_t>(at)])) continue;
      first = at;
      break;
    }
  }
  return first;
}

void DenseGradientSum::reduce(Communicator& world, Compute& compute, float largest) {
  const int64_t size = last_ - first_;
  const auto for_each_piece = [&](auto body) {
    const auto piece_body = [&](int64_t piece, int64_t thread) {
      const int64_t first = piece * kPiece;
      body(static_cast<size_t>(first), static_cast<size_t>(std::min(kPiece, size - first)),
           *compute.thread(thread).queue);
    };
    compute.pool().parallel_for((size + kPiece - 1) / kPiece, std::cref(piece_body));
  };
  const Ops& ops = compute.ops();
  if (deterministic_) {
    const int shift = fixed_point_shift(largest, total_blocks_);
    const std::span<int64_t> fixed = in_range(fixed_);
    for_each_piece([&](size_t first, size_t count, Queue& queue) {
      const std::span<int64_t> piece = fixed.subspan(first, count);
      std::ranges::fill(piece, 0);
      for (size_t slot = 0; slot < arenas_.size(); ++slot) {
        if (used_[slot] == 0) continue;
        ops.quantise(
            queue,
            {.x = in_range(arenas_[slot]).subspan(first, count), .shift = shift, .sum = piece});
      }
    });
    world.all_reduce_sum(fixed, "dense gradient");
    for_each_piece([&](size_t first, size_t count, Queue& queue) {
      ops.dequantise(
          queue,
          {.sum = fixed.subspan(first, count), .shift = shift, .x = sum().subspan(first, count)});
    });
    return;
  }
  slot(0);
  for_each_piece([&](size_t first, size_t count, Queue& queue) {
    for (size_t other = 1; other < arenas_.size(); ++other) {
      if (used_[other] == 0) continue;
      ops.accumulate(queue, {.x = in_range(arenas_[other]).subspan(first, count),
                             .y = sum().subspan(first, count)});
    }
  });
  world.all_reduce_sum(sum(), "dense gradient");
}

}  // namespace alm
