// The gradient of a row table's rows: uses of micro-blocks -> ranks -> distinct rows, ascending,
// equal on every rank. Only used rows travel. Fast sums are fp32; deterministic ones are int64
// fixed point as those of gradient_sum.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/model/compute.h"
#include "engine/model/embedding.h"

namespace alm {

// Rows are not sorted: a bit of the table each, counted, says where a row stands among those that
// are used. Threads share the rows of the table.
class RowGradientSum {
 public:
  // `most_uses`: of a batch, over all ranks.
  RowGradientSum(int64_t table_rows, int64_t width, int64_t most_uses, bool deterministic);
  // COLLECTIVE. `uses`: of this rank's micro-blocks, in their order. `largest`: the largest
  // absolute value of their gradients over all ranks; deterministic mode only.
  void reduce(std::span<const RowUses* const> uses, Communicator& world, Compute& compute,
              float largest);
  // Ascending.
  std::span<const int64_t> rows() const { return rows_; }
  Matrix<const float> gradient() const {
    return {gradient_.data(), static_cast<int64_t>(rows_.size()), width_};
  }
  // That it holds.
  int64_t bytes() const;
  // Of what it holds a bit a row, and the counts.
  static int64_t places_bytes(int64_t table_rows);

 private:
  // Rows of uses and their gradients, anywhere in memory.
  struct Source {
    const std::byte* rows;      // [count] int64
    const std::byte* gradient;  // [count, width] numbers
    int64_t count;
  };
  struct Use {
    int64_t row;                // then its place among the piece's distinct rows
    const std::byte* gradient;  // [width] numbers
  };
  // Rows that lie side by side in the table.
  struct Word {
    uint64_t used = 0;   // a bit a row
    int64_t before = 0;  // used rows of the piece in front of these
  };
  // Uses of an equal share of the table's rows.
  struct Piece {
    std::unique_ptr<Use[]> uses;  // [room], of which no page is touched before it is needed
    int64_t room = 0;
    int64_t count = 0;
    int64_t first = 0;     // of its distinct rows among all
    int64_t distinct = 0;  // rows
  };
  std::span<Word> words_of(int64_t piece);
  void collect(int64_t piece, size_t row_bytes);
  // Finds the distinct rows of sources_, whose gradients are of so many bytes a row. Returns the
  // number of uses.
  int64_t find_rows(Compute& compute, size_t row_bytes);
  // Sums the uses of each row, in the order of the sources, to sums [rows, width]:
  // add(queue, use's gradient, its row's sum) for each of them.
  template <class Number, class Add>
  void sum_uses(Number* sums, Compute& compute, Add add);
  // COLLECTIVE. The sums of all ranks; add as above, for this rank's uses.
  template <class Number, class Add>
  void sum_over_ranks(std::vector<Number>& sums, Communicator& world, Compute& compute, Add add);

  int64_t width_;
  int64_t most_uses_;
  bool deterministic_;
  std::vector<Source> sources_;
  std::vector<Word> words_;
  std::vector<Piece> pieces_;    // by thread
  std::vector<std::byte> all_;   // rows and sums of each rank
  std::vector<int64_t> counts_;  // bytes of each
  std::vector<int64_t> rows_;
  std::vector<float> gradient_;
  std::vector<int64_t> fixed_;
};

}  // namespace alm
