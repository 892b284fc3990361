// Scores of rows of two outcomes, treated or not, as what a ranking counts.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

namespace alm {

// Order-preserving map of fp32 to uint32 (method 6.5): a < b exactly when ordered(a) < ordered(b);
// -0 is 0. NaN is a bug of the caller.
uint32_t ordered_bits(float score);

// Scores by class: 0 and 1 are the outcomes of rows without treatment (or of rows of which nobody
// asks), 2 and 3 those of treated rows. Reusing it allocates nothing in the steady state.
class ScoresByClass {
 public:
  static constexpr size_t kClasses = 4;
  std::array<std::vector<uint32_t>, kClasses> bits;  // ordered
  std::array<std::vector<float>, kClasses> weight;   // all empty: every weight is 1

  void add(float score, bool treated, bool outcome, float row_weight = 1);
  void append(ScoresByClass&& other);
  void clear();
  int64_t size() const;
  bool weighted() const { return has_weights_; }
  void make_weighted();  // writes out weights of 1

 private:
  bool has_weights_ = false;
};

// Scores of this rank that can be given more than once.
struct ScoreSource {
  int64_t blocks = 0;
  // Appends block `block` to `out`, which has room; the same scores every time. Called from several
  // threads. A block should hold some ten thousand scores.
  std::function<void(int64_t block, ScoresByClass& out)> fill;
};
// Of scores that are kept; they must outlive it.
ScoreSource kept_source(const ScoresByClass& scores);

}  // namespace alm
