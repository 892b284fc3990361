// What cases are made with: a builder of one case, shapes of journeys, and short names for both.
#pragma once

#include "kernels/base/rng.h"
#include "kernels/op_cases.h"

namespace alm::op_cases {

using Type = OpArray::Type;
using Role = OpArray::Role;

inline constexpr int64_t kLossSums = 13;  // numbers of LossSums

// Bytes of a number.
int64_t size_of(Type type);

// Numbers come from a stream of the case's own, so that a case never depends on others. Every
// array of more than one column has gaps of `padding` elements between its rows.
class Builder {
 public:
  Builder(const std::string& op, const std::string& shape, int64_t padding = 0);

  Builder& normal(const std::string& name, int64_t rows, int64_t cols, Role role = Role::input,
                  double sd = 1);
  Builder& uniform(const std::string& name, int64_t rows, double low, double high,
                   Role role = Role::input);
  // Whole numbers in [0, below).
  Builder& whole(const std::string& name, Type type, int64_t rows, int64_t below);
  Builder& numbers(const std::string& name, const std::vector<double>& values);
  Builder& as_doubles(const std::string& name);
  Builder& zeros(const std::string& name, Type type, int64_t rows, int64_t cols, Role role);
  // An output that the op must fill: garbage before.
  Builder& output(const std::string& name, int64_t rows, int64_t cols);
  Builder& room(const std::string& name, int64_t rows, int64_t cols);
  Builder& journeys(const std::vector<int64_t>& lengths);
  // Replaces every `period`-th value.
  Builder& every(int64_t period, const std::string& name, double value);
  // Those of the names that the case has.
  Builder& activations(std::initializer_list<const char*> names);
  Builder& scalar(const std::string& name, double value);
  Builder& forward(const std::string& op);
  Builder& tolerance(double value);
  Builder& mostly_zero();
  Builder& flops(double value);
  OpCase done();

 private:
  Builder& garbage(const std::string& name, int64_t rows, int64_t cols, Role role);
  template <class Draw>
  Builder& add(const std::string& name, Type type, int64_t rows, int64_t cols, Role role,
               Draw draw);

  OpCase case_;
  Rng rng_;
  int64_t padding_;
};

// Touches of every journey.
struct Shape {
  std::string name;
  std::vector<int64_t> lengths;

  int64_t journeys() const { return std::ssize(lengths); }
  int64_t touches() const;
};

Shape random_shape(const std::string& name, int64_t journeys, int64_t shortest, int64_t longest);
std::vector<Shape> odd_shapes();

std::string text(int64_t value);
double product(std::initializer_list<int64_t> factors);

}  // namespace alm::op_cases
