// What a row may not be (contract 2). Checks run over whole columns first and look at single rows
// only when a column holds something bad.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/journeys.h"
#include "io/read_report.h"

namespace alm::io {

// Larger weights are no inverse keep rates, and their products would not fit the exact sums.
inline constexpr float kLargestWeight = 1e6f;

// The bad rows of a block, their kinds, and words for the first of them.
class BadRows {
 public:
  // `first_row`: of the block within the file, for the words.
  void start(const std::string& path, int64_t first_row, int64_t rows);
  // `kind`: what is wrong in a few words, a literal; `words` gives the details when they are
  // wanted. `touch`: within the file, or -1. Rows of one kind come in increasing order. The first
  // row wins, and of its faults the first marked.
  template <class Words>
  void mark(int64_t row, const char* set, const char* kind, int64_t touch, Words words) {
    if (note(row, set, kind)) describe(row, set, touch, words());
  }
  bool any() const { return count_ > 0; }
  int64_t count() const { return count_; }
  bool is_bad(int64_t row) const { return bad_[static_cast<size_t>(row)] != 0; }
  const std::string& first() const { return words_; }
  std::vector<BadKind> kinds() const;

 private:
  struct Kind {
    const char* set;
    const char* what;
    int64_t rows = 0;
    int64_t last_row = -1;
    std::vector<std::string> examples{};
  };
  // Counts; whether words are wanted, as an example or for the first row.
  bool note(int64_t row, const char* set, const char* what);
  void describe(int64_t row, const char* set, int64_t touch, const std::string& words);

  std::string path_;
  int64_t first_row_ = 0;
  int64_t count_ = 0;
  int64_t worst_ = 0;
  bool is_first_ = false;    // of the row just noted
  bool is_example_ = false;  // of the kind just noted
  size_t kind_ = 0;
  std::string words_;
  std::vector<uint8_t> bad_;
  std::vector<Kind> kinds_;
};

// Touches of row i of a block: [begin[i], end[i]) of the touches read; empty for a row whose
// offsets are wrong. They follow each other and never overlap.
struct Spans {
  std::vector<int64_t> begin;
  std::vector<int64_t> end;
  int64_t first_touch = 0;  // in the file, of touch 0 here
  int64_t touches = 0;
};

// `offsets`: touch_begin from `before` entries ahead of the block's first row to at most one past
// its last end; negative where a value does not fit. Fills the spans and marks rows whose offsets
// go back or point past `touches`.
void read_offsets(const std::vector<int64_t>& offsets, int64_t before, int64_t rows,
                  int64_t touches, Spans& spans, BadRows& bad);

// Marks the bad rows of `block`, whose touch columns are as read and addressed by `spans`. Only
// filled columns are looked at.
void check_rows(const LogSchema& schema, const Journeys& block, const Spans& spans, BadRows& bad);

}  // namespace alm::io
