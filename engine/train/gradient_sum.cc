#include "engine/train/gradient_sum.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "kernels/base/fixed_point.h"

namespace alm {
namespace {

// Arena pieces that threads sum on their own; as integers one fits in the first cache.
constexpr int64_t kPiece = 4096;

// A sum's largest value may be so many times larger or smaller than that of the sum before: larger
// ones might not fit into 64 bits, smaller ones lose digits to which the scale gives room.
constexpr float kRoom = 32;

}  // namespace

DenseGradientSum::DenseGradientSum(int64_t parameters, int64_t threads, int64_t total_blocks,
                                   bool deterministic)
    : parameters_(parameters),
      deterministic_(deterministic),
      total_blocks_(total_blocks),
      last_(parameters),
      threads_(static_cast<size_t>(threads)) {
  for (Thread& thread : threads_) {
    thread.arena.resize(static_cast<size_t>(parameters));
    if (deterministic) thread.fixed.resize(static_cast<size_t>(parameters));
  }
}

void DenseGradientSum::begin(int64_t first, int64_t last) {
  first_ = first;
  last_ = last;
  for (Thread& thread : threads_) {
    thread.used = false;
    thread.largest = 0;
    thread.not_finite = -1;
  }
  if (!deterministic_) return;
  const float expected = sizes_[first];
  shift_ = fixed_point_shift(double{expected} * kRoom, total_blocks_);
  most_ = std::min(expected * kRoom, std::numeric_limits<float>::max());
}

float* DenseGradientSum::arena(int64_t index) {
  Thread& thread = threads_[static_cast<size_t>(index)];
  if (deterministic_ || !thread.used) std::ranges::fill(in_range(thread.arena), 0.0f);
  if (deterministic_ && !thread.used) std::ranges::fill(in_range(thread.fixed), 0);
  thread.used = true;
  return thread.arena.data();
}

void DenseGradientSum::add(int64_t index, Queue& queue, const Ops& ops) {
  Thread& thread = threads_[static_cast<size_t>(index)];
  float largest = 0;
  ops.max_abs(queue, {.x = in_range(thread.arena), .largest = &largest});
  thread.largest = std::max(thread.largest, largest);
  if (!std::isfinite(largest)) {
    const int64_t place = first_not_finite(thread.arena);
    thread.not_finite = thread.not_finite < 0 ? place : std::min(thread.not_finite, place);
  }
  // Else the sum will be made once more.
  if (largest <= most_) {
    ops.quantise(queue,
                 {.x = in_range(thread.arena), .shift = shift_, .sum = in_range(thread.fixed)});
  }
}

float DenseGradientSum::largest() const {
  return std::ranges::max_element(threads_, {}, &Thread::largest)->largest;
}

bool DenseGradientSum::fits(float largest) {
  const float expected = std::exchange(sizes_[first_], largest > 0 ? largest : sizes_[first_]);
  return largest == 0 || (largest <= expected * kRoom && largest >= expected / kRoom);
}

bool DenseGradientSum::settled(Communicator& world, const char* what, float* largest) {
  if (!deterministic_) return true;
  *largest = this->largest();
  world.all_reduce_max(std::span(largest, 1), what);
  return !std::isfinite(*largest) || fits(*largest);
}

int64_t DenseGradientSum::first_not_finite(const std::vector<float>& arena) const {
  for (int64_t at = first_; at < last_; ++at) {
    if (!std::isfinite(arena[static_cast<size_t>(at)])) return at;
  }
  return -1;
}

int64_t DenseGradientSum::first_not_finite() const {
  int64_t first = -1;
  for (const Thread& thread : threads_) {
    if (!thread.used) continue;
    for (const int64_t place : {thread.not_finite, first_not_finite(thread.arena)}) {
      if (place >= 0) first = first < 0 ? place : std::min(first, place);
    }
  }
  return first;
}

void DenseGradientSum::reduce(Communicator& world, Compute& compute) {
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
  if (!threads_.front().used) arena(0);
  if (deterministic_) {
    const std::span<int64_t> fixed = in_range(threads_.front().fixed);
    for_each_piece([&](size_t first, size_t count, Queue&) {
      for (size_t other = 1; other < threads_.size(); ++other) {
        if (!threads_[other].used) continue;
        const int64_t* const from = in_range(threads_[other].fixed).data() + first;
        for (size_t at = 0; at < count; ++at) fixed[first + at] += from[at];
      }
    });
    world.all_reduce_sum(fixed, "dense gradient");
    for_each_piece([&](size_t first, size_t count, Queue& queue) {
      ops.dequantise(
          queue,
          {.sum = fixed.subspan(first, count), .shift = shift_, .x = sum().subspan(first, count)});
    });
    return;
  }
  for_each_piece([&](size_t first, size_t count, Queue& queue) {
    for (size_t other = 1; other < threads_.size(); ++other) {
      if (!threads_[other].used) continue;
      ops.accumulate(queue, {.x = in_range(threads_[other].arena).subspan(first, count),
                             .y = sum().subspan(first, count)});
    }
  });
  world.all_reduce_sum(sum(), "dense gradient");
}

}  // namespace alm
