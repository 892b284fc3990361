#include "engine/train/gradient_sum.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <utility>

#include "kernels/base/fixed_point.h"

namespace alm {
namespace {

// Arena pieces that threads sum on their own.
constexpr int64_t kPiece = 16384;

// Digits of a row number, for sorting.
constexpr int kDigitBits = 11;
constexpr int64_t kDigits = int64_t{1} << kDigitBits;

// Uses whose gradient is fetched ahead: they lie in the memory of many micro-blocks.
constexpr size_t kAhead = 8;

template <class Number>
void add_numbers(const std::byte* from, Number* to, int64_t width) {
  for (int64_t col = 0; col < width; ++col) {
    Number value;
    std::memcpy(&value, from + static_cast<size_t>(col) * sizeof(Number), sizeof(Number));
    to[col] += value;
  }
}

}  // namespace

DenseGradientSum::DenseGradientSum(int64_t parameters, int64_t slots, int64_t total_blocks,
                                   bool deterministic)
    : deterministic_(deterministic),
      total_blocks_(total_blocks),
      arenas_(static_cast<size_t>(slots), std::vector<float>(static_cast<size_t>(parameters))),
      largest_(static_cast<size_t>(slots)),
      fixed_(deterministic ? static_cast<size_t>(parameters) : 0) {}

void DenseGradientSum::clear(Compute& compute) {
  const auto body = [&](int64_t slot, int64_t) {
    std::vector<float>& arena = arenas_[static_cast<size_t>(slot)];
    std::fill(arena.begin(), arena.end(), 0.0f);
  };
  compute.pool().parallel_for(slots(), std::cref(body));
}

float DenseGradientSum::largest(Compute& compute) {
  const auto body = [&](int64_t slot, int64_t thread) {
    float& result = largest_[static_cast<size_t>(slot)];
    result = 0;
    compute.ops().max_abs(*compute.thread(thread).queue,
                          {.x = arenas_[static_cast<size_t>(slot)], .largest = &result});
  };
  compute.pool().parallel_for(slots(), std::cref(body));
  return *std::max_element(largest_.begin(), largest_.end());
}

void DenseGradientSum::reduce(Communicator& world, Compute& compute, float largest) {
  const int64_t size = static_cast<int64_t>(arenas_.front().size());
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
    for_each_piece([&](size_t first, size_t count, Queue& queue) {
      const std::span<int64_t> piece = std::span(fixed_).subspan(first, count);
      std::fill(piece.begin(), piece.end(), 0);
      for (const std::vector<float>& arena : arenas_) {
        ops.quantise(queue, {.x = std::span<const float>(arena).subspan(first, count),
                             .shift = shift,
                             .sum = piece});
      }
    });
    world.all_reduce_sum(std::span(fixed_), "dense gradient");
    for_each_piece([&](size_t first, size_t count, Queue& queue) {
      ops.dequantise(queue, {.sum = std::span<const int64_t>(fixed_).subspan(first, count),
                             .shift = shift,
                             .x = sum().subspan(first, count)});
    });
    return;
  }
  if (arenas_.size() > 1) {
    for_each_piece([&](size_t first, size_t count, Queue& queue) {
      for (size_t slot = 1; slot < arenas_.size(); ++slot) {
        ops.accumulate(queue, {.x = std::span<const float>(arenas_[slot]).subspan(first, count),
                               .y = sum().subspan(first, count)});
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

void RowGradientSum::sort_uses() {
  int64_t highest = 0;
  for (const Use& use : uses_) highest = std::max(highest, use.row);
  sorted_.resize(uses_.size());
  // Lowest digit first; every pass keeps the order of equal digits.
  for (int shift = 0; (highest >> shift) > 0; shift += kDigitBits) {
    std::array<int64_t, kDigits> place{};
    const auto digit = [&](const Use& use) {
      return static_cast<size_t>((use.row >> shift) & (kDigits - 1));
    };
    for (const Use& use : uses_) ++place[digit(use)];
    int64_t before = 0;
    for (int64_t& of_digit : place) of_digit = std::exchange(before, before + of_digit);
    for (const Use& use : uses_) sorted_[static_cast<size_t>(place[digit(use)]++)] = use;
    std::swap(uses_, sorted_);
  }
}

template <class Number, class Add>
void RowGradientSum::sum_uses(std::vector<Number>& sums, Add add) {
  sort_uses();
  const size_t width = static_cast<size_t>(width_);
  // How many rows are distinct varies from step to step: room for all, so that memory settles.
  rows_.reserve(uses_.size());
  sums.reserve(uses_.size() * width);
  rows_.clear();
  for (const Use& use : uses_) {
    if (rows_.empty() || rows_.back() != use.row) rows_.push_back(use.row);
  }
  sums.assign(rows_.size() * width, Number{});
  Number* to = sums.data();
  for (size_t at = 0; at < uses_.size(); ++at) {
    if (at + kAhead < uses_.size()) __builtin_prefetch(uses_[at + kAhead].gradient);
    if (at > 0 && uses_[at].row != uses_[at - 1].row) to += width;
    add(uses_[at].gradient, to);
  }
}

template <class Number>
void RowGradientSum::merge_ranks(std::vector<Number>& sums, Communicator& world) {
  if (world.size() == 1) return;
  const size_t row_bytes = rows_.size() * sizeof(int64_t);
  mine_.resize(row_bytes + sums.size() * sizeof(Number));
  if (!rows_.empty()) {
    std::memcpy(mine_.data(), rows_.data(), row_bytes);
    std::memcpy(mine_.data() + row_bytes, sums.data(), sums.size() * sizeof(Number));
  }
  world.all_gather_v(mine_, all_, counts_, "row gradients");

  uses_.clear();
  const size_t width = static_cast<size_t>(width_);
  size_t from = 0;
  for (const int64_t count : counts_) {
    const size_t rows = static_cast<size_t>(count) / (sizeof(int64_t) + width * sizeof(Number));
    for (size_t row = 0; row < rows; ++row) {
      Use use{0, all_.data() + from + rows * sizeof(int64_t) + row * width * sizeof(Number)};
      std::memcpy(&use.row, all_.data() + from + row * sizeof(int64_t), sizeof(int64_t));
      uses_.push_back(use);
    }
    from += static_cast<size_t>(count);
  }
  sum_uses(sums, [&](const std::byte* gradient, Number* to) { add_numbers(gradient, to, width_); });
}

void RowGradientSum::reduce(std::span<const RowUses* const> uses, Communicator& world, Queue& queue,
                            const Ops& ops, float largest) {
  uses_.clear();
  for (const RowUses* use : uses) {
    for (size_t at = 0; at < use->rows.size(); ++at) {
      const float* const gradient = use->gradient.data() + at * static_cast<size_t>(width_);
      uses_.push_back({use->rows[at], reinterpret_cast<const std::byte*>(gradient)});
    }
  }
  if (!deterministic_) {
    sum_uses(gradient_,
             [&](const std::byte* gradient, float* to) { add_numbers(gradient, to, width_); });
    merge_ranks(gradient_, world);
    return;
  }
  const int shift = fixed_point_shift(largest, most_uses_);
  const size_t width = static_cast<size_t>(width_);
  sum_uses(fixed_, [&](const std::byte* gradient, int64_t* to) {
    ops.quantise(queue, {.x = {reinterpret_cast<const float*>(gradient), width},
                         .shift = shift,
                         .sum = {to, width}});
  });
  merge_ranks(fixed_, world);
  gradient_.reserve(fixed_.capacity());
  gradient_.resize(fixed_.size());
  ops.dequantise(queue, {.sum = fixed_, .shift = shift, .x = gradient_});
}

}  // namespace alm
