// The builder of cases and the shapes of journeys.
#include "kernels/cases/builder.h"

#include <algorithm>
#include <limits>

namespace alm::op_cases {
namespace {

uint64_t hash_of(const std::string& text) {
  uint64_t word = 1469598103934665603u;  // FNV-1a
  for (const char c : text) word = (word ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return word;
}

}  // namespace

int64_t size_of(Type type) {
  switch (type) {
    case Type::f32:
      return 4;
    case Type::bf16:
      return 2;
    case Type::u8:
      return 1;
    default:
      return 8;
  }
}

Builder::Builder(const std::string& op, const std::string& shape, int64_t padding)
    : rng_(hash_of(op + shape), Stream::test, 0), padding_(padding) {
  case_.op = op;
  case_.name = op + "/" + shape + (padding > 0 ? "_slice" : "");
}

template <class Draw>
Builder& Builder::add(const std::string& name, Type type, int64_t rows, int64_t cols, Role role,
                      Draw draw) {
  OpArray array{type, false, role, rows, cols, cols > 1 ? cols + padding_ : cols, {}};
  array.values.resize(static_cast<size_t>(rows * cols));
  for (double& value : array.values)
    value = type == Type::f32 ? static_cast<float>(draw()) : draw();
  case_.arrays[name] = std::move(array);
  return *this;
}

Builder& Builder::garbage(const std::string& name, int64_t rows, int64_t cols, Role role) {
  return add(name, Type::f32, rows, cols, role,
             [] { return std::numeric_limits<double>::quiet_NaN(); });
}

Builder& Builder::normal(const std::string& name, int64_t rows, int64_t cols, Role role,
                         double sd) {
  return add(name, Type::f32, rows, cols, role, [&] { return sd * rng_.normal(); });
}

Builder& Builder::uniform(const std::string& name, int64_t rows, double low, double high,
                          Role role) {
  return add(name, Type::f32, rows, 1, role, [&] { return low + (high - low) * rng_.uniform(); });
}

Builder& Builder::whole(const std::string& name, Type type, int64_t rows, int64_t below) {
  return add(name, type, rows, 1, Role::input, [&] {
    return static_cast<double>(rng_.below(static_cast<uint64_t>(std::max<int64_t>(below, 1))));
  });
}

Builder& Builder::numbers(const std::string& name, const std::vector<double>& values) {
  size_t next = 0;
  return add(name, Type::f32, std::ssize(values), 1, Role::input, [&] { return values[next++]; });
}

Builder& Builder::as_doubles(const std::string& name) {
  case_.arrays.at(name).type = Type::f64;
  return *this;
}

Builder& Builder::zeros(const std::string& name, Type type, int64_t rows, int64_t cols, Role role) {
  return add(name, type, rows, cols, role, [] { return 0.0; });
}

Builder& Builder::output(const std::string& name, int64_t rows, int64_t cols) {
  return garbage(name, rows, cols, Role::overwritten);
}

Builder& Builder::room(const std::string& name, int64_t rows, int64_t cols) {
  return garbage(name, rows, cols, Role::room);
}

Builder& Builder::journeys(const std::vector<int64_t>& lengths) {
  add("touches", Type::i64, std::ssize(lengths) + 1, 1, Role::input, [] { return 0.0; });
  double at = 0;
  for (size_t i = 0; i < lengths.size(); ++i) {
    at += static_cast<double>(lengths[i]);
    case_.arrays["touches"].values[i + 1] = at;
  }
  return *this;
}

Builder& Builder::every(int64_t period, const std::string& name, double value) {
  std::vector<double>& values = case_.arrays.at(name).values;
  for (size_t i = 0; i < values.size(); i += static_cast<size_t>(period)) values[i] = value;
  return *this;
}

Builder& Builder::activations(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const auto found = case_.arrays.find(name);
    if (found != case_.arrays.end()) found->second.activation = true;
  }
  return *this;
}

Builder& Builder::scalar(const std::string& name, double value) {
  case_.scalars[name] = value;
  return *this;
}

Builder& Builder::forward(const std::string& op) {
  case_.forward = op;
  return *this;
}

Builder& Builder::tolerance(double value) {
  case_.tolerance = value;
  return *this;
}

Builder& Builder::mostly_zero() {
  case_.mostly_zero = true;
  return *this;
}

Builder& Builder::flops(double value) {
  case_.flops = value;
  return *this;
}

OpCase Builder::done() {
  for (const auto& [name, array] : case_.arrays) {
    if (array.role == Role::room) continue;
    const double moves = array.role == Role::accumulated ? 2 : 1;
    case_.bytes += moves * static_cast<double>(array.rows * array.cols * size_of(array.type));
  }
  return case_;
}

int64_t Shape::touches() const {
  int64_t total = 0;
  for (const int64_t length : lengths) total += length;
  return total;
}

Shape random_shape(const std::string& name, int64_t journeys, int64_t shortest, int64_t longest) {
  Shape shape{name, {}};
  Rng rng(7, Stream::test, static_cast<uint64_t>(journeys));
  for (int64_t i = 0; i < journeys; ++i) {
    const auto span = static_cast<uint64_t>(longest - shortest + 1);
    shape.lengths.push_back(shortest + static_cast<int64_t>(rng.below(span)));
  }
  return shape;
}

std::vector<Shape> odd_shapes() {
  return {{"no_journeys", {}},
          {"one_empty_journey", {0}},
          {"one_touch", {1}},
          {"ragged", {0, 3, 0, 5, 1, 2, 0}},
          {"long", {37, 0, 101, 16, 15, 14}},
          random_shape("primes", 61, 0, 7)};
}

std::string text(int64_t value) {
  return std::to_string(value);
}

double product(std::initializer_list<int64_t> factors) {
  double result = 1;
  for (const int64_t factor : factors) result *= static_cast<double>(factor);
  return result;
}

}  // namespace alm::op_cases
