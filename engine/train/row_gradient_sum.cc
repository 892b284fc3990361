#include "engine/train/row_gradient_sum.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <numeric>
#include <utility>

#include "kernels/base/fixed_point.h"

namespace alm {
namespace {

constexpr int64_t kRowsOfWord = 64;
// Uses whose gradient and sum are fetched ahead.
constexpr int64_t kAhead = 16;
constexpr size_t kCacheLine = 64;
// Numbers that a thread makes floats of at a time.
constexpr int64_t kPiece = 4096;

template <class Number>
void add_numbers(const std::byte* from, Number* to, int64_t width) {
  for (int64_t col = 0; col < width; ++col) {
    Number value;
    std::memcpy(&value, from + static_cast<size_t>(col) * sizeof(Number), sizeof(Number));
    to[col] += value;
  }
}

template <class Number>
void fetch(const Number* from, size_t bytes) {
  const std::byte* const first = reinterpret_cast<const std::byte*>(from);
  for (size_t at = 0; at < bytes; at += kCacheLine) __builtin_prefetch(first + at);
}

// Memory for `count` numbers, which are overwritten. It grows to `most` at once, so that it settles
// in the first steps.
template <class Number>
void resize(std::vector<Number>& to, int64_t count, int64_t most) {
  to.reserve(static_cast<size_t>(most));
  to.resize(static_cast<size_t>(count));
}

int64_t words_of_table(int64_t rows) {
  return (rows + kRowsOfWord - 1) / kRowsOfWord;
}

uint64_t bit_of(int64_t row) {
  return uint64_t{1} << (row % kRowsOfWord);
}

}  // namespace

RowGradientSum::RowGradientSum(int64_t table_rows, int64_t width, int64_t most_uses,
                               bool deterministic)
    : width_(width),
      most_uses_(most_uses),
      deterministic_(deterministic),
      words_(static_cast<size_t>(words_of_table(table_rows))) {}

int64_t RowGradientSum::places_bytes(int64_t table_rows) {
  return words_of_table(table_rows) * int64_t{sizeof(Word)};
}

int64_t RowGradientSum::bytes() const {
  const auto of = []<class T>(const std::vector<T>& numbers) {
    return static_cast<int64_t>(numbers.capacity() * sizeof(T));
  };
  int64_t bytes =
      of(sources_) + of(words_) + of(all_) + of(counts_) + of(rows_) + of(gradient_) + of(fixed_);
  for (const Piece& piece : pieces_) bytes += piece.room * int64_t{sizeof(Use)};
  return bytes;
}

std::span<RowGradientSum::Word> RowGradientSum::words_of(int64_t piece) {
  const int64_t pieces = std::ssize(pieces_);
  const int64_t first = std::ssize(words_) * piece / pieces;
  const int64_t last = std::ssize(words_) * (piece + 1) / pieces;
  return std::span(words_).subspan(static_cast<size_t>(first), static_cast<size_t>(last - first));
}

void RowGradientSum::collect(int64_t index, size_t row_bytes) {
  Piece& piece = pieces_[static_cast<size_t>(index)];
  const std::span<Word> words = words_of(index);
  const int64_t first = (words.data() - words_.data()) * kRowsOfWord;
  const uint64_t rows = words.size() * uint64_t{kRowsOfWord};
  // Each use is written and only counted when it is of this piece: which ones are, no processor
  // can foretell.
  Use* to = piece.uses.get();
  for (const Source& source : sources_) {
    for (size_t at = 0; at < static_cast<size_t>(source.count); ++at) {
      int64_t row;
      std::memcpy(&row, source.rows + at * sizeof(int64_t), sizeof(int64_t));
      *to = {row - first, source.gradient + at * row_bytes};
      to += static_cast<uint64_t>(row - first) < rows;
    }
  }
  piece.count = to - piece.uses.get();
  const std::span<Use> uses(piece.uses.get(), static_cast<size_t>(piece.count));
  const auto word_of = [&](const Use& use) -> Word& {
    return words[static_cast<size_t>(use.row / kRowsOfWord)];
  };
  std::ranges::fill(words, Word{});
  for (const Use& use : uses) word_of(use).used |= bit_of(use.row);
  piece.distinct = 0;
  for (Word& word : words) {
    word.before = piece.distinct;
    piece.distinct += std::popcount(word.used);
  }
  for (Use& use : uses) {
    const Word& word = word_of(use);
    use.row = word.before + std::popcount(word.used & (bit_of(use.row) - 1));
  }
}

int64_t RowGradientSum::find_rows(Compute& compute, size_t row_bytes) {
  int64_t uses = 0;
  for (const Source& source : sources_) uses += source.count;
  pieces_.resize(static_cast<size_t>(compute.threads()));
  // How many fall into a piece varies from step to step: room for all and one that does not count.
  for (Piece& piece : pieces_) {
    if (piece.room > uses) continue;
    piece.room = uses + 1;
    piece.uses.reset();
    piece.uses = std::make_unique_for_overwrite<Use[]>(static_cast<size_t>(piece.room));
  }
  const auto body = [&](int64_t piece, int64_t) { collect(piece, row_bytes); };
  compute.pool().parallel_for(std::ssize(pieces_), std::cref(body));
  int64_t distinct = 0;
  for (Piece& piece : pieces_) piece.first = std::exchange(distinct, distinct + piece.distinct);
  resize(rows_, distinct, uses);
  return uses;
}

template <class Number, class Add>
void RowGradientSum::sum_uses(Number* sums, Compute& compute, Add add) {
  const size_t row_bytes = static_cast<size_t>(width_) * sizeof(Number);
  const auto body = [&](int64_t index, int64_t thread) {
    const Piece& piece = pieces_[static_cast<size_t>(index)];
    int64_t* row = rows_.data() + piece.first;
    for (const Word& word : words_of(index)) {
      const int64_t first = (&word - words_.data()) * kRowsOfWord;
      for (uint64_t left = word.used; left != 0; left &= left - 1) {
        *row++ = first + std::countr_zero(left);
      }
    }
    Queue& queue = *compute.thread(thread).queue;
    Number* const to = sums + piece.first * width_;
    std::fill_n(to, piece.distinct * width_, Number{});
    for (int64_t at = 0; at < piece.count; ++at) {
      const Use* const use = piece.uses.get() + at;
      if (at + kAhead < piece.count) {
        fetch(use[kAhead].gradient, row_bytes);
        fetch(to + use[kAhead].row * width_, row_bytes);
      }
      add(queue, use->gradient, to + use->row * width_);
    }
  };
  compute.pool().parallel_for(std::ssize(pieces_), std::cref(body));
}

template <class Number, class Add>
void RowGradientSum::sum_over_ranks(std::vector<Number>& sums, Communicator& world,
                                    Compute& compute, Add add) {
  const auto numbers = [&](int64_t rows) { return rows * width_; };
  int64_t uses = find_rows(compute, static_cast<size_t>(width_) * sizeof(float));
  if (world.size() == 1) {
    resize(sums, numbers(std::ssize(rows_)), numbers(uses));
    sum_uses(sums.data(), compute, add);
    return;
  }
  // This rank's rows and sums are made where they are to stand among those of all.
  const int64_t row_bytes = width_ * int64_t{sizeof(Number)};
  const int64_t bytes_a_row = int64_t{sizeof(int64_t)} + row_bytes;
  world.all_gather(std::ssize(rows_) * bytes_a_row, counts_, "rows with a gradient");
  const int64_t bytes_of_all = std::accumulate(counts_.begin(), counts_.end(), int64_t{0});
  resize(all_, bytes_of_all, bytes_of_all);
  sources_.clear();
  std::byte* part = all_.data();
  for (int64_t rank = 0; rank < world.size(); ++rank) {
    const int64_t bytes = counts_[static_cast<size_t>(rank)];
    const int64_t rows = bytes / bytes_a_row;
    std::byte* const gradient = part + rows * int64_t{sizeof(int64_t)};
    if (rank == world.rank()) {
      sum_uses(reinterpret_cast<Number*>(gradient), compute, add);
      std::ranges::copy(std::as_bytes(std::span(rows_)), part);
    }
    sources_.push_back({part, gradient, rows});
    part += bytes;
  }
  world.all_gather_in_place(all_, counts_, "row gradients");

  uses = find_rows(compute, static_cast<size_t>(row_bytes));
  resize(sums, numbers(std::ssize(rows_)), numbers(uses));
  sum_uses(sums.data(), compute, [&](Queue&, const std::byte* gradient, Number* to) {
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
    sum_over_ranks(gradient_, world, compute, [&](Queue&, const std::byte* gradient, float* to) {
      add_numbers(gradient, to, width_);
    });
    return;
  }
  const int shift = fixed_point_shift(largest, most_uses_);
  const size_t width = static_cast<size_t>(width_);
  const Ops& ops = compute.ops();
  sum_over_ranks(fixed_, world, compute, [&](Queue& queue, const std::byte* gradient, int64_t* to) {
    ops.quantise(queue, {.x = {reinterpret_cast<const float*>(gradient), width},
                         .shift = shift,
                         .sum = {to, width}});
  });
  resize(gradient_, std::ssize(fixed_), static_cast<int64_t>(fixed_.capacity()));
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
