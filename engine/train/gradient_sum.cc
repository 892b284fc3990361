#include "engine/train/gradient_sum.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "kernels/base/fixed_point.h"

namespace alm {
namespace {

// Arena pieces that threads sum on their own.
constexpr int64_t kPiece = 16384;

}  // namespace

DenseGradientSum::DenseGradientSum(int64_t parameters, int64_t slots, int64_t total_blocks,
                                   bool deterministic)
    : deterministic_(deterministic),
      total_blocks_(total_blocks),
      arenas_(static_cast<size_t>(slots), std::vector<float>(static_cast<size_t>(parameters))),
      fixed_(deterministic ? static_cast<size_t>(parameters) : 0) {}

void DenseGradientSum::clear(ThreadPool& pool) {
  pool.parallel_for(static_cast<int64_t>(arenas_.size()), [&](int64_t index, int64_t) {
    std::vector<float>& arena = arenas_[static_cast<size_t>(index)];
    std::fill(arena.begin(), arena.end(), 0.0f);
  });
}

float DenseGradientSum::largest(Queue& queue, const Ops& ops) const {
  float result = 0;
  for (const std::vector<float>& arena : arenas_) {
    ops.max_abs(queue, {.x = arena, .largest = &result});
  }
  return result;
}

void DenseGradientSum::reduce(Communicator& world, Queue& queue, const Ops& ops, ThreadPool& pool,
                              float largest) {
  if (deterministic_) {
    const int shift = fixed_point_shift(largest, total_blocks_);
    std::fill(fixed_.begin(), fixed_.end(), 0);
    for (const std::vector<float>& arena : arenas_) {
      ops.quantise(queue, {.x = arena, .shift = shift, .sum = fixed_});
    }
    world.all_reduce_sum(std::span(fixed_), "dense gradient");
    ops.dequantise(queue, {.sum = fixed_, .shift = shift, .x = sum()});
    return;
  }
  const int64_t size = static_cast<int64_t>(arenas_.front().size());
  if (arenas_.size() > 1) {
    pool.parallel_for((size + kPiece - 1) / kPiece, [&](int64_t piece, int64_t) {
      const size_t first = static_cast<size_t>(piece * kPiece);
      const size_t count = static_cast<size_t>(std::min(kPiece, size - piece * kPiece));
      float* const to = arenas_.front().data() + first;
      for (size_t slot = 1; slot < arenas_.size(); ++slot) {
        const float* const from = arenas_[slot].data() + first;
        for (size_t at = 0; at < count; ++at) to[at] += from[at];
      }
    });
  }
  world.all_reduce_sum(sum(), "dense gradient");
}

float RowGradientSum::largest(std::span<const RowUses* const> uses, Queue& queue,
                              const Ops& ops) const {
  float result = 0;
  for (const RowUses* use : uses) ops.max_abs(queue, {.x = use->gradient, .largest = &result});
  return result;
}

template <class From, class To>
void RowGradientSum::sum_uses(std::vector<To>& sums, int shift) {
  std::sort(uses_.begin(), uses_.end());
  rows_.clear();
  sums.clear();
  const size_t width = static_cast<size_t>(width_);
  const double scale = std::ldexp(1.0, shift);
  for (const Use& use : uses_) {
    if (rows_.empty() || rows_.back() != use.row) {
      rows_.push_back(use.row);
      sums.resize(sums.size() + width, To{});
    }
    To* const to = sums.data() + sums.size() - width;
    for (size_t col = 0; col < width; ++col) {
      From value;
      std::memcpy(&value, use.gradient + col * sizeof(From), sizeof(From));
      if constexpr (std::is_same_v<From, To>) {
        to[col] += value;
      } else {
        to[col] += std::llrint(static_cast<double>(value) * scale);
      }
    }
  }
}

template <class Number>
void RowGradientSum::merge_ranks(std::vector<Number>& sums, Communicator& world) {
  if (world.size() == 1) return;
  const size_t row_bytes = rows_.size() * sizeof(int64_t);
  mine_.resize(row_bytes + sums.size() * sizeof(Number));
  std::memcpy(mine_.data(), rows_.data(), row_bytes);
  std::memcpy(mine_.data() + row_bytes, sums.data(), sums.size() * sizeof(Number));
  world.all_gather_v(mine_, all_, counts_, "row gradients");

  uses_.clear();
  const size_t width = static_cast<size_t>(width_);
  size_t from = 0;
  for (const int64_t count : counts_) {
    const size_t rows = static_cast<size_t>(count) / (sizeof(int64_t) + width * sizeof(Number));
    for (size_t row = 0; row < rows; ++row) {
      Use use{0, static_cast<int64_t>(uses_.size()),
              all_.data() + from + rows * sizeof(int64_t) + row * width * sizeof(Number)};
      std::memcpy(&use.row, all_.data() + from + row * sizeof(int64_t), sizeof(int64_t));
      uses_.push_back(use);
    }
    from += static_cast<size_t>(count);
  }
  sum_uses<Number>(sums, 0);
}

void RowGradientSum::reduce(std::span<const RowUses* const> uses, Communicator& world,
                            float largest) {
  uses_.clear();
  for (const RowUses* use : uses) {
    for (size_t at = 0; at < use->rows.size(); ++at) {
      const float* const gradient = use->gradient.data() + at * static_cast<size_t>(width_);
      uses_.push_back({use->rows[at], static_cast<int64_t>(uses_.size()),
                       reinterpret_cast<const std::byte*>(gradient)});
    }
  }
  if (!deterministic_) {
    sum_uses<float>(gradient_, 0);
    merge_ranks(gradient_, world);
    return;
  }
  const int shift = fixed_point_shift(largest, most_uses_);
  sum_uses<float>(fixed_, shift);
  merge_ranks(fixed_, world);
  gradient_.resize(fixed_.size());
  for (size_t at = 0; at < fixed_.size(); ++at) {
    gradient_[at] = static_cast<float>(std::ldexp(static_cast<double>(fixed_[at]), -shift));
  }
}

}  // namespace alm
