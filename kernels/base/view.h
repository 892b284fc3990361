// Non-owning views. Sizes are int64; narrow<int>() only at library edges.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

#include "kernels/base/check.h"

namespace alm {

template <class To, class From>
To narrow(From value) {
  const To small = static_cast<To>(value);
  ALM_CHECK(static_cast<From>(small) == value && ((small < To{}) == (value < From{})),
            "value does not fit the narrower type");
  return small;
}

// Row-major matrix; row r begins at data + r * stride. `stride` >= cols, so a view may be a column
// slice. What is constexpr here kernels of kernels/cuda use, too.
template <class T>
struct Matrix {
  T* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;

  Matrix() = default;
  Matrix(T* data_, int64_t rows_, int64_t cols_) : Matrix(data_, rows_, cols_, cols_) {}
  Matrix(T* data_, int64_t rows_, int64_t cols_, int64_t stride_)
      : data(data_), rows(rows_), cols(cols_), stride(stride_) {}
  template <class U>
  requires(std::is_same_v<T, const U>) Matrix(Matrix<U> other)
      : data(other.data), rows(other.rows), cols(other.cols), stride(other.stride) {}

  constexpr T* row(int64_t index) const { return data + index * stride; }
  constexpr T& operator()(int64_t row_index, int64_t col_index) const {
    return data[row_index * stride + col_index];
  }
  Matrix columns(int64_t first, int64_t count) const { return {data + first, rows, count, stride}; }
  bool empty() const { return rows == 0 || cols == 0; }
};

// All elements of a matrix without gaps between its rows, as one run.
template <class T>
std::span<T> flat(Matrix<T> matrix) {
  ALM_CHECK(matrix.stride == matrix.cols || matrix.rows <= 1, "rows with gaps");
  return {matrix.data, static_cast<size_t>(matrix.rows * matrix.cols)};
}

// Compressed rows: touches of journey i are [begin[i], begin[i+1]). begin.size() == rows + 1.
struct Csr {
  std::span<const int64_t> begin;

  constexpr int64_t rows() const { return static_cast<int64_t>(begin.size()) - 1; }
  int64_t total() const { return begin.empty() ? 0 : begin.back() - begin.front(); }
};

}  // namespace alm
