// Views of what layers make of touches, which a device may hold in bf16.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/base/view.h"

namespace alm {

// Of numbers in memory; and of a device what its matrix products round their operands to. Sums are
// fp32 in either.
enum class Precision { fp32, bf16 };

// Row-major matrix of activations, `T` float or const float. On a device that holds them in bf16
// (the upper half of an fp32) it may be of such numbers: `Number` says of what a row is read, and
// only kernels of that device name another than float. Any Matrix<float> is one.
template <class T>
struct MixedMatrix {
  template <class Number>
  using Held = std::conditional_t<std::is_const_v<T>, const Number, Number>;

  Held<void>* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;  // in numbers
  Precision precision = Precision::fp32;

  MixedMatrix() = default;
  MixedMatrix(Held<void>* data_, int64_t rows_, int64_t cols_, int64_t stride_,
              Precision precision_)
      : data(data_), rows(rows_), cols(cols_), stride(stride_), precision(precision_) {}
  MixedMatrix(T* data_, int64_t rows_, int64_t cols_)
      : MixedMatrix(Matrix<T>(data_, rows_, cols_)) {}
  template <class U>
  requires(std::is_same_v<T, U> || std::is_same_v<T, const U>) MixedMatrix(Matrix<U> other)
      : MixedMatrix(other.data, other.rows, other.cols, other.stride, Precision::fp32) {}
  template <class U>
  requires(std::is_same_v<T, const U>) MixedMatrix(MixedMatrix<U> other)
      : MixedMatrix(other.data, other.rows, other.cols, other.stride, other.precision) {}

  template <class Number = float>
  constexpr Held<Number>* row(int64_t index) const {
    return static_cast<Held<Number>*>(data) + index * stride;
  }
  constexpr T& operator()(int64_t row_index, int64_t col_index) const {
    return row(row_index)[col_index];
  }
  template <class Number>
  Matrix<Held<Number>> as() const {
    return {static_cast<Held<Number>*>(data), rows, cols, stride};
  }
  // Always inline, here and below: no code of one SIMD level may be shared with another.
  [[gnu::always_inline]] Matrix<T> floats() const {
    ALM_CHECK(precision == Precision::fp32, "activations in bf16 where fp32 is wanted");
    return as<float>();
  }
  bool empty() const { return rows == 0 || cols == 0; }
};

// Whether rows may be read as they are by code that knows only fp32.
template <class... Matrices>
[[gnu::always_inline]] inline bool in_fp32(const Matrices&... matrices) {
  return ((matrices.precision == Precision::fp32) && ...);
}

}  // namespace alm
