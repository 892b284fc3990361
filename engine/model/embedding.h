// Embeddings. Small tables (clusters, positions) live in the dense arena; large hashed ones (items,
// context ids) are row tables: only the rows a batch used carry a gradient and take a step.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/model/pass.h"
#include "kernels/base/view.h"

namespace alm {

// A hashed table with row-wise Adagrad state. Every rank holds a whole copy; ranks exchange the
// rows they used. Rows start as a pure function of (seed, name, row).
struct RowTable {
  std::string name;
  int64_t rows = 0;
  int64_t width = 0;
  std::vector<float> weights;  // [rows * width]
  std::vector<float> state;    // [rows] sum over steps of the mean squared gradient

  void initialise(uint64_t seed, double sd);
  // Makes room for all weights, in large pages where the system gives them: rows are read anywhere.
  void allocate();
  Matrix<const float> view() const { return {weights.data(), rows, width}; }
  Matrix<float> view() { return {weights.data(), rows, width}; }
};

// Gradient of the rows a micro-block used: one entry per use, rows repeat. Reused from step to
// step.
struct RowUses {
  std::vector<int64_t> rows;
  std::vector<float> gradient;  // [rows.size() * width]

  void clear() {
    rows.clear();
    gradient.clear();
  }
  int64_t bytes() const {
    return static_cast<int64_t>(rows.capacity() * sizeof(int64_t) +
                                gradient.capacity() * sizeof(float));
  }
  // Appends d_rows [uses.size(), width], in memory of the host.
  void append(std::span<const int64_t> uses, Matrix<const float> d_rows);
};

}  // namespace alm
