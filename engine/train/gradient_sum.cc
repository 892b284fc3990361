#include "engine/train/gradient_sum.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <utility>

#include "kernels/base/fixed_point.h"

namespace alm {
namespace {

// Arena pieces that threads sum on their own; as integers one fits in the first cache.
constexpr int64_t kPiece = 4096;

// Digits of a row number, for sorting.
constexpr int kDigitBits = 11;
constexpr int64_t kDigits = int64_t{1} << kDigitBits;

// Uses whose gradient is fetched ahead: they lie in the memory of many micro-blocks.
constexpr size_t kAhead = 16;
constexpr size_t kCacheLine = 64;

template <class Number>
void add_numbers(const std::byte* from, Number* to, int64_t width) {
  for (int64_t col = 0; col < width; ++col) {
    Number value;
    std::memcpy(&value, from + static_cast<size_t>(col) * sizeof(Number), sizeof(Number));
    to[col] += value;
  }
}

void fetch(const std::byte* from, size_t bytes) {
  for (size_t at = 0; at < bytes; at += kCacheLine) __builtin_prefetch(from + at);
}

// Memory for `count` numbers, which are overwritten. It grows to `most` at once, so that it settles
// in the first steps.
template <class Number>
void resize(std::vector<Number>& to, size_t count, size_t most) {
  to.reserve(most);
  to.resize(count);
}

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

int64_t RowGradientSum::bytes() const {
  const auto of = []<class T>(const std::vector<T>& numbers) {
    return static_cast<int64_t>(numbers.capacity() * sizeof(T));
  };
  int64_t bytes =
      of(sources_) + of(mine_) + of(all_) + of(counts_) + of(rows_) + of(gradient_) + of(fixed_);
  for (const Piece& piece : pieces_) bytes += of(piece.uses) + of(piece.sorted);
  return bytes;
}

void RowGradientSum::sort_uses(Piece& piece) {
  int64_t highest = 0;
  for (const Use& use : piece.uses) highest = std::max(highest, use.row);
  piece.sorted.resize(piece.uses.size());
  // Lowest digit first; every pass keeps the order of equal digits.
  for (int shift = 0; (highest >> shift) > 0; shift += kDigitBits) {
    std::array<int64_t, kDigits> place{};
    const auto digit = [&](const Use& use) {
      return static_cast<size_t>((use.row >> shift) & (kDigits - 1));
    };
    for (const Use& use : piece.uses) ++place[digit(use)];
    int64_t before = 0;
    for (int64_t& of_digit : place) of_digit = std::exchange(before, before + of_digit);
    for (const Use& use : piece.uses) {
      piece.sorted[static_cast<size_t>(place[digit(use)]++)] = use;
    }
    std::swap(piece.uses, piece.sorted);
  }
}

void RowGradientSum::collect(int64_t index, size_t row_bytes) {
  Piece& piece = pieces_[static_cast<size_t>(index)];
  const int64_t pieces = std::ssize(pieces_);
  const int64_t first = table_rows_ * index / pieces;
  const int64_t last = table_rows_ * (index + 1) / pieces;
  piece.uses.clear();
  for (const Source& source : sources_) {
    for (size_t at = 0; at < static_cast<size_t>(source.count); ++at) {
      Use use{0, source.gradient + at * row_bytes};
      std::memcpy(&use.row, source.rows + at * sizeof(int64_t), sizeof(int64_t));
      if (use.row >= first && use.row < last) piece.uses.push_back(use);
    }
  }
  sort_uses(piece);
  piece.distinct = 0;
  for (size_t at = 0; at < piece.uses.size(); ++at) {
    piece.distinct += at == 0 || piece.uses[at].row != piece.uses[at - 1].row;
  }
}

template <class From, class Number, class Add>
void RowGradientSum::sum_sources(std::vector<Number>& sums, Compute& compute, Add add) {
  int64_t uses = 0;
  for (const Source& source : sources_) uses += source.count;
  pieces_.resize(static_cast<size_t>(compute.threads()));
  // How many fall into a piece varies from step to step: room for all, so that memory settles.
  for (Piece& piece : pieces_) {
    piece.uses.reserve(static_cast<size_t>(uses));
    piece.sorted.reserve(static_cast<size_t>(uses));
  }
  const size_t width = static_cast<size_t>(width_);
  const size_t row_bytes = width * sizeof(From);
  const auto collect_body = [&](int64_t piece, int64_t) { collect(piece, row_bytes); };
  compute.pool().parallel_for(std::ssize(pieces_), std::cref(collect_body));
  int64_t distinct = 0;
  for (Piece& piece : pieces_) piece.first = std::exchange(distinct, distinct + piece.distinct);

  resize(rows_, static_cast<size_t>(distinct), static_cast<size_t>(uses));
  resize(sums, static_cast<size_t>(distinct) * width, static_cast<size_t>(uses) * width);
  const auto sum_body = [&](int64_t index, int64_t thread) {
    const std::vector<Use>& of = pieces_[static_cast<size_t>(index)].uses;
    Queue& queue = *compute.thread(thread).queue;
    size_t row = static_cast<size_t>(pieces_[static_cast<size_t>(index)].first);
    for (size_t at = 0; at < of.size(); ++at) {
      if (at + kAhead < of.size()) fetch(of[at + kAhead].gradient, row_bytes);
      if (at > 0 && of[at].row != of[at - 1].row) ++row;
      Number* const to = sums.data() + row * width;
      if (at == 0 || of[at].row != of[at - 1].row) {
        rows_[row] = of[at].row;
        std::fill_n(to, width, Number{});
      }
      add(queue, of[at].gradient, to);
    }
  };
  compute.pool().parallel_for(std::ssize(pieces_), std::cref(sum_body));
}

template <class Number>
void RowGradientSum::merge_ranks(std::vector<Number>& sums, Communicator& world, Compute& compute) {
  if (world.size() == 1) return;
  const size_t row_bytes = rows_.size() * sizeof(int64_t);
  mine_.resize(row_bytes + sums.size() * sizeof(Number));
  if (!rows_.empty()) {
    std::memcpy(mine_.data(), rows_.data(), row_bytes);
    std::memcpy(mine_.data() + row_bytes, sums.data(), sums.size() * sizeof(Number));
  }
  world.all_gather_v(mine_, all_, counts_, "row gradients");

  sources_.clear();
  const std::byte* from = all_.data();
  const int64_t bytes_a_row = int64_t{sizeof(int64_t)} + width_ * int64_t{sizeof(Number)};
  for (const int64_t count : counts_) {
    const int64_t rows = count / bytes_a_row;
    sources_.push_back({from, from + rows * int64_t{sizeof(int64_t)}, rows});
    from += count;
  }
  sum_sources<Number>(sums, compute, [&](Queue&, const std::byte* gradient, Number* to) {
    add_numbers(gradient, to, width_);
  });
}

void RowGradientSum::reduce(std::span<const RowUses* const> uses, Communicator& world,
                            Compute& compute, float largest) {
  sources_.clear();
  for (const RowUses* use : uses) {
    sources_.push_back({reinterpret_cast<const std::byte*>(use->rows.data()),
                        reinterpret_cast<const std::byte*>(use->gradient.data()),
                        std::ssize(use->rows)});
  }
  if (!deterministic_) {
    sum_sources<float>(gradient_, compute, [&](Queue&, const std::byte* gradient, float* to) {
      add_numbers(gradient, to, width_);
    });
    merge_ranks(gradient_, world, compute);
    return;
  }
  const int shift = fixed_point_shift(largest, most_uses_);
  const size_t width = static_cast<size_t>(width_);
  const Ops& ops = compute.ops();
  sum_sources<float>(fixed_, compute, [&](Queue& queue, const std::byte* gradient, int64_t* to) {
    ops.quantise(queue, {.x = {reinterpret_cast<const float*>(gradient), width},
                         .shift = shift,
                         .sum = {to, width}});
  });
  merge_ranks(fixed_, world, compute);
  resize(gradient_, fixed_.size(), fixed_.capacity());
  const int64_t size = std::ssize(fixed_);
  const auto body = [&](int64_t piece, int64_t thread) {
    const size_t first = static_cast<size_t>(piece * kPiece);
    const size_t count = static_cast<size_t>(std::min(kPiece, size - piece * kPiece));
    ops.dequantise(*compute.thread(thread).queue,
                   {.sum = std::span<const int64_t>(fixed_).subspan(first, count),
                    .shift = shift,
                    .x = std::span(gradient_).subspan(first, count)});
  };
  compute.pool().parallel_for((size + kPiece - 1) / kPiece, std::cref(body));
}

}  // namespace alm
