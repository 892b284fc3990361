// The dense parameters of a model: one arena of floats, addressed by small handles.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/view.h"

namespace alm {

// Where a tensor lies in any arena of the layout (weights, gradient, moments): row-major [rows,
// cols].
struct Tensor {
  int64_t offset = 0;
  int64_t rows = 0;
  int64_t cols = 0;

  int64_t size() const { return rows * cols; }
  template <class T>
  Matrix<T> matrix(T* arena) const {
    return {arena + offset, rows, cols};
  }
  template <class T>
  std::span<T> vector(T* arena) const {
    return {arena + offset, static_cast<size_t>(size())};
  }
};

// How a tensor starts.
struct Start {
  enum class Kind { constant, normal } kind = Kind::constant;
  double value = 0;  // the constant, or the standard deviation

  static Start zero() { return {}; }
  static Start constant(double value) { return {Kind::constant, value}; }
  static Start normal(double sd) { return {Kind::normal, sd}; }
  // He et al. 2015: keeps the variance through a ReLU layer.
  static Start relu_layer(int64_t inputs);
};

// Names, places and start values of all dense tensors. Built once per model, then read-only.
class ParameterLayout {
 public:
  struct Entry {
    std::string name;
    Tensor tensor;
    Start start;
    bool decay = false;  // weight decay applies
  };

  // Tensors begin at multiples of 16 floats; the gaps stay zero.
  Tensor add(const std::string& name, int64_t rows, int64_t cols, Start start, bool decay);
  int64_t size() const { return size_; }
  const std::vector<Entry>& entries() const { return entries_; }
  // Entries sorted by name, for digests and files.
  std::vector<const Entry*> by_name() const;
  // A pure function of the seed and the tensor's name.
  void initialise(uint64_t seed, std::span<float> weights) const;
  // 1 where weight decay applies, else 0.
  std::vector<float> decay_mask() const;
  // Name of the tensor that holds arena position `offset`.
  const std::string& name_at(int64_t offset) const;

 private:
  std::vector<Entry> entries_;
  int64_t size_ = 0;
};

}  // namespace alm
